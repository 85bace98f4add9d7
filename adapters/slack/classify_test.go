package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// TestEveryDocumentedErrorIsKnown checks that each error that Slack documents
// for a method that is used has one class.
func TestEveryDocumentedErrorIsKnown(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		code := strings.TrimSpace(line)
		if code == "" || strings.HasPrefix(code, "#") {
			continue
		}
		if _, ok := classOfError(code); !ok {
			t.Errorf("%s has no class", code)
		}
		n++
	}
	if n < 100 {
		t.Errorf("only %d errors were found", n)
	}
	classes := make(map[string]chat.Class)
	for class, codes := range faults {
		for _, code := range codes {
			if other, ok := classes[code]; ok {
				t.Errorf("%s is %s and %s", code, class, other)
			}
			classes[code] = class
		}
	}
	for code := range hints {
		if _, ok := classes[code]; !ok {
			t.Errorf("%s can be mended and is no error", code)
		}
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	secret := &url.Error{Op: "Post", URL: "https://hooks.slack.com/commands/T1/secret", Err: io.ErrUnexpectedEOF}
	for _, c := range []struct {
		err   error
		class chat.Class
		wait  time.Duration
		says  string
	}{
		{slack.SlackErrorResponse{Err: "invalid_auth"}, chat.Auth, 0, "bot_token"},
		{slack.SlackErrorResponse{Err: "token_revoked"}, chat.Auth, 0, "bot_token"},
		{slack.SlackErrorResponse{Err: "account_inactive"}, chat.Auth, 0, "bot_token"},
		{slack.SlackErrorResponse{Err: "missing_scope", Needed: "chat:write"}, chat.Auth, 0, "add the scope chat:write"},
		{slack.SlackErrorResponse{Err: "not_in_channel"}, chat.Gone, 0, "invite"},
		{slack.SlackErrorResponse{Err: "channel_not_found"}, chat.Gone, 0, "channel_not_found"},
		{slack.SlackErrorResponse{Err: "is_archived"}, chat.Gone, 0, "is_archived"},
		{slack.SlackErrorResponse{Err: "ratelimited"}, chat.RateLimited, 0, "ratelimited"},
		{slack.SlackErrorResponse{Err: "msg_too_long"}, chat.Permanent, 0, "msg_too_long"},
		{slack.SlackErrorResponse{Err: "fatal_error"}, chat.Temporary, 0, "fatal_error"},
		{slack.SlackErrorResponse{Err: "internal_error"}, chat.Temporary, 0, "internal_error"},
		{
			slack.SlackErrorResponse{Err: "invalid_blocks", ResponseMetadata: slack.ResponseMetadata{Messages: []string{"must be shorter [json-pointer:/blocks/0]"}}},
			chat.Permanent, 0, "must be shorter",
		},
		{&slack.RateLimitedError{RetryAfter: 7 * time.Second}, chat.RateLimited, 7 * time.Second, ""},
		{&statusError{code: http.StatusForbidden}, chat.Auth, 0, "403"},
		{&statusError{code: http.StatusServiceUnavailable, wait: time.Minute}, chat.Temporary, time.Minute, "503"},
		{&statusError{code: http.StatusNotFound}, chat.Permanent, 0, "404"},
		{&statusError{code: http.StatusFound}, chat.Temporary, 0, "302"},
		{context.DeadlineExceeded, chat.Temporary, 0, ""},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, chat.Temporary, 0, ""},
		{secret, chat.Temporary, 0, "unexpected EOF"},
		{fmt.Errorf("posting: %w", secret), chat.Temporary, 0, ""},
	} {
		err := classify("posting a message", c.err)
		var se *chat.SendError
		if !errors.As(err, &se) {
			t.Errorf("%v is not classified", c.err)
			continue
		}
		if se.Class != c.class || se.RetryAfter != c.wait || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v becomes %v after %s, want %s after %s with %q", c.err, err, se.RetryAfter, c.class, c.wait, c.says)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
	if err := classify("posting", nil); err != nil {
		t.Errorf("nothing becomes %v", err)
	}
}

// TestUnknownErrors checks that core decides about errors that Slack does not
// document, and that they stay short.
func TestUnknownErrors(t *testing.T) {
	t.Parallel()
	err := classify("posting", slack.SlackErrorResponse{Err: "new_\x1b[31m" + strings.Repeat("x", 10_000)})
	var se *chat.SendError
	if errors.As(err, &se) || err == nil || len(err.Error()) > 400 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("it becomes %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "0": 0, "-5": 0, "soon": 0, "99999999999999": maxWait, "999999999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
	} {
		if got := retryAfterIn(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q is %s, want %s", value, got, want)
		}
	}
}

// TestEndlessAnswer checks that an answer that does not end is not read for ever.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("chat.postMessage", `{"ok":true,"ts":"`+strings.Repeat("1", maxAnswer))
	_, err := b.Send(t.Context(), answer("m1", inThread()))
	if chat.Classify(err).Class != chat.Temporary || err == nil {
		t.Errorf("Send: %v, want temporary", err)
	}
}
