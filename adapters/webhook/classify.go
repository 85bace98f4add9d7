package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxAnswer is the most of an answer that is read, in bytes.
	maxAnswer = 1 << 20
	// maxReason is how much of an answer's message an error shows.
	maxReason = 200
	// leastWait is how long GitHub asks to wait after a secondary rate limit
	// that says nothing else:
	// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
	leastWait = time.Minute
	// longestWait bounds what the far side may ask to wait.
	longestWait = 24 * time.Hour
)

// result is what a far side answered.
type result struct {
	status  int
	after   time.Duration // what Retry-After asks for
	limited bool          // the header says that no calls are left
	body    []byte
}

// exchange sends a request and reads its answer. Its errors do not contain the
// address.
func exchange(client *http.Client, req *http.Request, clock chat.Clock) (result, error) {
	resp, err := client.Do(req) //nolint:gosec // the address is the config's
	if err != nil {
		return result{}, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return result{}, fmt.Errorf("reading the answer: %w", withoutURL(err))
	}
	now := clock()
	r := result{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"), now), body: body}
	// GitHub: X-RateLimit-…, GitLab: RateLimit-…
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		if resp.Header.Get(prefix+"Remaining") == "0" {
			r.limited = true
			if r.after == 0 {
				r.after = untilReset(resp.Header.Get(prefix+"Reset"), now)
			}
		}
	}
	return r, nil
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
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(longestWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longestWait)
	}
	return 0
}

// untilReset reads the header that says when calls are left again, in Unix
// seconds.
func untilReset(header string, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(header, 10, 64)
	if err != nil || len(header) > 12 {
		return 0
	}
	return min(max(time.Unix(seconds, 0).Sub(now), 0), longestWait)
}

// created returns the ID of the status that was added, or why it was not.
func (r result) created(provider, host string) (string, error) {
	if r.status == http.StatusOK || r.status == http.StatusCreated {
		var status struct {
			ID json.Number `json:"id"`
		}
		if json.Unmarshal(r.body, &status) == nil && status.ID != "" {
			return status.ID.String(), nil
		}
		return "", &chat.SendError{Class: chat.Temporary, Err: fmt.Errorf("%s answered %d with something that is no status; is there a proxy in between?", host, r.status)}
	}
	reason := r.reason()
	// GitLab refuses the state that a status has already, as after an answer
	// that was lost.
	if provider == GitLab && r.status == http.StatusBadRequest && strings.Contains(reason, "Cannot transition status") {
		return "unchanged", nil
	}
	err := fmt.Errorf("%s answered %d %s", host, r.status, http.StatusText(r.status))
	if reason != "" {
		err = fmt.Errorf("%w: %s", err, reason)
	}
	se := &chat.SendError{Class: classOf(r.status), RetryAfter: r.after, Err: err}
	if r.status == http.StatusForbidden && (r.limited || r.after > 0 || strings.Contains(strings.ToLower(reason), "rate limit")) {
		se.Class = chat.RateLimited
		if se.RetryAfter == 0 {
			se.RetryAfter = leastWait
		}
	}
	switch {
	case se.Class == chat.Auth:
		se.Err = fmt.Errorf("%w; check commit_status.token: it may have run out", se.Err)
	case r.status == http.StatusForbidden && se.Class == chat.Permanent, r.status == http.StatusNotFound:
		se.Err = fmt.Errorf("%w; check that commit_status.token may write statuses of that repository", se.Err)
	}
	return "", se
}

// classOf is what a status means by itself. That of a redirect, which is not
// followed, is mostly that of a network's login page. Both servers answer 404
// for what a token may not see, so that it says nothing of the account.
func classOf(status int) chat.Class {
	switch status {
	case http.StatusUnauthorized:
		return chat.Auth
	case http.StatusTooManyRequests:
		return chat.RateLimited
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return chat.Temporary
	case http.StatusGone:
		return chat.Gone
	}
	if status >= 400 && status < 500 {
		return chat.Permanent
	}
	return chat.Temporary
}

// reason reads what the far side says of an error: {"message": …}, where
// GitLab's may be a mapping, or {"error": …}.
func (r result) reason() string {
	var body struct {
		Message json.RawMessage `json:"message"`
		Error   string          `json:"error"`
	}
	if json.Unmarshal(r.body, &body) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(body.Message, &text) != nil {
		text = string(body.Message)
	}
	if text == "" {
		text = body.Error
	}
	return oneLine(text, maxReason)
}
