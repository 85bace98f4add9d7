package slack

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxAnswer bounds an answer of Slack's.
	maxAnswer = 8 << 20
	// maxWait bounds how long Slack can ask to wait.
	maxWait = time.Hour
)

// caller makes the calls of the Web API. slack-go forgets how long a server
// asks to wait unless it is a number of seconds with the status 429, reads
// answers without a limit, and its errors repeat addresses.
type caller struct {
	http  *http.Client
	clock chat.Clock
}

// Do makes a call. An answer with a status other than 200 is an error, from
// which the status can be had as a slack.StatusCodeError, or a
// slack.RateLimitedError if it is 429. No error names an address.
func (c caller) Do(r *http.Request) (*http.Response, error) {
	answer, err := c.http.Do(r) //nolint:gosec // to addresses that Slack gave, whose hosts were checked
	if err != nil {
		return nil, withoutURL(err)
	}
	if answer.StatusCode == http.StatusOK {
		answer.Body = limited{io.LimitReader(answer.Body, maxAnswer), answer.Body}
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
	wait := retryAfterIn(answer.Header, c.clock())
	if answer.StatusCode == http.StatusTooManyRequests {
		return nil, &slack.RateLimitedError{RetryAfter: wait}
	}
	return nil, &statusError{code: answer.StatusCode, wait: wait}
}

type limited struct {
	io.Reader
	io.Closer
}

// statusError is an answer with another status than 200 or 429.
type statusError struct {
	code int
	wait time.Duration
}

func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", e.code, http.StatusText(e.code)))
}

func (e *statusError) Unwrap() error {
	return slack.StatusCodeError{Code: e.code, Status: strconv.Itoa(e.code)}
}

// retryAfterIn is how long a header asks to wait, in seconds or until a date;
// 0 if it does not say.
func retryAfterIn(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxWait/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxWait)
	}
	return 0
}
