package mattermost

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestConformance(t *testing.T) {
	chattest.Run(t, chattest.Harness{
		Start:         startMattermost,
		Conversations: 3,
		People:        3,
		Ways:          []string{byJSON},
		AnswerWithin:  mattermostWaits,
		Notifies:      true,
		Displays:      chat.Readable,
		Bad:           badCalls(),
		Without: map[string]string{
			"stale":           "the webhook signs nothing, so that no time is proved",
			"edited":          "outgoing webhooks are sent for new posts alone",
			chattest.Unproven: "the token is in the body",
		},
		Failures: []chattest.Failure{
			failure("busy by the rate limit", chat.RateLimited, 9*time.Second, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-RateLimit-Reset", "9")
				refused(w, http.StatusTooManyRequests, "")
			}),
			failure("not a member", chat.Permanent, 0, func(w http.ResponseWriter, _ *http.Request) {
				refused(w, http.StatusForbidden, "api.context.permissions.app_error")
			}),
			failure("archived", chat.Permanent, 0, func(w http.ResponseWriter, _ *http.Request) {
				refused(w, http.StatusBadRequest, "api.post.create_post.can_not_post_to_deleted.error")
			}),
		},
		OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{
			http.StatusForbidden: chat.Permanent, http.StatusNotFound: chat.Gone, http.StatusConflict: chat.Permanent,
			http.StatusGone: chat.Gone, http.StatusPreconditionFailed: chat.Permanent,
		}},
		Secrets: []string{farToken, farHook, farSecond},
	})
}

func failure(name string, class chat.Class, wait time.Duration, answer http.HandlerFunc) chattest.Failure {
	return chattest.Failure{
		Name: name, Class: class, RetryAfter: wait,
		Set: func(_ *testing.T, f chattest.Far) { f.(*mattermost).failWith(answer) },
	}
}

// badCalls are what must not be handed in.
func badCalls() []chattest.Bad {
	bad := func(name string, want int, make func(v url.Values) *http.Request) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, far chattest.Far) int {
			f := far.(*mattermost)
			status, _ := f.deliver(make(f.payload(chattest.Message{Text: "local hello"})))
			return status
		}}
	}
	changed := func(name string, want int, key, value string) chattest.Bad {
		return bad(name, want, func(v url.Values) *http.Request {
			v.Set(key, value)
			return requestOf("", v)
		})
	}
	body := func(name string, want int, contentType, text string) chattest.Bad {
		return bad(name, want, func(url.Values) *http.Request { return request(contentType, []byte(text)) })
	}
	return []chattest.Bad{
		changed("forged", http.StatusUnauthorized, "token", "secretsecretofsomebodyelse"),
		changed("forged with the beginning of the token", http.StatusUnauthorized, "token", farHook[:25]),
		changed("forged without a token", http.StatusUnauthorized, "token", ""),
		bad("oversized", http.StatusRequestEntityTooLarge, func(url.Values) *http.Request {
			return request(jsonType, bytes.Repeat([]byte(" "), maxBody+1))
		}),
		body("malformed", http.StatusBadRequest, jsonType, `{"token":7`),
		body("malformed form", http.StatusBadRequest, formType, "token=%zz"),
		body("malformed content type", http.StatusBadRequest, "text/plain", "token="+farHook),
		body("empty", http.StatusBadRequest, jsonType, ""),
		body("empty form", http.StatusUnauthorized, formType, ""),
		bad("truncated", http.StatusBadRequest, func(v url.Values) *http.Request {
			whole := asJSON(v)
			return request(jsonType, whole[:len(whole)-7])
		}),
		changed("own", http.StatusOK, "user_id", farBot),
		changed("bot", http.StatusOK, "user_id", farOther),
		changed("of no post", http.StatusBadRequest, "post_id", ""),
		changed("of no channel", http.StatusBadRequest, "channel_id", "../users/me"),
		changed("of nobody", http.StatusBadRequest, "user_id", ""),
	}
}
