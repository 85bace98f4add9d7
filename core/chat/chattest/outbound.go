package chattest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// outbound is a plain reply.
func outbound(id string, to chat.ConversationRef, text string) chat.Outbound {
	return chat.Outbound{ID: id, To: to, Text: text}
}

func runOutbound(t *testing.T, h Harness) {
	t.Run("ReplyComesWhereItWasAsked", func(t *testing.T) {
		s := start(t, h)
		for _, way := range h.askings() {
			for c := range h.Conversations {
				text := fmt.Sprintf("%s reply number %d", wayName(way), c)
				to := again(t, s.said(t, Message{Way: way, Conversation: c, Text: "local hello"}).Conversation)
				s.send(t, outbound(text, to, text))
				s.shows(t, c, text)
			}
		}
	})
	t.Run("AfterARestart", func(t *testing.T) { afterARestart(t, h) })
	t.Run("Edit", func(t *testing.T) {
		s := start(t, h)
		if !s.Adapter().Capabilities().Edit {
			t.Skip("the channel cannot edit")
		}
		for c := range h.Conversations {
			s.edits(t, c)
		}
	})
	t.Run("EditOfWhatWasDeleted", func(t *testing.T) {
		s := start(t, h)
		far, ok := s.Far.(Deletes)
		if !ok || !s.Adapter().Capabilities().Edit {
			t.Skip("the channel cannot edit, or what was sent cannot be deleted")
		}
		for c := range h.Conversations {
			s.editsDeleted(t, far, c)
		}
	})
	t.Run("Files", func(t *testing.T) {
		s := start(t, h)
		if !s.Adapter().Capabilities().Files {
			t.Skip("the channel takes no files")
		}
		s.attaches(t)
	})
	t.Run("AwkwardText", func(t *testing.T) {
		texts := awkward()
		texts["escapes"] = "a\x1b[2J\x1b[31mred\x1b]0;title\x07 \u202eevil"
		for name, text := range texts {
			t.Run(name, func(t *testing.T) { s := start(t, h); s.survives(t, text) })
		}
	})
	t.Run("AsLongAsAllowed", func(t *testing.T) {
		for name, unit := range map[string]string{"escaped": "&<>", "wide": "世", "emoji": "👨‍👩‍👧", "lines": "a\n"} {
			t.Run(name, func(t *testing.T) {
				s := start(t, h)
				limit := s.Adapter().Capabilities().MaxBytes
				if limit == 0 {
					limit = 100 << 10
				}
				s.send(t, outbound("long", s.conversation(t, 0), cut(strings.Repeat(unit, limit/len(unit)+1), limit)))
			})
		}
	})
	t.Run("Mention", func(t *testing.T) { mentions(t, h) })
	t.Run("ManyAtOnce", func(t *testing.T) { s := start(t, h); s.manyAtOnce(t) })
	for _, way := range h.askings() {
		t.Run("Quota/"+wayName(way), func(t *testing.T) { quotas(t, h, way) })
	}
}

func afterARestart(t *testing.T, h Harness) {
	s := start(t, h)
	far, ok := s.Far.(Restarts)
	if !ok {
		t.Skip("the far side ends with the process")
	}
	var to []chat.ConversationRef
	var refs []chat.MessageRef
	for c := range h.Conversations {
		to = append(to, s.conversation(t, c))
		refs = append(refs, s.send(t, outbound(fmt.Sprint("before", c), to[c], fmt.Sprintf("before, in %d", c))))
	}
	s.stop()
	next := far.Restart(t, s.env)
	s.stop = s.run(t, next)
	for c := range h.Conversations {
		text := fmt.Sprintf("after, in %d", c)
		m := outbound(fmt.Sprint("after", c), to[c], text)
		if next.Capabilities().Edit {
			m.Edit = &refs[c]
		}
		s.send(t, m)
		s.shows(t, c, text)
		if key := s.conversation(t, c).Key; key != to[c].Key {
			t.Errorf("conversation %d has the key %q, and %q after a restart", c, to[c].Key, key)
		}
	}
}

