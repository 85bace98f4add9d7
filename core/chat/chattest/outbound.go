package chattest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

func runOutbound(t *testing.T, h Harness) {
	t.Run("ReplyComesWhereItWasAsked", func(t *testing.T) {
		s := start(t, h)
		for c := range h.Conversations {
			text := fmt.Sprintf("reply number %d", c)
			s.send(t, chat.Outbound{ID: text, To: s.conversation(t, c), Text: text})
			s.shows(t, c, text)
		}
	})
	t.Run("AfterARestart", func(t *testing.T) {
		s := start(t, h)
		far, ok := s.Far.(Restarts)
		if !ok {
			t.Skip("the far side ends with the process")
		}
		to := s.conversation(t, h.Conversations-1)
		ref := again(t, s.send(t, chat.Outbound{ID: "a", To: to, Text: "before"}))
		s.stop()
		next := far.Restart(t, s.env)
		s.run(t, next)
		m := chat.Outbound{ID: "b", To: to, Text: "after"}
		if next.Capabilities().Edit {
			m.Edit = &ref
		}
		if _, err := next.Send(t.Context(), m); err != nil {
			t.Fatalf("Send: %v", err)
		}
		s.shows(t, h.Conversations-1, "after")
	})
	t.Run("Edit", func(t *testing.T) {
		s := start(t, h)
		if !s.Adapter().Capabilities().Edit {
			t.Skip("the channel cannot edit")
		}
		s.edits(t)
	})
	t.Run("Card", func(t *testing.T) {
		s := start(t, h)
		for _, mark := range []chat.Mark{
			chat.MarkWaiting, chat.MarkRunning, chat.MarkSucceeded, chat.MarkFailed, chat.MarkExpired, chat.MarkCanceled,
		} {
			m := s.jobMessage(t, mark)
			s.send(t, m)
			for _, part := range []string{m.Card.Code, m.Card.Agent, m.Card.Message} {
				s.shows(t, 0, part)
			}
			if m.Card.Final {
				s.shows(t, 0, m.Card.Output)
			}
		}
	})
	t.Run("Buttons", func(t *testing.T) {
		s := start(t, h)
		if !s.Adapter().Capabilities().Buttons {
			t.Skip("the channel has no buttons")
		}
		s.buttons(t)
	})
	t.Run("Files", func(t *testing.T) {
		s := start(t, h)
		if !s.Adapter().Capabilities().Files {
			t.Skip("the channel takes no files")
		}
		f := chat.File{Name: "k7f3q2.txt", Text: strings.Repeat("a line of output\n", 10_000)}
		s.send(t, chat.Outbound{ID: "f", To: s.conversation(t, 0), Text: "see the file", Files: []chat.File{f}})
		for _, shown := range s.Shown(t) {
			if shown.Conversation == 0 && len(shown.Files) == 1 && shown.Files[0] == f {
				return
			}
		}
		t.Error("the file is not in the conversation")
	})
	t.Run("AwkwardText", func(t *testing.T) {
		for name, text := range awkward() {
			t.Run(name, func(t *testing.T) { s := start(t, h); s.survives(t, text) })
		}
		t.Run("escapes", func(t *testing.T) { s := start(t, h); s.survives(t, "a\x1b[2J\x1b[31mred\x1b]0;title\x07 \u202eevil") })
	})
	t.Run("ManyAtOnce", func(t *testing.T) {
		s := start(t, h)
		to := s.conversation(t, 0)
		const n = 20
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if _, err := s.Adapter().Send(t.Context(), chat.Outbound{
					ID: fmt.Sprint("m", i), To: to, Text: fmt.Sprintf("message <%02d>", i),
				}); err != nil {
					t.Errorf("Send: %v", err)
				}
			})
		}
		wg.Wait()
		for i := range n {
			s.shows(t, 0, fmt.Sprintf("message <%02d>", i))
		}
	})
	t.Run("ContextEnds", func(t *testing.T) {
		s := start(t, h)
		to := s.conversation(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = s.Adapter().Send(ctx, chat.Outbound{ID: "a", To: to, Text: "hello"})
		}()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Send did not return though its context had ended")
		}
	})
	for _, f := range h.Failures {
		t.Run("Failure/"+f.Name, func(t *testing.T) {
			s := start(t, h)
			to := s.conversation(t, 0)
			f.Set(t, s.Far)
			_, err := s.Adapter().Send(t.Context(), chat.Outbound{ID: "a", To: to, Text: "hello"})
			var se *chat.SendError
			if !errors.As(err, &se) {
				t.Fatalf("Send returned %v, want a *chat.SendError", err)
			}
			if se.Class != f.Class || se.RetryAfter != f.RetryAfter {
				t.Errorf("it is %s, again after %s; want %s, after %s (%v)", se.Class, se.RetryAfter, f.Class, f.RetryAfter, err)
			}
			s.noSecret(t, "an error", err.Error())
		})
	}
}

