package chattest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// marks are all the states that a card shows.
var marks = []chat.Mark{
	chat.MarkWaiting, chat.MarkRunning, chat.MarkSucceeded, chat.MarkFailed, chat.MarkExpired, chat.MarkCanceled,
}

// buttons are those that core offers.
var buttons = []chat.Button{
	{Label: "Cancel", Command: "cancel k7f3q2", Danger: true},
	{Label: "Run again", Command: "rerun k7f3q2"},
	{Label: "Show output", Command: "output k7f3q2"},
}

func runCards(t *testing.T, h Harness) {
	t.Run("EveryState", func(t *testing.T) {
		s := start(t, h)
		for _, mark := range marks {
			m := s.jobMessage(t, mark)
			s.send(t, m)
			for _, part := range []string{m.Card.Code, m.Card.Agent, m.Card.Message} {
				s.shows(t, 0, part)
			}
			if m.Card.Final {
				s.shows(t, 0, m.Card.Output)
			}
		}
		s.notified(t)
	})
	t.Run("ALife", func(t *testing.T) { s := start(t, h); s.lives(t) })
	t.Run("AwkwardOutput", func(t *testing.T) {
		for name, text := range awkward() {
			t.Run(name, func(t *testing.T) { s := start(t, h); s.contains(t, name, text) })
		}
	})
	t.Run("TooLong", func(t *testing.T) {
		for name, unit := range map[string]string{"escaped": "&<>*_`~", "wide": "世", "fences": "```\n", "lines": "a\n", "one line": "x"} {
			t.Run(name, func(t *testing.T) { s := start(t, h); s.fits(t, unit) })
		}
	})
	t.Run("Click", func(t *testing.T) { s := start(t, h); s.clicked(t) })
	t.Run("ClickElsewhere", func(t *testing.T) { s := start(t, h); s.clickedAfterARestart(t) })
}

// jobMessage makes a message about a job, with a card.
func (s *setup) jobMessage(t *testing.T, mark chat.Mark) chat.Outbound {
	t.Helper()
	in := s.said(t, Message{Text: "local hello"})
	exit := 0
	c := &chat.Card{
		Mark: mark, Code: "code-" + string(mark), Agent: "web-1", Message: "deploy " + string(mark),
		Asker: in.Sender, Elapsed: 42 * time.Second,
	}
	if c.Final = mark != chat.MarkWaiting && mark != chat.MarkRunning; c.Final {
		c.Output, c.ExitCode = "output of "+string(mark), &exit
	}
	m := chat.Outbound{ID: string(mark), To: again(t, in.Conversation), Card: c}
	plain(&m)
	return m
}

// plain gives a message the plain form of its card.
func plain(m *chat.Outbound) {
	c := m.Card
	m.Text = fmt.Sprintf("#%s %s %s\n%s", c.Code, c.Agent, c.Message, c.Output)
}

// lives shows a job from its beginning to its end in one message.
func (s *setup) lives(t *testing.T) {
	t.Helper()
	can := s.Adapter().Capabilities()
	if !can.Edit {
		t.Skip("the channel cannot edit")
	}
	m := s.jobMessage(t, chat.MarkWaiting)
	m.Card.Buttons = buttons[:1]
	ref := s.send(t, m)
	messages := len(s.Shown(t))
	step := func(id string, change func(c *chat.Card)) {
		t.Helper()
		next := *m.Card
		change(&next)
		m.ID, m.Card, m.Edit = id, &next, &ref
		plain(&m)
		ref = s.send(t, m)
	}
	step("running", func(c *chat.Card) { c.Mark, c.Output = chat.MarkRunning, "unpacking\n" })
	s.shows(t, 0, "unpacking")
	step("still running", func(c *chat.Card) { c.Output, c.OutputStart = "starting\n", 10 })
	s.shows(t, 0, "starting")
	step("done", func(c *chat.Card) {
		c.Mark, c.Final, c.Output, c.OutputStart, c.Buttons = chat.MarkSucceeded, true, "all is well\n", 0, buttons[1:2]
	})
	s.shows(t, 0, "all is well")
	if can.Append {
		return
	}
	if n := len(s.Shown(t)); n != messages {
		t.Errorf("%d messages are shown at the end of a job, %d at its beginning", n, messages)
	}
	for _, old := range []string{"unpacking", "starting"} {
		s.hides(t, old)
	}
	if can.Buttons {
		s.shows(t, 0, "Run again")
		s.hides(t, "Cancel")
	}
	s.notified(t)
}

