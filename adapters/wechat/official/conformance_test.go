package official

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var hello = chattest.Message{Text: "local hello"}

// displayed is how a text is to be seen.
func displayed(text string) string { return fit(text) }

func harness(plain bool) chattest.Harness {
	return chattest.Harness{
		Start: func(t *testing.T, env chat.Env) chattest.Far {
			f := newWeChat(t, env.Clock)
			f.plain = plain
			f.Restart(t, env)
			return f
		},
		Conversations: 1, People: 2, Ways: []string{"voice", "menu"},
		AnswerWithin: weChatWaits, Displays: displayed,
		Secrets: []string{farSecret, farKey, farWord, "t0ken-"},
		OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{
			http.StatusForbidden: chat.Auth, http.StatusNotFound: chat.Temporary, http.StatusGone: chat.Permanent,
			http.StatusConflict: chat.Temporary, http.StatusPreconditionFailed: chat.Temporary,
		}},
		Without: map[string]string{
			"own":    "WeChat does not deliver what the account itself said",
			"bot":    "nobody but people writes to an official account",
			"edited": "WeChat has no way to change a message",
		},
		Bad: badCalls(),
	}
}

func TestConformance(t *testing.T) { chattest.Run(t, harness(false)) }

// badCalls are what can be wrong with a call.
func badCalls() []chattest.Bad {
	bad := func(name string, want int, do func(f *weChat) *http.Request) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, far chattest.Far) int {
			f := far.(*weChat)
			status, _ := f.Call(do(f), weChatWaits)
			return status
		}}
	}
	changed := func(old, now string) func(f *weChat) *http.Request {
		return func(f *weChat) *http.Request {
			return f.request(strings.Replace(f.written(hello), old, now, 1))
		}
	}
	at := func(late time.Duration) func(f *weChat) *http.Request {
		return func(f *weChat) *http.Request {
			return f.signed(f.written(hello), strconv.FormatInt(f.clock().Add(late).Unix(), 10), "17", farWord)
		}
	}
	query := func(change func(r *http.Request)) func(f *weChat) *http.Request {
		return func(f *weChat) *http.Request {
			r := f.request(f.written(hello))
			change(r)
			return r
		}
	}
	const text = "<MsgType><![CDATA[text]]></MsgType>"
	return []chattest.Bad{
		bad("forged", http.StatusForbidden, func(f *weChat) *http.Request {
			return f.signed(f.written(hello), strconv.FormatInt(f.clock().Unix(), 10), "17", "another-word")
		}),
		bad("forged without a signature", http.StatusForbidden, query(func(r *http.Request) { r.URL.RawQuery = "" })),
		bad("stale", http.StatusForbidden, at(-6*time.Minute)),
		bad("stale, of the future", http.StatusForbidden, at(6*time.Minute)),
		bad("oversized", http.StatusRequestEntityTooLarge, func(f *weChat) *http.Request {
			return f.request(strings.Repeat(" ", envelope.MaxBody+1))
		}),
		bad("malformed", http.StatusBadRequest, func(f *weChat) *http.Request { return f.request("<xml><a>") }),
		bad("malformed number", http.StatusBadRequest, changed("<MsgId>2", "<MsgId>x")),
		bad("malformed time", http.StatusBadRequest, changed("<CreateTime>", "<CreateTime>99999999999999999")),
		bad("empty", http.StatusBadRequest, func(f *weChat) *http.Request { return f.request("") }),
		bad("empty document", http.StatusBadRequest, func(f *weChat) *http.Request { return f.request("<xml></xml>") }),
		bad("truncated", http.StatusBadRequest, func(f *weChat) *http.Request {
			m := f.written(hello)
			return f.request(m[:len(m)-7])
		}),
		bad("of nobody", http.StatusBadRequest, changed(openID(0), "")),
		bad("of an ID that is none", http.StatusBadRequest, changed(openID(0), "o/../p")),
		bad("of no type", http.StatusBadRequest, changed(text, "")),
		bad("of an unknown type", http.StatusOK, changed("[text]", "[hologram]")),
		bad("unsubscribed", http.StatusOK, func(f *weChat) *http.Request { return f.request(f.event("unsubscribe", "")) }),
		bad("a place", http.StatusOK, func(f *weChat) *http.Request { return f.request(f.event("LOCATION", "")) }),
		bad("a page of the menu", http.StatusOK, func(f *weChat) *http.Request {
			return f.request(f.event("VIEW", "https://example.com"))
		}),
	}
}
