package slack

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformanceHTTP(t *testing.T) {
	h := harness(startFar(ModeHTTP))
	h.Bad = append(badCalls(), badEvents(http.StatusOK)...)
	chattest.Run(t, h)
}

func TestConformanceSocket(t *testing.T) {
	h := harness(startSocketFar)
	h.Bad = append(badFrames(), badEvents(http.StatusOK)...)
	chattest.Run(t, h)
}

func harness(start func(*testing.T, chat.Env) chattest.Far) chattest.Harness {
	return chattest.Harness{
		Start: start, Conversations: len(places), People: 2, Ways: []string{"slash"},
		AnswerWithin: slackWaits, Notifies: true,
		Displays: strings.NewReplacer("\x1b[2J", "", "\x1b[31m", "", "\x1b]0;title\x07", "", "\u202e", `\u202e`).Replace,
		Secrets:  []string{botToken, appLevelToken, signingSecret, socketTicket, "/response/secret-"},
		OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{403: chat.Auth, 404: chat.Permanent, 409: chat.Permanent, 410: chat.Permanent, 412: chat.Permanent}},
	}
}

var hello = chattest.Message{Text: "local hello"}

// farOf returns the far side, in whichever mode.
func farOf(f chattest.Far) *far {
	if s, ok := f.(socketFar); ok {
		return s.far
	}
	return f.(*far)
}

// badCalls are what can be wrong with a call over HTTP.
func badCalls() []chattest.Bad {
	bad := func(name string, want int, do func(f *far) *http.Request) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, far chattest.Far) int {
			f := farOf(far)
			status, _ := f.Call(do(f), slackWaits)
			return status
		}}
	}
	body := func(text string) func(f *far) *http.Request {
		return func(f *far) *http.Request {
			return f.request(delivery{path: "/events", body: []byte(text)}, f.clock())
		}
	}
	command := chattest.Message{Way: "slash", Text: "local hello"}
	return []chattest.Bad{
		bad("forged", http.StatusUnauthorized, func(f *far) *http.Request {
			d := f.deliveries(hello)[0]
			r := f.request(d, f.clock())
			sign(r, d.body, f.clock(), "another secret")
			return r
		}),
		bad("forged command", http.StatusUnauthorized, func(f *far) *http.Request {
			d := f.deliveries(command)[0]
			r := f.request(d, f.clock())
			sign(r, append(d.body, "&text=evil"...), f.clock(), signingSecret)
			return r
		}),
		bad("forged time", http.StatusUnauthorized, func(f *far) *http.Request {
			r := f.request(f.deliveries(hello)[0], f.clock().Add(-time.Hour))
			r.Header.Set(headerTimestamp, "9999999999")
			return r
		}),
		bad("stale", http.StatusUnauthorized, func(f *far) *http.Request {
			return f.request(f.deliveries(hello)[0], f.clock().Add(-6*time.Minute))
		}),
		bad("stale, from the future", http.StatusUnauthorized, func(f *far) *http.Request {
			return f.request(f.deliveries(hello)[0], f.clock().Add(6*time.Minute))
		}),
		bad("oversized", http.StatusRequestEntityTooLarge, body(`{"type":"event_callback","event":{"text":"`+some(maxBody)+`"}}`)),
		bad("malformed", http.StatusBadRequest, body(`[{"type":7`)),
		bad("malformed, of other types", http.StatusBadRequest, body(`{"type":"event_callback","event_id":"Ev1","event":{"type":"message","text":{"a":1}}}`)),
		bad("malformed, without an ID", http.StatusBadRequest, body(`{"type":"event_callback","team_id":"T0001","event":{"type":"message"}}`)),
		bad("malformed command", http.StatusBadRequest, func(f *far) *http.Request {
			return f.request(delivery{path: "/commands", body: []byte("a=%zz")}, f.clock())
		}),
		bad("malformed click", http.StatusBadRequest, func(f *far) *http.Request {
			return f.request(delivery{path: "/interactivity", body: []byte("payload=%7B%22type%22")}, f.clock())
		}),
		bad("empty", http.StatusBadRequest, body("")),
		bad("empty command", http.StatusBadRequest, func(f *far) *http.Request {
			return f.request(delivery{path: "/commands"}, f.clock())
		}),
		bad("empty click", http.StatusBadRequest, func(f *far) *http.Request {
			return f.request(delivery{path: "/interactivity"}, f.clock())
		}),
		bad("truncated", http.StatusBadRequest, func(f *far) *http.Request {
			d := f.deliveries(hello)[0]
			d.body = d.body[:len(d.body)/2]
			return f.request(d, f.clock())
		}),
		bad("of another workspace", http.StatusForbidden, func(f *far) *http.Request {
			return f.request(f.event(f.messageFields(hello, "local hello"), anotherTeam), f.clock())
		}),
	}
}

func anotherTeam(e map[string]any) { e["team_id"] = "T0002" }

