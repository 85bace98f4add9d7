package terminal

import (
	"context"
	"sync"

	"github.com/letserverrun/skadi/core/chat"
)

// Outcome says how the messages of a session went.
type Outcome struct {
	// Messages is how many were read.
	Messages int
	// Lost could not be stored, and Refused were not carried out.
	Lost    int
	Refused int
	// Succeeded and Unsuccessful count the jobs that are final.
	Succeeded    int
	Unsuccessful int
	// Pending have no answer yet.
	Pending int
	// Broken says that the output failed.
	Broken bool
}

// OK reports whether all went well so far: nothing was lost or refused, and no
// job ended other than succeeded.
func (o Outcome) OK() bool {
	return o.Lost == 0 && o.Refused == 0 && o.Unsuccessful == 0 && !o.Broken
}

// tracker knows which messages wait for their answer.
type tracker struct {
	mu sync.Mutex
	// open has the messages without an answer, and whether a job was made.
	open    map[string]bool
	outcome Outcome
	changed chan struct{} // closed and replaced when one is answered
}

// asked notes a message before it is handed in, for its answer may come
// before that returns.
func (t *tracker) asked(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome.Messages++
	t.open[id] = false
}

// lost notes that a message was not stored.
func (t *tracker) lost(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome.Lost++
	t.answered(id)
}

// unread notes a line that was not handed in at all.
func (t *tracker) unread() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome.Messages++
	t.outcome.Refused++
}

func (t *tracker) broken() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome.Broken = true
}

// told notes that m was printed in reply to the message. The first reply
// decides: a card means that there is a job, whose last card is the answer; a
// text is the answer itself.
func (t *tracker) told(id string, m chat.Outbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	isJob, open := t.open[id]
	switch {
	case !open:
	case m.Card == nil && isJob:
		// Something that was said about the job meanwhile.
	case m.Card == nil:
		if m.Refused {
			t.outcome.Refused++
		}
		t.answered(id)
	case !m.Card.Final:
		t.open[id] = true
	default:
		if m.Card.Mark == chat.MarkSucceeded {
			t.outcome.Succeeded++
		} else {
			t.outcome.Unsuccessful++
		}
		t.answered(id)
	}
}

// answered is called with t.mu held.
func (t *tracker) answered(id string) {
	delete(t.open, id)
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tracker) pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

func (t *tracker) result() Outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.outcome
	o.Pending = len(t.open)
	return o
}

// wait returns when every message is answered.
func (t *tracker) wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		left, changed := len(t.open), t.changed
		t.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