// conversation returns the reference of a conversation as it is after it was
// stored, by having somebody write there.
func (s *setup) conversation(t *testing.T, c int) chat.ConversationRef {
	t.Helper()
	s.taken(t, s.Say(t, Message{Conversation: c, Text: "local hello"}))
	return again(t, s.inbox.take(t).Conversation)
}

func (s *setup) send(t *testing.T, m chat.Outbound) chat.MessageRef {
	t.Helper()
	ref, err := s.Adapter().Send(t.Context(), m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	return ref
}

// jobMessage makes a message about a job, with a card.
func (s *setup) jobMessage(t *testing.T, mark chat.Mark) chat.Outbound {
	t.Helper()
	exit := 0
	c := &chat.Card{
		Mark: mark, Code: "code-" + string(mark), Agent: "web-1", Message: "deploy " + string(mark),
		Asker: chat.Sender{Account: Account, User: "U1", Name: "Ada"}, Elapsed: 42 * time.Second,
	}
	if c.Final = mark != chat.MarkWaiting && mark != chat.MarkRunning; c.Final {
		c.Output, c.ExitCode = "output of "+string(mark), &exit
	}
	return chat.Outbound{
		ID: string(mark), To: s.conversation(t, 0), Card: c,
		Text: fmt.Sprintf("#%s %s %s\n%s", c.Code, c.Agent, c.Message, c.Output),
	}
}

// edits checks that an edit takes the place of what it edits, in the same
// conversation and nowhere else.
func (s *setup) edits(t *testing.T) {
	t.Helper()
	c := s.h.Conversations - 1
	to := s.conversation(t, c)
	ref := again(t, s.send(t, chat.Outbound{ID: "a", To: to, Text: "the first text"}))
	messages := len(s.Shown(t))
	next := again(t, s.send(t, chat.Outbound{ID: "b", To: to, Edit: &ref, Text: "the second text"}))
	s.shows(t, c, "the second text")
	s.send(t, chat.Outbound{ID: "c", To: to, Edit: &next, Text: "the third text"})
	s.shows(t, c, "the third text")
	if s.Adapter().Capabilities().Append {
		return
	}
	if n := len(s.Shown(t)); n != messages {
		t.Errorf("%d messages are shown after two edits, %d before", n, messages)
	}
	for _, shown := range s.Shown(t) {
		if strings.Contains(shown.Text, "the first text") || strings.Contains(shown.Text, "the second text") {
			t.Errorf("what was edited is still shown: %s", excerpt(shown.Text))
		}
	}
}

func (s *setup) buttons(t *testing.T) {
	t.Helper()
	far, ok := s.Far.(Clicks)
	if !ok {
		t.Fatal("the harness cannot click")
	}
	m := s.jobMessage(t, chat.MarkRunning)
	m.Card.Buttons = []chat.Button{
		{Label: "Cancel", Command: "cancel k7f3q2", Danger: true},
		{Label: "Run again", Command: "rerun k7f3q2"},
	}
	s.send(t, m)
	s.taken(t, far.Click(t, "Cancel"))
	got := s.inbox.take(t)
	if got.Text != "cancel k7f3q2" || !got.Addressed {
		t.Errorf("a click came as %+v", got)
	}
	if got.Conversation.Key != m.To.Key {
		t.Errorf("a click came from the conversation %q, want %q", got.Conversation.Key, m.To.Key)
	}
	if want := s.Expect(Message{Text: got.Text}); got.Sender.Principal() != want.Sender.Principal() {
		t.Errorf("a click came from %s, want %s", got.Sender.Principal(), want.Sender.Principal())
	}
}

// survives checks that text is seen as it is and notifies nobody.
func (s *setup) survives(t *testing.T, text string) {
	t.Helper()
	if limit := s.Adapter().Capabilities().MaxBytes; limit > 0 && len(text) > limit {
		for limit > 0 && !utf8.RuneStart(text[limit]) {
			limit--
		}
		text = text[:limit] // core sends no more than the channel takes
	}
	s.send(t, chat.Outbound{ID: "awkward", To: s.conversation(t, 0), Text: text})
	want := text
	if s.h.Displays != nil {
		want = s.h.Displays(text)
	}
	s.shows(t, 0, strings.TrimSpace(want))
	for _, shown := range s.Shown(t) {
		if len(shown.Notified) > 0 {
			t.Errorf("text notified %v", shown.Notified)
		}
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