// contains checks that awkward text stays within the card and what it is.
func (s *setup) contains(t *testing.T, name, text string) {
	t.Helper()
	m := s.jobMessage(t, chat.MarkFailed)
	m.Card.Output = cut(text, min(2000, orMost(s.Adapter().Capabilities().MaxBytes)))
	m.Card.Message, m.Card.Note = "deploy "+cut(text, 200), "because "+cut(text, 200)
	plain(&m)
	s.send(t, m)
	if name != "long" {
		s.shows(t, 0, strings.TrimSpace(s.h.DisplaysOutput(m.Card.Output)))
	}
	s.notified(t)
}

// fits sends as much as core may send: the longest message of a job, and all
// the output that the channel takes.
func (s *setup) fits(t *testing.T, unit string) {
	t.Helper()
	most := orMost(s.Adapter().Capabilities().MaxBytes)
	m := s.jobMessage(t, chat.MarkRunning)
	m.Card.Message = "deploy " + strings.Repeat(unit, 64<<10/len(unit))
	m.Card.Output = strings.Repeat(unit, most/len(unit))
	m.Card.Note = strings.Repeat(unit, 1000/len(unit))
	m.Card.Buttons = buttons
	plain(&m)
	m.Text = cut(m.Text, most)
	ref := s.send(t, m)
	s.shows(t, 0, m.Card.Code)
	if !s.Adapter().Capabilities().Edit {
		return
	}
	m.ID, m.Edit, m.Card.Final, m.Card.Mark = "done", &ref, true, chat.MarkSucceeded
	s.send(t, m)
	s.shows(t, 0, m.Card.Code)
}

// orMost is a limit of a channel, or much where there is none.
func orMost(limit int) int {
	if limit == 0 {
		return 100 << 10
	}
	return limit
}

// clickable sends a card with buttons, if the channel has any.
func (s *setup) clickable(t *testing.T) Clicks {
	t.Helper()
	if !s.Adapter().Capabilities().Buttons {
		t.Skip("the channel has no buttons")
	}
	far, ok := s.Far.(Clicks)
	if !ok {
		t.Fatal("the harness cannot click")
	}
	m := s.jobMessage(t, chat.MarkRunning)
	m.Card.Buttons = buttons
	s.send(t, m)
	return far
}

// clicked clicks on buttons, once and again, by one person and by others.
func (s *setup) clicked(t *testing.T) {
	t.Helper()
	far := s.clickable(t)
	ids := make(map[string]string)
	for _, b := range buttons {
		for p := range s.h.People {
			s.taken(t, far.Click(t, b.Label, p))
			got := s.inbox.take(t)
			if got.Text != b.Command || !got.Addressed {
				t.Errorf("a click on %s came as %+v", b.Label, got)
			}
			where := s.said(t, Message{Text: "local hello"}).Conversation
			if got.Conversation.Key != where.Key || got.Conversation.Channel != where.Channel {
				t.Errorf("a click came from %+v, want %+v", got.Conversation, where)
			}
			if want := s.Expect(Message{Person: p}); got.Sender.Principal() != want.Sender.Principal() {
				t.Errorf("a click came from %s, want %s", got.Sender.Principal(), want.Sender.Principal())
			}
			who := fmt.Sprintf("%s by person %d", b.Label, p)
			if other := ids[got.ID]; got.ID == "" || other != "" {
				t.Errorf("the click on %s has the ID %q, which is empty or that of %s", who, got.ID, other)
			}
			ids[got.ID] = who
			s.taken(t, far.Click(t, b.Label, p))
			s.inbox.none(t)
		}
	}
}

// clickedAfterARestart clicks on a button of a card that the last process
// sent, and answers there.
func (s *setup) clickedAfterARestart(t *testing.T) {
	t.Helper()
	far := s.clickable(t)
	if next, ok := s.Far.(Restarts); ok {
		s.stop()
		s.stop = s.run(t, next.Restart(t, s.env))
	}
	s.taken(t, far.Click(t, "Run again", 0))
	to := again(t, s.inbox.take(t).Conversation)
	s.send(t, outbound("after the click", to, "it runs again"))
	s.shows(t, 0, "it runs again")
}
