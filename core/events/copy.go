package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// Teller is implemented by adapters that tell a status as it is instead of a
// message that shows it.
type Teller interface {
	// Tell tells an EventCopy of the job, which may be further by now. Errors
	// are as those of chat.Adapter.Send.
	Tell(ctx context.Context, e job.Event, j job.Job) error
}

// tellCopy tells a status in one more place. Nothing there is edited, and
// nothing is shown live.
func (s *server) tellCopy(ctx context.Context, st step) error {
	e := st.newest
	j, err := s.cfg.Jobs.Job(ctx, e.Space, e.JobID())
	switch {
	case errors.Is(err, job.ErrNotFound):
		d := s.delivery(st)
		d.Dead = "the job is no longer there"
		return s.record(ctx, d)
	case err != nil:
		return fmt.Errorf("%w: reading job %s: %w", errStore, e.JobID(), err)
	}
	if teller, ok := s.adapter.(Teller); ok {
		_, err := s.once(ctx, e.ID(), func(ctx context.Context) (chat.MessageRef, error) {
			return chat.MessageRef{}, teller.Tell(ctx, e, j)
		})
		if err != nil {
			return err
		}
		return s.record(ctx, s.delivery(st))
	}
	caps := s.caps
	caps.Edit, caps.Append, caps.LiveInterval = false, false, 0
	j.Conversation = e.Conversation
	show := shown{job: j, event: e, now: s.clock()}
	if e.Status.Final() {
		if show.output, show.start, err = s.result(ctx, nil, j); err != nil {
			return err
		}
	}
	if _, err := s.send(ctx, render(show, caps)); err != nil {
		return err
	}
	return s.record(ctx, s.delivery(st))
}
