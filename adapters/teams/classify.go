package teams

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// maxAnswer is the most of an answer that is read, in bytes.
const maxAnswer = 1 << 20

// answer is what a far side answered.
type answer struct {
	status int
	after  time.Duration // what Retry-After asks for
	body   []byte
}

// exchange sends a request and reads its answer. Its errors do not contain the
// address.
func exchange(client *http.Client, req *http.Request, clock chat.Clock) (answer, error) {
	resp, err := client.Do(req) //nolint:gosec // callers have checked the host, or it is the config's
	if err != nil {
		return answer{}, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer: %w", withoutURL(err))
	}
	return answer{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"), clock()), body: body}, nil
}

// withoutURL returns what went wrong with a request without its address.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(longest/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longest)
	}
	return 0
}

func temporary(err error) *chat.SendError {
	return &chat.SendError{Class: chat.Temporary, Err: err}
}

func permanent(err error) *chat.SendError {
	return &chat.SendError{Class: chat.Permanent, Err: err}
}

// rejection is an answer that is no success.
type rejection struct {
	status  int
	code    string // as the far side names it, if it does
	message string // for people
}

func (e *rejection) Error() string {
	text := strconv.Itoa(e.status)
	if s := http.StatusText(e.status); s != "" {
		text += " " + s
	}
	if e.code != "" {
		text += ", " + e.code
	}
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// gone are the codes that say that nothing more can be written to a
// conversation until somebody there turns to the bot anew: it was removed,
// blocked by the one who it is with, or by an administrator for that person;
// or the conversation was deleted. They are those of
// https://learn.microsoft.com/microsoftteams/platform/bots/build-conversational-capability#status-codes-from-agent-conversational-apis
// and https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages
var gone = []string{
	"BotDisabledByAdmin", "BotNotInConversationRoster", "ConversationBlockedByUser", "ConversationNotFound",
	"ForbiddenOperationException", "MessageWritesBlocked",
}

// connectorError says what a rejection of the Bot Connector means.
func (a answer) connectorError(host string) *chat.SendError {
	e := a.rejection()
	se := &chat.SendError{Class: statusClass(a.status), RetryAfter: a.after, Err: fmt.Errorf("%s answered %w", host, e)}
	if (a.status == http.StatusForbidden || a.status == http.StatusNotFound) && slices.Contains(gone, e.code) {
		se.Class = chat.Gone
	}
	return se
}

// statusClass is what a status means by itself. That 412, 502 and 504 pass is
// said at
// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit#handle-http-429-responses.
// A redirect is not followed, and is mostly that of a network's login page.
func statusClass(status int) chat.Class {
	switch status {
	case http.StatusUnauthorized:
		return chat.Auth
	case http.StatusTooManyRequests:
		return chat.RateLimited
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed, http.StatusTooEarly:
		return chat.Temporary
	}
	if status >= 400 && status < 500 {
		return chat.Permanent
	}
	return chat.Temporary
}

// rejection reads what the far side says of the error. The Bot Connector writes
// {"error":{"code","message"}}, and {"message"} in some cases; of codes below
// one another the last is the most exact:
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#error-object
func (a answer) rejection() *rejection {
	type inner struct {
		Code    string `json:"code"`
		SubCode string `json:"subCode"`
		Message string `json:"message"`
		Inner   struct {
			Code string `json:"code"`
		} `json:"innererror"`
	}
	var body struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		SubCode string          `json:"subCode"`
	}
	e := &rejection{status: a.status}
	if json.Unmarshal(a.body, &body) != nil {
		return e
	}
	var in inner
	if json.Unmarshal(body.Error, &in) != nil {
		_ = json.Unmarshal(body.Error, &in.Code) // some answers have a text there
	}
	e.code = oneLine(in.Code, nameLength)
	for _, more := range []string{in.SubCode, body.SubCode, in.Inner.Code} {
		if slices.Contains(gone, more) {
			e.code = more
		}
	}
	if in.Message == "" {
		in.Message = body.Message
	}
	e.message = oneLine(in.Message, messageLength)
	return e
}

// tokenError says what a rejection of a token means. What Entra itself refuses
// is the config's fault and pauses the account; the codes are those of
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
func (a answer) tokenError(host string) *chat.SendError {
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(a.body, &body)
	e := &rejection{status: a.status, code: oneLine(body.Code, nameLength), message: description(body.Description)}
	se := &chat.SendError{Class: statusClass(a.status), RetryAfter: a.after, Err: fmt.Errorf("no token: %s answered %w", host, e)}
	switch {
	case body.Code == "":
	case body.Code == "temporarily_unavailable", body.Code == "server_error", body.Code == "slow_down":
		se.Class = chat.Temporary
	case a.status >= 400 && a.status < 500 && se.Class == chat.Permanent:
		se.Class = chat.Auth
	}
	if se.Class == chat.Auth {
		se.Err = fmt.Errorf("%w; check app_id, app_password (a client secret ends on a date) and tenant_id or token_url", se.Err)
	}
	return se
}

// description is the first sentence of an error's description, which starts
// with its number, AADSTS7000215 and the like. What follows are IDs of the
// request.
func description(text string) string {
	text, _, _ = strings.Cut(text, "Trace ID:")
	return oneLine(text, messageLength)
}

// tooBig reports whether a message was refused for its size.
func tooBig(err error) bool {
	var e *rejection
	return errors.As(err, &e) && (e.status == http.StatusRequestEntityTooLarge || e.code == "MessageSizeTooBig")
}

// unauthorized reports whether a token was refused.
func unauthorized(err error) bool {
	var e *rejection
	return errors.As(err, &e) && e.status == http.StatusUnauthorized
}

// lost reports whether the message to edit or to reply to is no more. The code
// for that is ActivityNotFoundInConversation; of a 404 without a code it is not
// known what was not found.
func lost(err error) bool {
	var e *rejection
	return errors.As(err, &e) && e.status == http.StatusNotFound && !slices.Contains(gone, e.code)
}
