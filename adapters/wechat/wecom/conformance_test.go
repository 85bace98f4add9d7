package wecom

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/adapters/wechat/envelope/envelopetest"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var hello = chattest.Message{Text: "local hello"}

func TestConformance(t *testing.T) {
	chattest.Run(t, chattest.Harness{
		Start:         func(t *testing.T, env chat.Env) chattest.Far { return startWeCom(t, env) },
		Conversations: 1, Ways: []string{"menu"}, AnswerWithin: weComWaits, Displays: shown,
		Secrets: []string{farSecret, farKey, farWord, "t0ken-"},
		OverHTTP: &chattest.OverHTTP{Classes: map[int]chat.Class{
			http.StatusForbidden: chat.Auth, http.StatusNotFound: chat.Temporary, http.StatusGone: chat.Permanent,
			http.StatusConflict: chat.Temporary, http.StatusPreconditionFailed: chat.Temporary,
		}},
		Failures: failures(),
		Without: map[string]string{
			"own":    "WeCom does not deliver what the application itself said",
			"bot":    "nobody but members writes to an application",
			"edited": "WeCom has no way to change a message",
		},
		Bad: badCalls(),
	})
}

// failures are what WeCom answers with the status 200.
func failures() []chattest.Failure {
	var all []chattest.Failure
	add := func(name string, class chat.Class, after time.Duration, answers ...map[string]any) {
		all = append(all, chattest.Failure{Name: name, Class: class, RetryAfter: after, Set: func(_ *testing.T, far chattest.Far) {
			far.(*weCom).answersWith(answers...)
		}})
	}
	ok := func(key string) map[string]any {
		return map[string]any{"errcode": 0, "errmsg": "ok", key: "ada.lovelace"}
	}
	add("busy", chat.Temporary, 0, fault(-1, "system busy"))
	add("too many", chat.RateLimited, time.Minute, fault(45009, "api freq out of limit"))
	add("too many at once", chat.RateLimited, time.Minute, fault(45033, "api concurrent out of limit"))
	add("token refused twice", chat.Auth, 0, fault(42001, "access_token expired"), fault(42001, "access_token expired"))
	add("no right", chat.Auth, 0, fault(60011, "no privilege to access/modify contact/party/agent"))
	add("not from here", chat.Auth, 0, fault(60020, "not allow to access from your ip"))
	add("another application's secret", chat.Auth, 0, fault(301002, "not allow operate another agent with this accesstoken"))
	add("nobody there", chat.Gone, 0, fault(81013, "user & party & tag all invalid"))
	add("no such member", chat.Gone, 0, fault(60111, "userid not found"))
	add("invalid user in a success", chat.Gone, 0, ok("invaliduser"))
	add("unlicensed user in a success", chat.Gone, 0, ok("unlicenseduser"))
	add("too long", chat.Permanent, 0, fault(45002, "content size exceeds the limit"))
	add("of no documented kind", chat.Permanent, 0, fault(99999, "?"))
	return all
}

// badCalls are what can be wrong with a call.
func badCalls() []chattest.Bad {
	bad := func(name string, want int, do func(f *weCom) *http.Request) chattest.Bad {
		return chattest.Bad{Name: name, Want: want, Do: func(_ *testing.T, far chattest.Far) int {
			f := far.(*weCom)
			status, _ := f.Call(do(f), weComWaits)
			return status
		}}
	}
	changed := func(old, now string) func(f *weCom) *http.Request {
		return func(f *weCom) *http.Request {
			return f.request(strings.Replace(f.written(hello), old, now, 1))
		}
	}
	late := func(by time.Duration) func(f *weCom) *http.Request {
		return func(f *weCom) *http.Request { return f.requestFor(f.written(hello), farCorp, farWord, by) }
	}
	query := func(change func(r *http.Request)) func(f *weCom) *http.Request {
		return func(f *weCom) *http.Request {
			r := f.request(f.written(hello))
			change(r)
			return r
		}
	}
	event := func(name, more string) func(f *weCom) *http.Request {
		return func(f *weCom) *http.Request { return f.request(f.event(name, more)) }
	}
	return []chattest.Bad{
		bad("forged", http.StatusForbidden, func(f *weCom) *http.Request {
			return f.requestFor(f.written(hello), farCorp, "another", 0)
		}),
		bad("forged without a signature", http.StatusForbidden, query(func(r *http.Request) { r.URL.RawQuery = "" })),
		bad("forged in plain text", http.StatusBadRequest, func(f *weCom) *http.Request {
			m := f.written(hello)
			r := f.request(m)
			plain, _ := http.NewRequest(http.MethodPost, r.URL.String(), strings.NewReader(m))
			return plain
		}),
		bad("stale", http.StatusForbidden, late(-6*time.Minute)),
		bad("stale, of the future", http.StatusForbidden, late(6*time.Minute)),
		bad("oversized", http.StatusRequestEntityTooLarge, func(f *weCom) *http.Request {
			return f.request(strings.Repeat(" ", envelope.MaxBody+1))
		}),
		bad("malformed", http.StatusBadRequest, func(f *weCom) *http.Request { return f.request("<xml><a>") }),
		bad("malformed number", http.StatusBadRequest, changed("<MsgId>6", "<MsgId>x")),
		bad("malformed time", http.StatusBadRequest, changed("<CreateTime>", "<CreateTime>99999999999999999")),
		bad("empty", http.StatusBadRequest, func(f *weCom) *http.Request { return f.request("") }),
		bad("empty document", http.StatusForbidden, func(f *weCom) *http.Request { return f.request("<xml></xml>") }),
		bad("truncated", http.StatusBadRequest, func(f *weCom) *http.Request {
			m := f.written(hello)
			return f.request(m[:len(m)-7])
		}),
		bad("for another company", http.StatusForbidden, func(f *weCom) *http.Request {
			return f.requestFor(f.written(hello), "ww9999999999999999", farWord, 0)
		}),
		bad("for another company inside", http.StatusForbidden, changed(farCorp, "ww9999999999999999")),
		bad("for another application", http.StatusForbidden, changed("<AgentID>1000002", "<AgentID>1000003")),
		bad("of no type", http.StatusBadRequest, changed("<MsgType><![CDATA[text]]></MsgType>", "")),
		bad("of an unknown type", http.StatusOK, changed("[text]", "[hologram]")),
		bad("of the system", http.StatusOK, changed(farMember, "s/y*s")),
		bad("of no ID", http.StatusOK, func(f *weCom) *http.Request {
			return f.request(f.message("<MsgType>text</MsgType><Content>local hello</Content>"))
		}),
		bad("a place", http.StatusOK, event("LOCATION", "<Latitude>1</Latitude>")),
		bad("a page of the menu", http.StatusOK, event("view", "<EventKey>"+envelopetest.CDATA("https://example.com")+"</EventKey>")),
		bad("a click on nothing", http.StatusOK, event("click", "<EventKey></EventKey>")),
	}
}
