package chattest

import (
	"testing"
)

// runUnstored checks what the far side hears of a message that cannot be
// stored: that it is to deliver it again, or the asker hears that it is lost.
func runUnstored(t *testing.T, h Harness) {
	for _, way := range h.askings() {
		t.Run("Fails/"+wayName(way), func(t *testing.T) {
			s := start(t, h)
			s.inbox.failWith(errStore)
			m := Message{Way: way, Text: "local hello"}
			var r Receipt
			within(t, "Say", func() { r = s.Say(t, m) })
			s.isTold(t, r)
			s.inbox.failWith(nil)
			s.comesAgain(t, m, r)
		})
		t.Run("Hangs/"+wayName(way), func(t *testing.T) { hangs(t, h, way) })
	}
	t.Run("Fails/click", func(t *testing.T) {
		s := start(t, h)
		far := s.clickable(t)
		s.inbox.failWith(errStore)
		var r Receipt
		within(t, "Click", func() { r = far.Click(t, "Cancel", 0) })
		s.isTold(t, r)
		s.inbox.failWith(nil)
		s.taken(t, far.Click(t, "Cancel", 0))
		s.inbox.take(t)
	})
	t.Run("Hangs/click", func(t *testing.T) {
		if h.AnswerWithin == 0 {
			t.Skip("the far side waits for ever")
		}
		s := start(t, h)
		far := s.clickable(t)
		release := s.inbox.hangs()
		defer release()
		var r Receipt
		within(t, "Click", func() { r = far.Click(t, "Cancel", 0) })
		s.isTold(t, r)
		s.inTime(t)
	})
}

// isTold checks that somebody knows that a message was not stored.
func (s *setup) isTold(t *testing.T, r Receipt) {
	t.Helper()
	if r.Taken && r.Told == "" {
		t.Error("a message that was not stored counts as taken, and nobody was told")
	}
	s.noSecret(t, "what the asker was told", r.Told)
	if s.inbox.count() == 0 {
		t.Error("the message was not handed in at all")
	}
	s.inbox.none(t)
}

// comesAgain checks that a message which was not taken is handed in when it
// comes again.
func (s *setup) comesAgain(t *testing.T, m Message, r Receipt) {
	t.Helper()
	far, ok := s.Far.(Redelivers)
	if r.Taken || !ok {
		return
	}
	s.taken(t, far.Again(t, m))
	s.sameAs(t, s.inbox.take(t), s.Expect(m))
}

// hangs checks that the far side is answered in time though storing takes for
// ever.
func hangs(t *testing.T, h Harness, way string) {
	if h.AnswerWithin == 0 {
		t.Skip("the far side waits for ever")
	}
	s := start(t, h)
	release := s.inbox.hangs()
	defer release()
	m := Message{Way: way, Text: "local hello"}
	var r Receipt
	within(t, "Say", func() { r = s.Say(t, m) })
	s.inTime(t)
	release()
	s.isTold(t, r)
	s.comesAgain(t, m, r)
}

// inTime checks that Accept was given less time than the far side waits.
func (s *setup) inTime(t *testing.T) {
	t.Helper()
	if left := s.inbox.lastDeadline(); left <= 0 || left >= s.h.AnswerWithin {
		t.Errorf("Accept was given %s (0 is for ever), and the far side waits for %s", left, s.h.AnswerWithin)
	}
}
