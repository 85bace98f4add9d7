package email

import (
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// quotaWait is how long to wait where an account has sent all that it may for
// now; servers do not say for how long.
const quotaWait = 15 * time.Minute

// classify sorts what became of a delivery. The statuses are those of
// https://www.rfc-editor.org/rfc/rfc5321#section-4.2.3, and behind them
// https://www.rfc-editor.org/rfc/rfc3463.
func classify(at stage, cfg SMTP, err error) *chat.SendError {
	var se *chat.SendError
	if errors.As(err, &se) {
		return se
	}
	explained := &explainedError{text: fmt.Sprintf("the server %s: %s: %s", cfg.Host, at, explain(err)), err: err}
	made := func(class chat.Class) *chat.SendError { return &chat.SendError{Class: class, Err: explained} }
	if errors.As(err, new(*configError)) {
		return made(chat.Auth)
	}
	status, detail := statusOf(err)
	switch {
	case overQuota(status, detail):
		return &chat.SendError{Class: chat.RateLimited, RetryAfter: quotaWait, Err: explained}
	case status < 500: // 4xx, or a connection that broke
		return made(chat.Temporary)
	case status == 530 || status == 534 || status == 535 || status == 538 || at == stageLogin || at == stageFrom && status != 552:
		// A sender that is refused is no fault of the mail: each other mail
		// would be refused too.
		return made(chat.Auth)
	case at == stageTo && nobody(status, detail):
		return made(chat.Gone)
	case at == stageConnect || at == stageTLS:
		return made(chat.Temporary)
	}
	return made(chat.Permanent)
}

// explainedError says in one readable line what err is about.
type explainedError struct {
	text string
	err  error
}

func (e *explainedError) Error() string { return e.text }
func (e *explainedError) Unwrap() error { return e.err }

// nobody reports whether a recipient is refused because there is none of that
// name, or none any more.
func nobody(status int, detail string) bool {
	switch {
	case strings.HasPrefix(detail, "5.1.") && detail != "5.1.7" && detail != "5.1.8": // those are about the sender
		return true
	case detail == "5.2.1", detail == "5.4.4":
		return true
	case detail != "":
		return false
	}
	return status == 550 || status == 551 || status == 553
}

// overQuota reports whether the account may send no more for a while. Some say
// so with a status that is final.
func overQuota(status int, detail string) bool {
	switch detail {
	case "5.4.5", "4.7.28", "5.7.28", "4.4.5":
		return true
	}
	return status == 421 && strings.HasPrefix(detail, "4.7.") || status == 450 && strings.HasPrefix(detail, "4.2.1")
}

// statusOf returns a server's status, 0 for none, and its enhanced status.
func statusOf(err error) (status int, detail string) {
	var te *textproto.Error
	if !errors.As(err, &te) {
		return 0, ""
	}
	detail, _, _ = strings.Cut(te.Msg, " ")
	parts := strings.Split(detail, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(te.Code/100) {
		return te.Code, ""
	}
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || n > 999 {
			return te.Code, ""
		}
	}
	return te.Code, detail
}
