package events

import (
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/queue"
)

// conversation is what the Replier keeps in memory of a conversation that it
// serves. The scheduling fields are guarded by Replier.mu; the others belong
// to the worker that serves it.
type conversation struct {
	id   convID
	term *term

	waiting bool  // stands in its line
	line    *line // in which it stands, or stood last
	served  bool  // a worker serves it
	again   bool  // there is more to do once it has been served
	timer   *time.Timer
	notYet  time.Time // parked until then
	live    map[string]*liveJob

	tries int
	// sent has the messages that were sent and not recorded yet, by ID, so
	// that a failure half way repeats none of them.
	sent map[string]chat.MessageRef
	// shut are the references under which nothing more was taken, as long as
	// something waits; held says that something does.
	shut []chat.ConversationRef
	held bool
	// lateIn is the reference under which late ones were told, and lateTold how
	// many.
	lateIn   *chat.ConversationRef
	lateTold int
	// Where the quota renews: the newest reference, how many messages were sent
	// since it came, and the jobs whose end is still to be told.
	newest *chat.ConversationRef
	used   int
	ahead  map[string]bool
	// unrecorded is a delivery that the database did not take yet.
	unrecorded *Delivery
}

// unfollowAll is called with Replier.mu held.
func (c *conversation) unfollowAll() {
	for id, lj := range c.live {
		close(lj.done)
		delete(c.live, id)
	}
}

func (c *conversation) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// idle reports whether nothing is worth remembering.
func (c *conversation) idle() bool {
	return !c.waiting && !c.served && !c.again && c.timer == nil &&
		len(c.live) == 0 && len(c.sent) == 0 && c.unrecorded == nil && c.tries == 0 && !c.held && len(c.ahead) == 0
}

const (
	// patience is how long a message may take before its worker's place goes to
	// another, so that conversations which hang hold up no other.
	patience = 200 * time.Millisecond
	// maxLent bounds the places of a line that are lent.
	maxLent = 256
)

// lane is what waits for one account, so that an account which hangs holds up
// no other. Conversations whose last delivery failed have a line of their own:
// they may well hang again.
type lane struct {
	good, failing line
	// pausedUntil is set while the account's credentials do not work.
	pausedUntil time.Time
	pauses      int
	orphan      bool // it was said that the config lacks the account
}

func (l *lane) lineOf(c *conversation) *line {
	if c.tries > 0 {
		return &l.failing
	}
	return &l.good
}

// line is conversations that wait for a worker. It is guarded by Replier.mu.
type line struct {
	waiting []*conversation
	places  int // for workers
	workers int // that have a place
	lent    int // workers whose place was given to another
}

// next takes the conversation that has waited longest, leaving out those whose
// term is over, or returns nil.
func (l *line) next() *conversation {
	for len(l.waiting) > 0 {
		c := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		if !c.term.over {
			return c
		}
	}
	l.waiting = nil
	return nil
}

// Wants tells the queue that what is told nowhere is of no interest here. It
// implements queue.Selective.
func (r *Replier) Wants(m queue.Message) bool { return m.Conversation != nil }

// touch makes a worker look at the conversation, if this node serves it. tries is what the database
// knows of failures before this process began.
func (r *Replier) touch(id convID, tries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.termOf(id); t != nil {
		r.enqueue(t.conversation(id, tries))
	}
}

// conversation is called with Replier.mu held.
func (t *term) conversation(id convID, tries int) *conversation {
	c := t.convs[id]
	if c == nil {
		c = &conversation{
			id: id, term: t, tries: tries,
			live: make(map[string]*liveJob),
			sent: make(map[string]chat.MessageRef),
		}
		t.convs[id] = c
	}
	return c
}

// enqueue is called with r.mu held.
func (r *Replier) enqueue(c *conversation) {
	switch {
	case c.term.over:
		return
	case c.served:
		c.again = true
		return
	case c.waiting:
		return
	}
	if wait := c.notYet.Sub(r.clock()); wait > 0 {
		r.later(c, wait)
		return
	}
	c.stopTimer()
	c.waiting = true
	c.line = r.lane(c.id.account).lineOf(c)
	c.line.waiting = append(c.line.waiting, c)
	r.hire(c.line)
}

// hire puts a worker on a free place, if there is work. It is called with r.mu
// held.
func (r *Replier) hire(l *line) {
	if len(l.waiting) > 0 && l.workers < l.places {
		l.workers++
		r.workers.Go(func() { r.work(l) })
	}
}

// lend gives the place of a worker to another once a message takes too long.
// The caller calls back when the message was sent.
func (r *Replier) lend(l *line) (back func()) {
	var lent, done bool // guarded by r.mu
	timer := time.AfterFunc(patience, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if done || l.lent >= maxLent {
			return
		}
		lent = true
		l.lent++
		l.workers--
		r.hire(l)
	})
	return func() {
		if timer.Stop() {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if done = true; lent {
			l.lent--
			l.workers++ // perhaps one too many, who leaves after this conversation
		}
	}
}

// later looks at the conversation again after a time, unless that is planned
// already for an earlier one. It is called with r.mu held.
func (r *Replier) later(c *conversation, wait time.Duration) {
	c.stopTimer()
	if c.term.over {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if c.timer == t {
			c.timer = nil
			r.enqueue(c)
		}
	})
	c.timer = t
}

// lane is called with r.mu held.
func (r *Replier) lane(account string) *lane {
	l := r.accounts[account]
	if l == nil {
		l = &lane{
			good:    line{places: r.cfg.PerAccount},
			failing: line{places: (r.cfg.PerAccount + 1) / 2},
		}
		r.accounts[account] = l
	}
	return l
}

// work serves conversations of a line until none waits, or another has taken
// its place.
func (r *Replier) work(l *line) {
	for {
		r.mu.Lock()
		var c *conversation
		if l.workers <= l.places {
			c = l.next()
		}
		if c == nil {
			l.workers--
			r.mu.Unlock()
			return
		}
		t := c.term
		t.working.Add(1)
		c.waiting, c.served, c.again = false, true, false
		r.mu.Unlock()

		next := r.serve(t.ctx, c)

		r.mu.Lock()
		c.served = false
		again := c.again
		c.again = false
		switch {
		case t.over:
		case next.parked > 0:
			c.notYet = r.clock().Add(next.parked)
			r.later(c, next.parked)
		case again:
			r.enqueue(c)
		case next.look > 0:
			r.later(c, next.look)
		}
		if c.idle() {
			delete(t.convs, c.id)
		}
		r.mu.Unlock()
		t.working.Done()
	}
}

// next says when a conversation is to be served again, unless it is touched.
type next struct {
	parked time.Duration // not before that, touched or not
	look   time.Duration // then, for what is held back
}