// edits checks that an edit takes the place of what it edits, in the same
// conversation and nowhere else.
func (s *setup) edits(t *testing.T, c int) {
	t.Helper()
	texts := []string{fmt.Sprintf("the first text in %d", c), fmt.Sprintf("the second text in %d", c), fmt.Sprintf("the third text in %d", c)}
	to := s.conversation(t, c)
	ref := s.send(t, outbound(texts[0], to, texts[0]))
	messages := len(s.Shown(t))
	for _, text := range texts[1:] {
		m := outbound(text, to, text)
		m.Edit = &ref
		ref = s.send(t, m)
		s.shows(t, c, text)
	}
	if s.Adapter().Capabilities().Append {
		return
	}
	if n := len(s.Shown(t)); n != messages {
		t.Errorf("%d messages are shown after two edits, %d before", n, messages)
	}
	for _, text := range texts[:2] {
		s.hides(t, text)
	}
}

// editsDeleted edits a message that was deleted: the adapter sends a new one, or
// says that there is nothing to edit, so that core does.
func (s *setup) editsDeleted(t *testing.T, far Deletes, c int) {
	t.Helper()
	first, second := fmt.Sprintf("deleted in %d", c), fmt.Sprintf("in its place in %d", c)
	m := outbound(first, s.conversation(t, c), first)
	ref := s.send(t, m)
	far.Delete(t, c)
	s.hides(t, first)
	m.ID, m.Text, m.Edit = second, second, &ref
	if _, err := s.Adapter().Send(t.Context(), m); err != nil {
		var se *chat.SendError
		if !errors.As(err, &se) || se.Class != chat.Permanent && se.Class != chat.Gone {
			t.Errorf("an edit of what was deleted failed with %v, want permanent or gone", err)
		}
		m.ID, m.Edit = m.ID+".new", nil
		s.send(t, m)
	}
	s.shows(t, c, second)
}

// attaches sends files: one, one with awkward text, and several.
func (s *setup) attaches(t *testing.T) {
	t.Helper()
	to := s.conversation(t, s.h.Conversations-1)
	files := []chat.File{
		{Name: "k7f3q2.txt", Text: strings.Repeat("a line of output\n", 10_000)},
		{Name: "k7f3q3.txt", Text: awkward()["markup"] + awkward()["mentions"] + awkward()["emoji"]},
	}
	s.send(t, chat.Outbound{ID: "one", To: to, Text: "see the file", Files: files[:1]})
	s.send(t, chat.Outbound{ID: "more", To: to, Text: "see the files", Files: files})
	want := map[chat.File]int{files[0]: 2, files[1]: 1}
	for _, shown := range s.Shown(t) {
		for _, f := range shown.Files {
			if shown.Conversation != s.h.Conversations-1 {
				t.Errorf("the file %s is in conversation %d", f.Name, shown.Conversation)
			}
			want[f]--
		}
	}
	for f, n := range want {
		if n != 0 {
			t.Errorf("the file %s (%d bytes) is in the conversation %d times too few", f.Name, len(f.Text), n)
		}
	}
}

// survives checks that text is seen as it is and notifies nobody.
func (s *setup) survives(t *testing.T, text string) {
	t.Helper()
	// Core sends no more than the channel takes.
	text = cut(text, s.Adapter().Capabilities().MaxBytes)
	s.send(t, outbound("awkward", s.conversation(t, 0), text))
	s.shows(t, 0, strings.TrimSpace(s.h.Displays(text)))
	s.notified(t)
}