// badFrames are what can be wrong with a message over Socket Mode. It is not
// acknowledged.
func badFrames() []chattest.Bad {
	bad := func(name string, do func(f *far) delivery) chattest.Bad {
		return chattest.Bad{Name: name, Want: 0, Do: func(t *testing.T, far chattest.Far) int {
			f := farOf(far)
			status, _ := f.deliverFor(t, do(f), slackWaits/10)
			return status
		}}
	}
	event := func(payload string) func(*far) delivery {
		return func(*far) delivery { return delivery{kind: "events_api", payload: []byte(payload)} }
	}
	return []chattest.Bad{
		bad("malformed", event(`[7]`)),
		bad("malformed, of other types", event(`{"type":"event_callback","event_id":"Ev1","event":{"type":"message","text":{"a":1}}}`)),
		bad("malformed command", func(*far) delivery { return delivery{kind: "slash_commands", payload: []byte(`{"user_id":7}`)} }),
		bad("malformed click", func(*far) delivery { return delivery{kind: "interactive", payload: []byte(`{"type":[]}`)} }),
		bad("empty", event(`{}`)),
		bad("of no kind", func(*far) delivery { return delivery{kind: "surprise", payload: []byte(`{}`)} }),
		bad("of another workspace", func(f *far) delivery {
			return f.event(f.messageFields(hello, "local hello"), anotherTeam)
		}),
		bad("of another app", func(f *far) delivery {
			return f.event(f.messageFields(hello, "local hello"), func(e map[string]any) { e["api_app_id"] = "A0002" })
		}),
		{Name: "truncated", Want: 0, Do: func(t *testing.T, far chattest.Far) int {
			if w := farOf(far).connected(t.Context(), 1); w == nil || w.raw([]byte(`{"type":"events_api","env`)) != nil {
				t.Error("it could not be sent")
			}
			return 0
		}},
		{Name: "oversized", Want: 0, Do: func(t *testing.T, far chattest.Far) int {
			// The connection ends with it, and the next one works.
			f := farOf(far)
			w := f.connected(t.Context(), 1)
			_ = w.send(map[string]any{"type": "events_api", "envelope_id": "big", "payload": some(maxBody + 1)})
			eventually(t, func() (bool, bool) {
				f.sockets.mu.Lock()
				defer f.sockets.mu.Unlock()
				for _, o := range f.open {
					if o == w {
						return false, false
					}
				}
				return true, true
			})
			return 0
		}},
	}
}

// badEvents are genuine and are not commands.
func badEvents(want int) []chattest.Bad {
	direct := chattest.Message{Conversation: 2, Text: "local hello"}
	var all []chattest.Bad
	add := func(name string, m chattest.Message, change func(fields map[string]any)) {
		all = append(all, chattest.Bad{Name: name, Want: want, Do: func(t *testing.T, far chattest.Far) int {
			f := farOf(far)
			fields := f.messageFields(m, "local hello")
			change(fields)
			status, _ := f.deliver(t, f.event(fields))
			return status
		}})
	}
	set := func(pairs ...any) func(map[string]any) {
		return func(fields map[string]any) {
			for i := 0; i < len(pairs); i += 2 {
				fields[pairs[i].(string)] = pairs[i+1]
			}
		}
	}
	mention := func(pairs ...any) func(map[string]any) {
		return set(append([]any{"type", "app_mention", "text", "<@" + botUser + "> local hello"}, pairs...)...)
	}
	edited := map[string]any{"user": person(0), "ts": "1700000009.000000"}
	add("own message", direct, set("user", botUser, "bot_id", botID))
	add("own message without its bot", direct, set("user", botUser))
	add("own mention", hello, mention("user", botUser))
	add("bot's message", direct, set("user", "U0OTHER", "bot_id", "B0OTHER", "app_id", "A0OTHER"))
	add("bot's mention", hello, mention("bot_id", "B0OTHER"))
	add("bot's message of old", direct, set("subtype", "bot_message"))
	add("bot of Slack", direct, set("user", "USLACKBOT"))
	add("edited mention", hello, mention("edited", edited))
	add("edited message", direct, set("edited", edited))
	for _, subtype := range []string{"message_changed", "message_deleted", "message_replied", "channel_topic", "me_message", "reminder_add", "huddle_thread"} {
		add("edited or other: "+subtype, direct, set("subtype", subtype))
	}
	add("hidden", direct, set("hidden", true))
	add("not to Skadi", hello, set("thread_ts", nil))
	add("mention as a message", hello, set("text", "<@"+botUser+"> local hello"))
	add("direct message as a mention", direct, mention())
	add("file without a word", direct, set("subtype", "file_share", "text", ""))
	add("of a kind that is not asked for", hello, set("type", "channel_created", "channel", map[string]any{"id": "C1"}))
	add("somebody else joins", hello, set("type", "member_joined_channel"))
	return all
}
