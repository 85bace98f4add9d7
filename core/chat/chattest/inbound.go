package chattest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// awkward are texts that channels garble.
func awkward() map[string]string {
	return map[string]string{
		"markup":        `<b>bold</b> & "quotes" *stars* _lines_ ~waves~ [link](http://example.com) \back` + "`slash`",
		"mentions":      "@channel @everyone <!channel> <!here> <@U0123> <at>Ada</at> @all",
		"emoji":         "👋🏽 👨‍👩‍👧 🇩🇪 :smile:",
		"right to left": "שלום עולם مرحبا",
		"wide":          "你好，世界",
		"combining":     "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤ e\u0301",
		"blanks":        "two  blanks and\ta tab",
		"long":          strings.Repeat("0123456789 abcdefghij ", 100<<10/22),
	}
}

func runInbound(t *testing.T, h Harness) {
	t.Run("HandedInOnce", func(t *testing.T) {
		s := start(t, h)
		m := Message{Text: "local hello Ada"}
		s.taken(t, s.Say(t, m))
		s.sameAs(t, s.inbox.take(t), s.Expect(m))
		s.inbox.none(t)
	})
	t.Run("IDsDiffer", func(t *testing.T) {
		s := start(t, h)
		ids := make(map[string]bool)
		for i := range 5 {
			s.taken(t, s.Say(t, Message{Conversation: i % h.Conversations, Text: "local hello"}))
			got := s.inbox.take(t)
			if got.ID == "" || ids[got.ID] {
				t.Errorf("the ID %q is empty or was used before", got.ID)
			}
			ids[got.ID] = true
		}
	})
	t.Run("ConversationsDiffer", func(t *testing.T) {
		s := start(t, h)
		keys := make(map[string]int)
		for c := range h.Conversations {
			for range 2 {
				m := Message{Conversation: c, Text: "local hello"}
				s.taken(t, s.Say(t, m))
				got := s.inbox.take(t)
				s.sameAs(t, got, s.Expect(m))
				key := got.Conversation.Key
				if other, ok := keys[key]; key == "" || ok && other != c {
					t.Errorf("conversation %d has the key %q, which is empty or another's", c, key)
				}
				keys[key] = c
			}
		}
		if len(keys) != h.Conversations {
			t.Errorf("%d conversations have %d keys", h.Conversations, len(keys))
		}
	})
	t.Run("RedeliveryHasTheSameID", func(t *testing.T) {
		s := start(t, h)
		far, ok := s.Far.(Redelivers)
		if !ok {
			t.Skip("the far side delivers nothing again")
		}
		m := Message{Text: "local hello"}
		s.taken(t, s.Say(t, m))
		first := s.inbox.take(t)
		before := s.inbox.count()
		s.taken(t, far.Again(t, m))
		if s.inbox.count() == before {
			return // the adapter knew it itself
		}
		select {
		case second := <-s.inbox.got:
			t.Errorf("the same message came as %q and as %q", first.ID, second.ID)
		default:
		}
	})
	t.Run("FailureIsTold", func(t *testing.T) { failureIsTold(t, h) })
	t.Run("AwkwardText", func(t *testing.T) {
		for name, text := range awkward() {
			t.Run(name, func(t *testing.T) {
				s := start(t, h)
				s.taken(t, s.Say(t, Message{Text: "local " + text}))
				want := "local " + text
				if h.Arrives != nil {
					want = h.Arrives(want)
				}
				if got := s.inbox.take(t); got.Text != want {
					t.Errorf("it arrived as %s, want %s", excerpt(got.Text), excerpt(want))
				}
			})
		}
	})
	for _, bad := range h.Bad {
		t.Run("Bad/"+bad.Name, func(t *testing.T) {
			s := start(t, h)
			if got := bad.Do(t, s.Far); got != bad.Want {
				t.Errorf("it was answered with %d, want %d", got, bad.Want)
			}
			// What is good still comes through, and nothing before it.
			m := Message{Text: "local hello"}
			s.taken(t, s.Say(t, m))
			s.sameAs(t, s.inbox.take(t), s.Expect(m))
			if n := s.inbox.count(); n != 1 {
				t.Errorf("%d messages were handed in, want 1", n)
			}
		})
	}
	t.Run("NothingAfterTheEnd", func(t *testing.T) {
		s := start(t, h)
		s.stop()
		s.inbox.none(t)
	})
}

// failureIsTold checks what the far side hears of a message that cannot be
// stored: that it is to deliver it again, or the asker hears that it is lost.
func failureIsTold(t *testing.T, h Harness) {
	s := start(t, h)
	s.inbox.failWith(errStore)
	m := Message{Text: "local hello"}
	r := s.Say(t, m)
	if r.Taken && r.Told == "" {
		t.Fatal("a message that was not stored counts as taken, and nobody was told")
	}
	s.inbox.failWith(nil)
	far, ok := s.Far.(Redelivers)
	if r.Taken || !ok {
		return
	}
	s.taken(t, far.Again(t, m))
	s.sameAs(t, s.inbox.take(t), s.Expect(m))
}

func (s *setup) taken(t *testing.T, r Receipt) {
	t.Helper()
	if !r.Taken {
		t.Errorf("the message was not acknowledged (the asker was told %q)", r.Told)
	}
}

// sameAs compares what the harness can know of a message.
func (s *setup) sameAs(t *testing.T, got, want chat.Inbound) {
	t.Helper()
	if got.Sender.Account != Account || got.Conversation.Account != Account {
		t.Errorf("it came from the account %q, in a conversation of %q, want %q",
			got.Sender.Account, got.Conversation.Account, Account)
	}
	if got.Sender.Principal() != want.Sender.Principal() {
		t.Errorf("it came from %s, want %s", got.Sender.Principal(), want.Sender.Principal())
	}
	if got.Conversation.Channel != want.Conversation.Channel {
		t.Errorf("it came in the channel %q, want %q", got.Conversation.Channel, want.Conversation.Channel)
	}
	if got.Text != want.Text {
		t.Errorf("its text is %s, want %s", excerpt(got.Text), excerpt(want.Text))
	}
	if got.Direct != want.Direct || got.Addressed != want.Addressed {
		t.Errorf("direct %t and addressed %t, want %t and %t", got.Direct, got.Addressed, want.Direct, want.Addressed)
	}
	if age := time.Since(got.At).Abs(); age > time.Hour {
		t.Errorf("it was sent at %s, which is not about now", got.At)
	}
	again(t, got.Conversation)
}

// excerpt keeps failures readable.
func excerpt(text string) string {
	const most = 200
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q… (%d bytes)", text[:most], len(text))
}
