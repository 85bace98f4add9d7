package webhook

import (
	"bytes"
	"encoding/json"
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
	for _, provider := range []string{GitHub, GitLab} {
		t.Run(provider, func(t *testing.T) {
			without := map[string]string{
				"bot":    "whoever a program sends for is not told apart",
				"edited": "what has happened is not changed",
			}
			if provider == GitHub {
				without["stale"] = "GitHub signs no time"
			}
			chattest.Run(t, chattest.Harness{
				Start: startHub(provider), Conversations: 3, AnswerWithin: farWaits,
				CallsNobody: "everything comes to its handler",
				Arrives:     strings.TrimSpace,
				Displays: func(text string) string {
					return strings.Join(strings.Fields(chat.Readable(text)), " ")
				},
				// A status has room for how a job ended, and not for its output.
				DisplaysOutput: func(string) string { return "" },
				Secrets:        []string{farSecret, oldSecret, farToken, farSigning, strings.TrimPrefix(farSigning, "whsec_")},
				OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{
					http.StatusForbidden: chat.Permanent, http.StatusNotFound: chat.Permanent, http.StatusConflict: chat.Temporary,
					http.StatusGone: chat.Gone, http.StatusPreconditionFailed: chat.Permanent,
				}},
				Without: without, Bad: badCalls(provider),
			})
		})
	}
}

// badCalls are what can be wrong with a call that is signed, and with how it is
// signed.
func badCalls(provider string) []chattest.Bad {
	bad := func(name string, want int, change func(h *hub, d *delivery)) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, far chattest.Far) int {
			h := far.(*hub)
			d := h.signed(h.kind(), h.event(hello))
			change(h, d)
			status, _ := h.deliver(d)
			return status
		}}
	}
	body := func(text string) func(h *hub, d *delivery) {
		return func(h *hub, d *delivery) { *d = *h.signed(h.kind(), []byte(text)) }
	}
	header := func(name string, values ...string) func(h *hub, d *delivery) {
		return func(_ *hub, d *delivery) { d.header[http.CanonicalHeaderKey(name)] = values }
	}
	signature := "X-Hub-Signature-256"
	var own []byte
	if provider == GitLab {
		signature = "Webhook-Signature"
	}
	all := []chattest.Bad{
		bad("forged", http.StatusUnauthorized, func(_ *hub, d *delivery) { d.body = bytes.ReplaceAll(d.body, []byte("hello"), []byte("reboot")) }),
		bad("forged without a signature", http.StatusUnauthorized, header(signature)),
		bad("forged by two signatures", http.StatusUnauthorized, func(_ *hub, d *delivery) {
			d.header[signature] = append(d.header[signature], d.header[signature]...)
		}),
		bad("forged by nonsense", http.StatusUnauthorized, header(signature, "v1,sha256=nonsense")),
		bad("forged by a long header", http.StatusUnauthorized, header(signature, strings.Repeat("sha256=", maxHeader))),
		bad("oversized", http.StatusRequestEntityTooLarge, body(strings.Repeat(" ", maxBody+1))),
		bad("malformed", http.StatusBadRequest, body(`{"a":`)),
		bad("malformed as a list", http.StatusBadRequest, body(`[1]`)),
		bad("malformed as two values", http.StatusBadRequest, body(`{} {}`)),
		bad("malformed as no UTF-8", http.StatusBadRequest, body("{\"a\":\"\xff\"}")),
		bad("empty", http.StatusBadRequest, body("")),
		bad("empty object", http.StatusAccepted, body("{}")),
		bad("truncated", http.StatusUnauthorized, func(_ *hub, d *delivery) { d.body = d.body[:len(d.body)-7] }),
		bad("of another content type", http.StatusUnsupportedMediaType, header("Content-Type", "application/x-www-form-urlencoded")),
		bad("of no content type", http.StatusUnsupportedMediaType, header("Content-Type")),
		bad("of two content types", http.StatusUnsupportedMediaType, header("Content-Type", "application/json", "text/plain")),
		bad("of another character set", http.StatusUnsupportedMediaType, header("Content-Type", "application/json; charset=utf-16")),
	}
	if provider == GitHub {
		own = []byte(mustText("github/status.json"))
		return append(all,
			bad("own status", http.StatusAccepted, func(h *hub, d *delivery) { *d = *h.signed("status", own) }),
			bad("of no event", http.StatusUnauthorized, header("X-GitHub-Event")),
			bad("of two events", http.StatusUnauthorized, header("X-GitHub-Event", "ping", "repository_dispatch")),
			bad("of another event", http.StatusAccepted, header("X-GitHub-Event", "issues")),
			bad("of two deliveries", http.StatusUnauthorized, header("X-GitHub-Delivery", "a", "b")),
			bad("by SHA-1", http.StatusUnauthorized, header(signature, "sha1=0123456789012345678901234567890123456789")),
			bad("a ping", http.StatusOK, func(h *hub, d *delivery) { *d = *h.signed("ping", []byte(mustText("github/ping.json"))) }),
		)
	}
	own = []byte(mustText("gitlab/build.json"))
	return append(all,
		bad("own status", http.StatusAccepted, func(h *hub, d *delivery) { *d = *h.signed("Job Hook", own) }),
		bad("stale", http.StatusUnauthorized, func(_ *hub, d *delivery) {
			signStandard(d.header, farSigning, "a", time.Now().Add(-6*time.Minute), d.body)
		}),
		bad("stale by a time that was put forward", http.StatusUnauthorized, header("Webhook-Timestamp", "1")),
		bad("of the future", http.StatusUnauthorized, func(_ *hub, d *delivery) {
			signStandard(d.header, farSigning, "a", time.Now().Add(6*time.Minute), d.body)
		}),
		bad("with the token instead", http.StatusUnauthorized, func(_ *hub, d *delivery) {
			d.header = http.Header{"Content-Type": {"application/json"}, "X-Gitlab-Token": {farSigning}}
		}),
	)
}

func mustText(name string) string {
	var v any
	mustRead(name, &v)
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
