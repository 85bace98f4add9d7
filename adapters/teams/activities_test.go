package teams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/letserverrun/skadi/core/chat/chattest"
)

func (f *microsoft) serviceURL() string { return f.srv.URL + "/connector/" }

// claims are those of a good token.
func (f *microsoft) claims() map[string]any {
	now := f.clock().Unix()
	return map[string]any{
		"iss": farIssuer, "aud": farApp, "serviceurl": f.serviceURL(), "nbf": now - 60, "exp": now + 3600,
	}
}

func (f *microsoft) token(change ...func(header, claims map[string]any)) string {
	header, claims := map[string]any{"alg": "RS256", "typ": "JWT", "kid": "good", "x5t": "good"}, f.claims()
	for _, c := range change {
		c(header, claims)
	}
	return sign(goodKey(), header, claims)
}

// request makes a call with a good token.
func (f *microsoft) request(body []byte) *http.Request {
	return f.requestWith(body, "Bearer "+f.token())
}

func (f *microsoft) requestWith(body []byte, authorization string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/messages", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Authorization", authorization)
	return r
}

// activity makes an activity of a person in a conversation.
func (f *microsoft) activity(kind string, c, p int) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	place := places[c]
	where := map[string]any{"id": place.id, "conversationType": place.kind, "tenantId": farTenant}
	data := map[string]any{"tenant": map[string]any{"id": farTenant}}
	if place.kind != personal {
		where["isGroup"] = true
	}
	if place.kind == inChannel {
		data["team"], data["channel"] = map[string]any{"id": "19:team@thread.tacv2"}, map[string]any{"id": "19:channel@thread.tacv2"}
	}
	now := f.clock().UTC()
	return map[string]any{
		"type": kind, "id": fmt.Sprint(1_700_000_000_000 + f.n), "channelId": "msteams", "serviceUrl": f.serviceURL(),
		"timestamp": now.Format("2006-01-02T15:04:05.0000000Z"), "localTimestamp": now.Format("2006-01-02T15:04:05.0000000-07:00"),
		"from":      map[string]any{"id": fmt.Sprintf("29:1-person_%d", p), "name": "Ada Lovelace", "aadObjectId": person(p)},
		"recipient": map[string]any{"id": "28:" + farApp, "name": "Skadi"}, "conversation": where, "channelData": data,
		"locale": "en-GB", "entities": []any{map[string]any{"type": "clientInfo", "country": "GB", "platform": "Web", "mentioned": true}},
	}
}

// typed is what Teams makes of what somebody typed: every second space is a
// no-break space.
func typed(text string) string {
	text = html.EscapeString(text)
	return strings.ReplaceAll(text, "  ", " &nbsp;")
}

// message makes the activity of a message.
func (f *microsoft) message(m chattest.Message) map[string]any {
	a := f.activity("message", m.Conversation, m.Person)
	text, content := typed(m.Text), typed(m.Text)
	if places[m.Conversation].kind != personal {
		a["entities"] = append(a["entities"].([]any), map[string]any{
			"type": "mention", "text": "<at>Skadi</at>", "mentioned": map[string]any{"id": "28:" + farApp, "name": "Skadi"},
		})
		text = "<at>Skadi</at>&nbsp;" + text + "\n"
		content = `<span itemtype="http://schema.skype.com/Mention" itemscope="" itemid="0">Skadi</span>&nbsp;` + content
	}
	a["text"], a["textFormat"] = text, "plain"
	if m.Way != "text" {
		a["attachments"] = []any{map[string]any{"contentType": "text/html", "content": "<div>\r\n<div><p>" + content + "</p>\n</div>\n</div>"}}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said[m] = a
	return a
}

func encoded(a map[string]any) []byte {
	raw, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	return raw
}

// invoke makes the activity of a click on Action.Execute.
func (f *microsoft) invoke(p, on int, conversation int, command string) map[string]any {
	a := f.activity("invoke", conversation, p)
	a["name"], a["replyToId"] = "adaptiveCard/action", fmt.Sprintf("sent-%d", on)
	a["id"] = "f:" + a["id"].(string)
	a["value"] = map[string]any{
		"action":  map[string]any{"type": "Action.Execute", "verb": "command", "data": map[string]any{"command": command}},
		"trigger": "manual",
	}
	return a
}

// with returns an activity with a field changed; nil takes it out. A dot leads
// into what is nested.
func with(a map[string]any, path string, value any) map[string]any {
	a = maps.Clone(a)
	name, rest, nested := strings.Cut(path, ".")
	switch {
	case nested:
		inner, _ := a[name].(map[string]any)
		a[name] = with(inner, rest, value)
	case value == nil:
		delete(a, name)
	default:
		a[name] = value
	}
	return a
}
