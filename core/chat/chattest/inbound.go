package chattest

import (
	"testing"
)

// askings are the ways to ask something, the usual one first.
func (h Harness) askings() []string { return append([]string{""}, h.Ways...) }

// wayName names a way for subtests.
func wayName(way string) string {
	if way == "" {
		return "usual"
	}
	return way
}

func runInbound(t *testing.T, h Harness) {
	for _, way := range h.askings() {
		t.Run("HandedInOnce/"+wayName(way), func(t *testing.T) {
			s := start(t, h)
			m := Message{Way: way, Text: "local hello Ada"}
			s.sameAs(t, s.said(t, m), s.Expect(m))
			s.inbox.none(t)
		})
		t.Run("IDsDiffer/"+wayName(way), func(t *testing.T) {
			s := start(t, h)
			ids := make(map[string]bool)
			for i := range 5 {
				got := s.said(t, Message{Way: way, Conversation: i % h.Conversations, Person: i % h.People, Text: "local hello"})
				if got.ID == "" || ids[got.ID] {
					t.Errorf("the ID %q is empty or was used before", got.ID)
				}
				ids[got.ID] = true
			}
		})
		t.Run("RedeliveryHasTheSameID/"+wayName(way), func(t *testing.T) { redelivery(t, h, way) })
		t.Run("AwkwardText/"+wayName(way), func(t *testing.T) {
			for name, text := range spoken() {
				t.Run(name, func(t *testing.T) {
					s := start(t, h)
					m := Message{Way: way, Text: "local " + text}
					if got, want := s.said(t, m).Text, h.Arrives(m.Text); got != want {
						t.Errorf("it arrived as %s, want %s", excerpt(got), excerpt(want))
					}
				})
			}
		})
	}
	t.Run("ConversationsDiffer", func(t *testing.T) { conversationsDiffer(t, h) })
	t.Run("PeopleDiffer", func(t *testing.T) {
		s := start(t, h)
		principals := make(map[string]int)
		for p := range h.People {
			m := Message{Person: p, Text: "local hello"}
			got := s.said(t, m)
			s.sameAs(t, got, s.Expect(m))
			who := got.Sender.Principal()
			if other, ok := principals[who]; ok {
				t.Errorf("the people %d and %d are both %s", other, p, who)
			}
			principals[who] = p
		}
	})
	t.Run("Joined", func(t *testing.T) { joined(t, h) })
	t.Run("Followed", func(t *testing.T) { followed(t, h) })
	t.Run("Channels", func(t *testing.T) { channels(t, h) })
}

func conversationsDiffer(t *testing.T, h Harness) {
	s := start(t, h)
	keys := make(map[string]int)
	for c := range h.Conversations {
		for range 2 {
			m := Message{Conversation: c, Text: "local hello"}
			got := s.said(t, m)
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
}

// redelivery delivers a message again, to the same adapter and to the next.
func redelivery(t *testing.T, h Harness, way string) {
	s := start(t, h)
	far, ok := s.Far.(Redelivers)
	if !ok {
		t.Skip("the far side delivers nothing again")
	}
	m := Message{Way: way, Text: "local hello"}
	first := s.said(t, m)
	same := func(when string) {
		t.Helper()
		s.taken(t, far.Again(t, m))
		select {
		case second := <-s.inbox.got:
			t.Errorf("the same message came as %q, and %s as %q", first.ID, when, second.ID)
		default:
		}
	}
	same("again")
	next, ok := s.Far.(Restarts)
	if !ok {
		return
	}
	s.stop()
	s.stop = s.run(t, next.Restart(t, s.env))
	same("after a restart")
	if other := s.said(t, m); other.ID == first.ID {
		t.Error("the same words, said again after a restart, have the same ID")
	}
}

// joined adds Skadi to conversations.
func joined(t *testing.T, h Harness) {
	s := start(t, h)
	far, ok := s.Far.(Joins)
	if !ok {
		t.Skip("Skadi cannot be added to a conversation")
	}
	s.taken(t, far.Join(t, 0))
	got := s.inbox.take(t)
	s.inbox.none(t)
	if !got.Joined || got.Text != "" || got.ID == "" {
		t.Errorf("Skadi was added, and it came as %+v", got)
	}
	if got.Conversation.Account != Account || got.Conversation.Key == "" {
		t.Errorf("it was added to %+v", got.Conversation)
	}
	text := "Hello, I am Skadi."
	s.send(t, outbound("hello", again(t, got.Conversation), text))
	s.shows(t, 0, text)
}

// followed writes in a thread without a mention, before and after Skadi takes
// part there.
func followed(t *testing.T, h Harness) {
	s := start(t, h)
	far, ok := s.Far.(Follows)
	if !ok {
		t.Skip("Skadi hears only what is meant for it")
	}
	c := h.Conversations - 1
	stranger := Message{Conversation: c, Text: "nothing to do with Skadi"}
	s.taken(t, far.Follow(t, stranger))
	select {
	case got := <-s.inbox.got:
		if got.Followed || got.Addressed {
			t.Errorf("a message in a strange thread came as %+v", got)
		}
	default:
	}
	first := s.said(t, Message{Conversation: c, Text: "local hello"})
	s.send(t, outbound("a", again(t, first.Conversation), "hello"))
	follow := func() {
		t.Helper()
		m := Message{Conversation: c, Text: "cancel k7f3q2"}
		s.taken(t, far.Follow(t, m))
		got, want := s.inbox.take(t), s.Expect(m)
		want.Followed, want.Addressed = true, false
		s.sameAs(t, got, want)
		if got.Conversation.Key != first.Conversation.Key {
			t.Errorf("it came in the conversation %q, want %q", got.Conversation.Key, first.Conversation.Key)
		}
	}
	follow()
	if next, ok := s.Far.(Restarts); ok {
		s.stop()
		s.stop = s.run(t, next.Restart(t, s.env))
		follow()
	}
}
