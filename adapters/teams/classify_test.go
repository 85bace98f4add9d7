package teams

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func TestConnectorErrors(t *testing.T) {
	t.Parallel()
	code := func(code string) string {
		return fmt.Sprintf(`{"error":{"code":%q,"message":"What happened, for people."}}`, code)
	}
	for _, c := range []struct {
		status int
		body   string
		class  chat.Class
	}{
		{400, code("BadSyntax"), chat.Permanent},
		{401, code("Unauthorized"), chat.Auth},
		{401, code("BotNotRegistered"), chat.Auth},
		{402, "", chat.Permanent},
		{403, "", chat.Permanent},
		{403, code("NotEnoughPermissions"), chat.Permanent},
		{403, code("ForbiddenOperationException"), chat.Gone},
		{403, code("BotNotInConversationRoster"), chat.Gone},
		{403, code("ConversationBlockedByUser"), chat.Gone},
		{403, code("BotDisabledByAdmin"), chat.Gone},
		{403, code("InvalidBotApiHost"), chat.Permanent},
		{403, `{"error":{"code":"Forbidden","subCode":"MessageWritesBlocked","message":"Thread is not writable"}}`, chat.Gone},
		{403, `{"subCode":"MessageWritesBlocked","error":{"code":"Forbidden"}}`, chat.Gone},
		{403, `{"error":{"code":"Forbidden","innererror":{"code":"BotNotInConversationRoster"}}}`, chat.Gone},
		{403, `{"error":"BotNotInConversationRoster"}`, chat.Gone},
		{403, `{"error":7}`, chat.Permanent},
		{403, `[`, chat.Permanent},
		{404, "", chat.Permanent},
		{404, code("ServiceError"), chat.Permanent},
		{404, code("ConversationNotFound"), chat.Gone},
		{404, code("ActivityNotFoundInConversation"), chat.Permanent},
		{405, "", chat.Permanent},
		{408, "", chat.Temporary},
		{409, code("ServiceError"), chat.Temporary},
		{410, "", chat.Permanent},
		{412, code("PreconditionFailed"), chat.Temporary},
		{413, code("MessageSizeTooBig"), chat.Permanent},
		{415, "", chat.Permanent},
		{422, "", chat.Permanent},
		{425, "", chat.Temporary},
		{429, code("Throttled"), chat.RateLimited},
		{431, "", chat.Permanent},
		{500, code("BotNotInConversationRoster"), chat.Temporary},
		{502, "<html>", chat.Temporary},
		{503, "", chat.Temporary},
		{504, "", chat.Temporary},
		{507, "", chat.Temporary},
		{599, "", chat.Temporary},
		{304, "", chat.Temporary},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.body), func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			far.answers(c.status, c.body)
			s := far.sender(t)
			_, err := send(t.Context(), t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
			isClass(t, err, c.class, 0)
			_, err = send(t.Context(), t, s, chat.Outbound{ID: "b", To: far.place(), Text: "hello", Edit: &chat.MessageRef{ID: "1:x"}})
			isClass(t, err, c.class, 0)
			if !strings.Contains(err.Error(), fmt.Sprint(c.status)) {
				t.Errorf("the error %v does not name the status", err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"7":                              7 * time.Second,
		"0":                              0,
		"-5":                             0,
		"soon":                           0,
		"":                               0,
		"99999999999":                    24 * time.Hour,
		"Tue, 24 Nov 2026 12:01:30 GMT":  90 * time.Second,
		"Fri, 31 Dec 1999 23:59:59 GMT":  0,
		"Fri, 31 Dec 2099 23:59:59 GMT":  24 * time.Hour,
		"999999999999999999999999999999": 0,
	} {
		for status, class := range map[int]chat.Class{http.StatusTooManyRequests: chat.RateLimited, http.StatusBadGateway: chat.Temporary, http.StatusPreconditionFailed: chat.Temporary} {
			far := newService(t)
			far.answers(status, "", "Retry-After", header)
			_, err := send(t.Context(), t, far.sender(t), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
			isClass(t, err, class, want)
		}
	}
	far := newService(t)
	far.set(nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	isClass(t, far.sender(t).logIn(t.Context()), chat.RateLimited, 9*time.Second)
}

// FuzzAnswers holds the reading of errors to never failing itself.
func FuzzAnswers(f *testing.F) {
	f.Add(403, []byte(`{"error":{"code":"Forbidden","subCode":"MessageWritesBlocked","innererror":{"code":"x"}}}`))
	f.Add(401, []byte(`{"error":"invalid_client","error_description":"AADSTS7000215: no. Trace ID: 1"}`))
	f.Add(404, []byte(`{"error":{"innererror":null},"message":1}`))
	f.Add(0, []byte("\xff{"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := answer{status: status, body: body}
		for _, err := range []*chat.SendError{a.connectorError("smba.trafficmanager.net"), a.tokenError("login.microsoftonline.com")} {
			if text := err.Error(); len(text) > 8*messageLength || strings.ContainsAny(text, "\n\r\x1b") {
				t.Errorf("the error is %q", text)
			}
		}
	})
}
