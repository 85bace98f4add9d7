package wecom

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// FuzzEvent reads whatever could stand in an envelope.
func FuzzEvent(f *testing.F) {
	f.Add([]byte("<xml><ToUserName>ww0123456789abcdef</ToUserName><FromUserName>ada</FromUserName><CreateTime>1</CreateTime>" +
		"<MsgType>text</MsgType><Content>hi</Content><MsgId>1</MsgId><AgentID>1000002</AgentID></xml>"))
	f.Add([]byte("<xml><ToUserName>ww0123456789abcdef</ToUserName><FromUserName>a/b</FromUserName><CreateTime>1</CreateTime>" +
		"<MsgType>event</MsgType><Event>template_card_event</Event><EventKey>cancel x</EventKey><TaskId>t</TaskId><AgentID>1000002</AgentID></xml>"))
	f.Add([]byte("<xml><MsgType>event</MsgType></xml>"))
	a, err := New(Config{CorpID: farCorp, AgentID: farAgent, Secret: farSecret, Token: farWord, EncodingAESKey: farKey}, newHost().fuzzed())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		e, err := eventOf(message)
		if err != nil || a.forUs(e) != nil {
			return
		}
		m, ok := a.inbound(e)
		if !ok {
			return
		}
		if m.ID == "" || !m.Direct || m.Sender.Workspace != farCorp || !userID.MatchString(m.Sender.User) || m.Joined == (m.Text != "") && m.Joined {
			t.Errorf("%q came as %+v", message, m)
		}
		if to, err := conversationOf(m.Conversation); err != nil || to.key() != m.Conversation.Key {
			t.Errorf("%q: the conversation %+v cannot be read: %v", message, m.Conversation, err)
		}
		_ = e.clickedReply(e.at)
	})
}

func (h *host) fuzzed() chat.Env {
	return chat.Env{Account: "work", Clock: h.clock, KV: h, Lease: h, Logger: discard}
}

// TestIDs: two messages never share an ID, and one keeps its own.
func TestIDs(t *testing.T) {
	t.Parallel()
	f, _ := start(t)
	a := f.Now()
	base := event{from: "Ada", kind: typeEvent, event: eventMenu, key: "help", agent: farAgent}
	others := map[string]func(e *event){
		"another key":    func(e *event) { e.key = "agents" },
		"another time":   func(e *event) { e.at = e.at.Add(1_000_000_000) },
		"somebody else":  func(e *event) { e.from = "Bob" },
		"another event":  func(e *event) { e.event = eventCard },
		"on a card":      func(e *event) { e.event, e.task = eventCard, "t" },
		"another card":   func(e *event) { e.event, e.task = eventCard, "u" },
		"another button": func(e *event) { e.event, e.task, e.key = eventCard, "u", "deny" },
		"entering":       func(e *event) { e.event = eventEnter },
		"a message":      func(e *event) { e.kind, e.id = typeText, "1" },
		"another one":    func(e *event) { e.kind, e.id = typeText, "2" },
	}
	seen := map[string]string{a.messageID(base): "the first"}
	for name, change := range others {
		e := base
		change(&e)
		id := a.messageID(e)
		if before, ok := seen[id]; ok {
			t.Errorf("%s has the ID of %s", name, before)
		}
		seen[id] = name
	}
	again := base
	again.from = "ADA"
	if a.messageID(again) != a.messageID(base) {
		t.Error("capitals make another message")
	}
}

// TestCallbacks reads what WeCom's documentation shows.
func TestCallbacks(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/callbacks/*.xml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	f, _ := start(t)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, err := eventOf(raw)
		if err == nil {
			err = f.Now().forUs(e)
		}
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got := []byte("nothing that anybody asks")
		if m, ok := f.Now().inbound(e); ok {
			m.At = m.At.UTC()
			if got, err = json.MarshalIndent(m, "", "  "); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, "callbacks/"+strings.TrimSuffix(filepath.Base(file), ".xml"), append(got, '\n'))
	}
}