// mentions checks that a message notifies the one whom it is to, and nobody
// whom its text names.
func mentions(t *testing.T, h Harness) {
	s := start(t, h)
	if !h.Notifies {
		t.Skip("the channel cannot notify a person")
	}
	for p := range h.People {
		for c := range h.Conversations {
			got := s.said(t, Message{Conversation: c, Person: p, Text: "local hello"})
			before := len(s.Shown(t))
			m := outbound(fmt.Sprint("mention", c, p), again(t, got.Conversation), "done <!channel> @everyone <at>all</at>")
			m.Mention = &got.Sender
			s.send(t, m)
			shown := s.Shown(t)
			if len(shown) <= before {
				t.Fatalf("nothing is shown in conversation %d", c)
			}
			last := shown[len(shown)-1]
			if !slices.Equal(last.Notified, []string{got.Sender.User}) {
				t.Errorf("it notified %q, want %q", last.Notified, got.Sender.User)
			}
		}
	}
}

func (s *setup) manyAtOnce(t *testing.T) {
	t.Helper()
	var to []chat.ConversationRef
	for c := range s.h.Conversations {
		to = append(to, s.conversation(t, c))
	}
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			m := outbound(fmt.Sprint("m", i), to[i%len(to)], fmt.Sprintf("message <%02d>", i))
			ref, err := s.Adapter().Send(t.Context(), m)
			if err == nil && s.Adapter().Capabilities().Edit {
				m.ID, m.Edit, m.Text = m.ID+"e", &ref, m.Text+" edited"
				_, err = s.Adapter().Send(t.Context(), m)
			}
			if err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
	wg.Wait()
	for i := range n {
		s.shows(t, i%len(to), s.h.Displays(fmt.Sprintf("message <%02d>", i)))
	}
}

// quotas uses up what may answer a message, in number and in time.
func quotas(t *testing.T, h Harness, way string) {
	s := start(t, h)
	m := Message{Way: way, Text: "local hello"}
	to := again(t, s.said(t, m).Conversation)
	if to.Quota == nil {
		t.Skip("any number of messages may answer it")
	}
	for i := range to.Quota.Messages {
		text := fmt.Sprintf("answer number %d", i)
		s.send(t, outbound(text, to, text))
		s.shows(t, 0, text)
	}
	s.spent(t, outbound("more", to, "one too many"))
	if until := to.Quota.Until; !until.IsZero() {
		to = again(t, s.said(t, m).Conversation)
		s.clock.forward(to.Quota.Until.Sub(s.clock.now()) + time.Minute)
		s.spent(t, outbound("late", to, "too late"))
	}
}

// spent sends what the quota leaves no room for: it comes some other way, or
// is given up at once.
func (s *setup) spent(t *testing.T, m chat.Outbound) {
	t.Helper()
	_, err := s.Adapter().Send(t.Context(), m)
	var se *chat.SendError
	switch {
	case err == nil:
		s.seen(t, m.Text)
	case !errors.As(err, &se) || se.Class != chat.Gone && se.Class != chat.Permanent:
		t.Errorf("what the quota leaves no room for failed with %v, want gone or permanent", err)
	}
}

// shows checks that the text is seen in a conversation, and in no other.
func (s *setup) shows(t *testing.T, conversation int, text string) {
	t.Helper()
	found := false
	for _, shown := range s.Shown(t) {
		switch {
		case !strings.Contains(shown.Text, text):
		case shown.Conversation == conversation:
			found = true
		default:
			t.Errorf("%s is seen in conversation %d, want %d", excerpt(text), shown.Conversation, conversation)
		}
	}
	if !found {
		t.Errorf("%s is not seen in conversation %d", excerpt(text), conversation)
	}
}

// hides checks that the text is seen nowhere.
func (s *setup) hides(t *testing.T, text string) {
	t.Helper()
	for _, shown := range s.Shown(t) {
		if strings.Contains(shown.Text, text) {
			t.Errorf("%s is still seen", excerpt(text))
		}
	}
}

// seen checks that the text is seen somewhere.
func (s *setup) seen(t *testing.T, text string) {
	t.Helper()
	for _, shown := range s.Shown(t) {
		if strings.Contains(shown.Text, text) {
			return
		}
	}
	t.Errorf("%s is seen nowhere", excerpt(text))
}

// notified checks who was notified by all that is shown.
func (s *setup) notified(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, shown := range s.Shown(t) {
		got = append(got, shown.Notified...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q were notified, want %q", got, want)
	}
}
