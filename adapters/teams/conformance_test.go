package teams

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var hello = chattest.Message{Text: "local hello"}

func TestConformance(t *testing.T) {
	chattest.Run(t, chattest.Harness{
		Start: startMicrosoft, Conversations: len(places), People: 2, Ways: []string{"text"},
		AnswerWithin: teamsWaits, Notifies: true,
		Arrives:  strings.TrimSpace, // Teams ends every text with a line break
		Displays: displayed, DisplaysOutput: displayedOutput,
		Secrets: []string{farPassword, farToken},
		OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{
			http.StatusForbidden: chat.Permanent, http.StatusNotFound: chat.Permanent, http.StatusGone: chat.Permanent,
			http.StatusConflict: chat.Temporary, http.StatusPreconditionFailed: chat.Temporary,
		}},
		Bad: badCalls(),
	})
}

// badCalls are what can be wrong with a call.
func badCalls() []chattest.Bad {
	bad := func(name string, want int, do func(f *microsoft) *http.Request) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, far chattest.Far) int {
			f := far.(*microsoft)
			status, _ := f.Call(do(f), teamsWaits)
			return status
		}}
	}
	changed := func(path string, value any) func(f *microsoft) *http.Request {
		return func(f *microsoft) *http.Request { return f.request(encoded(with(f.message(hello), path, value))) }
	}
	signed := func(change func(header, claims map[string]any)) func(f *microsoft) *http.Request {
		return func(f *microsoft) *http.Request {
			return f.requestWith(encoded(f.message(hello)), "Bearer "+f.token(change))
		}
	}
	body := func(text string) func(f *microsoft) *http.Request {
		return func(f *microsoft) *http.Request { return f.request([]byte(text)) }
	}
	return []chattest.Bad{
		bad("forged", http.StatusUnauthorized, func(f *microsoft) *http.Request {
			token := sign(otherKey(), map[string]any{"alg": "RS256", "kid": "good"}, f.claims())
			return f.requestWith(encoded(f.message(hello)), "Bearer "+token)
		}),
		bad("forged for another app", http.StatusUnauthorized, signed(func(_, c map[string]any) { c["aud"] = farTenant })),
		bad("forged for another service", http.StatusForbidden, signed(func(_, c map[string]any) { c["serviceurl"] = "https://smba.trafficmanager.net/" })),
		bad("stale", http.StatusUnauthorized, signed(func(_, c map[string]any) {
			c["exp"] = time.Now().Add(-time.Hour).Unix()
		})),
		bad("oversized", http.StatusRequestEntityTooLarge, func(f *microsoft) *http.Request {
			return f.request(bytes.Repeat([]byte(" "), maxBody+1))
		}),
		bad("malformed", http.StatusBadRequest, body(`[{"type":7`)),
		bad("malformed activity", http.StatusBadRequest, changed("membersAdded", "nobody")),
		bad("empty", http.StatusBadRequest, body("")),
		bad("empty object", http.StatusForbidden, body("{}")),
		bad("truncated", http.StatusBadRequest, func(f *microsoft) *http.Request {
			raw := encoded(f.message(hello))
			return f.request(raw[:len(raw)-7])
		}),
		bad("own", http.StatusOK, changed("from", map[string]any{"id": "28:" + farApp, "name": "Skadi"})),
		bad("bot", http.StatusOK, changed("from", map[string]any{"id": "28:another", "name": "Bot", "aadObjectId": person(0)})),
		bad("bot by its role", http.StatusOK, changed("from.role", "bot")),
		bad("edited", http.StatusOK, changed("type", "messageUpdate")),
		bad("edited by its event", http.StatusOK, changed("channelData.eventType", "editMessage")),
		bad("deleted", http.StatusOK, changed("type", "messageDelete")),
		bad("typing", http.StatusOK, changed("type", "typing")),
		bad("of no type", http.StatusBadRequest, changed("type", nil)),
		bad("of no conversation", http.StatusBadRequest, changed("conversation.id", nil)),
		bad("of no ID", http.StatusBadRequest, changed("id", nil)),
		bad("of an ID that is none", http.StatusBadRequest, changed("conversation.id", "19:a\nb")),
		bad("of another tenant", http.StatusForbidden, changed("channelData.tenant.id", farApp)),
		bad("of no tenant", http.StatusForbidden, changed("channelData", nil)),
		bad("of somebody of another tenant", http.StatusForbidden, changed("from.tenantId", farApp)),
		bad("of a conversation of another tenant", http.StatusForbidden, changed("conversation.tenantId", farApp)),
		bad("of somebody whom Entra does not know", http.StatusForbidden, changed("from.aadObjectId", nil)),
		bad("of another channel", http.StatusForbidden, changed("channelId", "webchat")),
		bad("by a key for another channel", http.StatusForbidden, signed(func(h, _ map[string]any) { h["kid"] = "elsewhere" })),
		bad("of another service", http.StatusForbidden, func(f *microsoft) *http.Request {
			const service = "https://example.com/teams/"
			token := f.token(func(_, c map[string]any) { c["serviceurl"] = service })
			return f.requestWith(encoded(with(f.message(hello), "serviceUrl", service)), "Bearer "+token)
		}),
	}
}
