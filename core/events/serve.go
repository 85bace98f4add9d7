package events

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// openPage is how many open events are read at once.
	openPage = 500
	// storeRetry is the wait after the database failed.
	storeRetry = 2 * time.Second
	// longJob is how long somebody waits before an edit is no longer noticed.
	longJob = 30 * time.Second
	// maxPieces is in how many messages a long text is told, where the
	// channel does not say less.
	maxPieces = 8
)

var (
	// errStore marks failures of the database, which are no fault of the
	// message.
	errStore = errors.New("the database failed")
	// errTermOver: the lease ran out before the message was sent.
	errTermOver = fmt.Errorf("%w: its lease ran out here", ErrNotHolder)
)

// server serves one conversation once.
type server struct {
	*Replier
	c       *conversation
	adapter chat.Adapter
	caps    chat.Capabilities
	late    bool // of the step that is told
}

// serve tells what is open in the conversation. Only one worker at a time
// serves a conversation.
func (r *Replier) serve(ctx context.Context, c *conversation) next {
	adapter, ok := r.cfg.Senders.Adapter(c.id.account)
	if !ok {
		return r.orphaned(ctx, c)
	}
	if wait := r.paused(c.id.account); wait > 0 {
		return r.park(ctx, c, wait, "the account is paused")
	}
	s := &server{Replier: r, c: c, adapter: adapter, caps: adapter.Capabilities()}
	if c.unrecorded != nil {
		if err := s.record(ctx, *c.unrecorded); err != nil {
			return next{parked: storeRetry}
		}
	}
	n, parked := s.drain(ctx)
	if !parked {
		s.pushLive(ctx)
	}
	return n
}

// drain tells the open events until none is left or one has to wait.
func (s *server) drain(ctx context.Context) (n next, parked bool) {
	for ctx.Err() == nil {
		open, err := s.cfg.Store.Open(ctx, s.name(), openPage)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			s.log.Warn("open events could not be read; trying again", "account", s.c.id.account, "err", err)
			return next{parked: storeRetry}, true
		}
		w := s.waiting(open)
		if err := s.settle(ctx, w); err != nil {
			return next{parked: storeRetry}, true
		}
		steps, again := plan(w.due, w.late, s.caps, s.holds, s.clock())
		if len(steps) == 0 {
			if len(w.held) > 0 {
				s.leave(ctx)
			}
			return next{look: again}, false
		}
		for _, step := range steps {
			err := s.tell(ctx, step)
			if err == nil {
				s.c.tries = 0
				s.toldLate(step)
				continue
			}
			if n, parked = s.failed(ctx, step, err); parked {
				return n, true
			}
			break // something was given up: read anew what is open
		}
	}
	return next{}, true
}

// tell sends one step's message and records that.
func (s *server) tell(ctx context.Context, st step) error {
	e := st.newest
	if e.Conversation == nil {
		return s.record(ctx, s.delivery(st))
	}
	there := *s
	there.caps, there.late = within(s.caps, e.Conversation), st.late
	switch e.Kind {
	case job.EventJobStatus:
		return there.tellStatus(ctx, st)
	case job.EventCopy:
		return there.tellCopy(ctx, st)
	}
	room, err := there.room(ctx, e)
	switch {
	case err != nil:
		return err
	case room < 1:
		return there.spent(e.Conversation)
	case e.Output > 0:
		return there.tellOutput(ctx, st)
	}
	return there.tellText(ctx, st, min(room, maxPieces))
}

// tellText says a text, in up to n messages if it is long.
func (s *server) tellText(ctx context.Context, st step, n int) error {
	e := st.newest
	m := chat.Outbound{ID: e.ID(), To: *e.Conversation, Text: e.Text, Mention: e.Mention, Refused: e.Refused}
	for i, text := range pieces(e.Text, s.caps.MaxBytes, n) {
		m.Text = text
		if i > 0 {
			m.ID = fmt.Sprintf("%s.%d", e.ID(), i+1)
			m.Mention, m.Continues = nil, true
		}
		if _, err := s.send(ctx, m); err != nil {
			return err
		}
	}
	return s.record(ctx, s.delivery(st))
}

// tellStatus shows the job's newest status: in the message that shows the job
// already, where the channel can edit, else in a new one.
func (s *server) tellStatus(ctx context.Context, st step) error {
	e := st.newest
	j, err := s.cfg.Jobs.Job(ctx, e.Space, e.Subject)
	switch {
	case errors.Is(err, job.ErrNotFound):
		d := s.delivery(st)
		d.Dead = "the job is no longer there"
		s.unfollow(s.c, e.Subject)
		return s.record(ctx, d)
	case err != nil:
		return fmt.Errorf("%w: reading job %s: %w", errStore, e.Subject, err)
	}
	j.Conversation = e.Conversation
	lj := s.liveJob(j.ID)
	ref, has, err := s.messageRef(ctx, j.ID, lj)
	if err != nil {
		return err
	}
	final := e.Status.Final()
	d := s.delivery(st)
	room := 1
	if !final && s.caps.FinalOnly && !awaited(e, j) {
		return s.record(ctx, d)
	}
	if !has || !s.caps.Edit {
		switch room, err = s.room(ctx, e); {
		case err != nil:
			return err
		case !final && (has || room < 1 || s.crowded(e.Conversation)):
			return s.record(ctx, d) // one message on the way is enough
		case room < 1:
			return s.spent(e.Conversation)
		}
	}

	show := shown{job: j, event: e, now: s.clock()}
	if final {
		if show.output, show.start, err = s.result(ctx, lj, j); err != nil {
			return err
		}
	}
	m := render(show, s.caps)
	if has && s.caps.Edit {
		m.Edit = &ref
	}
	notify := final && !s.caps.Append && e.At.Sub(j.CreatedAt) > longJob
	if notify && m.Edit == nil {
		m.Mention = &j.Sender
	}
	rest := split(&m, show, s.caps, room)
	now, err := s.send(ctx, m)
	if err != nil && m.Edit != nil && isNoMore(err) {
		// The message may have been deleted; the status is worth a new one.
		m.Edit, m.ID = nil, m.ID+".new"
		if notify {
			m.Mention = &j.Sender
		}
		now, err = s.send(ctx, m)
	}
	if err != nil {
		return err
	}
	for _, m := range rest {
		if _, err := s.send(ctx, m); err != nil {
			return err
		}
	}
	if notify && m.Edit != nil {
		if _, err := s.send(ctx, farewell(show)); err != nil {
			return err
		}
	}
	d.JobID = j.ID
	if !has || !sameRef(ref, now) {
		d.Ref = &now
	}
	switch {
	case final:
		delete(s.c.ahead, j.ID)
		s.unfollow(s.c, j.ID)
	case e.Status == job.Sent && s.caps.Edit && s.caps.LiveInterval > 0:
		s.follow(s.c.term, s.c.id, j, now, s.caps.LiveInterval)
	}
	return s.record(ctx, d)
}

// awaited reports whether the job goes no further until somebody approves it.
func awaited(e job.Event, j job.Job) bool {
	return e.Status == job.Queuing && j.Approval == job.ApprovalWaiting
}

func (s *server) delivery(st step) Delivery {
	return Delivery{Conversation: s.name(), Events: st.events}
}

func (s *server) name() Conversation {
	return Conversation{Account: s.c.id.account, Key: s.c.id.key, Tries: s.c.tries}
}

// messageRef returns the message that shows the job, if one was sent.
func (s *server) messageRef(ctx context.Context, id string, lj *liveJob) (chat.MessageRef, bool, error) {
	if lj != nil {
		return lj.ref, true, nil
	}
	ref, ok, err := s.cfg.Store.MessageRef(ctx, id)
	if err != nil {
		return ref, false, fmt.Errorf("%w: reading which message shows job %s: %w", errStore, id, err)
	}
	return ref, ok, nil
}

// send sends a message unless that was done in an earlier try.
func (s *server) send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	return s.once(ctx, m.ID, func(ctx context.Context) (chat.MessageRef, error) {
		if err := inTime(m.To, s.clock()); err != nil {
			return chat.MessageRef{}, err
		}
		return s.adapter.Send(ctx, m)
	})
}

// once has something sent unless that was done in an earlier try.
func (s *server) once(ctx context.Context, id string, send sending) (chat.MessageRef, error) {
	if ref, ok := s.c.sent[id]; ok {
		return ref, nil
	}
	ref, err := s.sendOnce(ctx, id, s.cfg.SendTimeout, send)
	if err == nil {
		s.c.sent[id] = ref
		s.c.used++
	}
	return ref, err
}

// sending is a call of an adapter that sends one message.
type sending func(ctx context.Context) (chat.MessageRef, error)

// sendOnce has the adapter called, if this node still serves the conversation. A
// message on its way when the process stops is given a moment, so that it is
// recorded and not sent again.
func (s *server) sendOnce(ctx context.Context, id string, timeout time.Duration, send sending) (ref chat.MessageRef, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("an adapter panicked while sending",
				"account", s.c.id.account, "message", id, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the adapter panicked: %v", p)
		}
	}()
	if !s.c.term.valid() {
		return ref, errTermOver
	}
	defer s.lend(s.c.line)()
	ctx, cancel := outlive(ctx, s.c.term.grace)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, timeout)
	defer cancelTimeout()
	begin := s.clock()
	ref, err = send(ctx)
	s.cfg.Observer.Sent(s.c.id.account, s.clock().Sub(begin), err)
	if err == nil {
		s.works(s.c.id.account)
	} else if errors.Is(err, context.DeadlineExceeded) {
		// The far side is slow, which is no fault of the message. An adapter
		// that classified the error knows better.
		err = chat.Classify(err)
	}
	return ref, err
}

// record writes a delivery, and keeps it in memory if the database fails, so
// that what was sent is not sent again.
func (s *server) record(ctx context.Context, d Delivery) error {
	ctx, cancel := outlive(ctx, func() time.Duration { return replyGrace })
	defer cancel()
	d.Guard = s.c.term.guard
	switch err := s.cfg.Store.Record(ctx, d); {
	case errors.Is(err, ErrNotHolder):
		s.c.term.lose()
		return err
	case err != nil:
		s.c.unrecorded = &d
		return fmt.Errorf("%w: recording a delivery: %w", errStore, err)
	}
	s.c.unrecorded = nil
	clear(s.c.sent)
	s.cfg.Observer.Told(d)
	return nil
}

func sameRef(a, b chat.MessageRef) bool { return a.ID == b.ID && bytes.Equal(a.Data, b.Data) }
