package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// outputPage is how many pieces of output are read at a time, and how many
// events are written.
const outputPage = 100

// streamOutput follows a job's live output until the job is final.
func (c *call) streamOutput() error {
	after, err := c.lastEventID()
	if err != nil {
		return err
	}
	j, err := c.find()
	if err != nil {
		return err
	}
	// Watching before reading leaves no moment at which a change is missed.
	woken, stop := c.api.cfg.Jobs.Watch(job.WakeJob(j.ID))
	defer stop()
	ctx := c.waiting(0)
	s, err := c.openStream()
	if err != nil {
		return nil //nolint:nilerr // the reader is gone
	}
	alive := time.NewTicker(c.api.keepAlive)
	defer alive.Stop()
	for {
		final, err := s.follow(ctx, j, &after)
		if err != nil || final {
			return gone(ctx, err)
		}
		select {
		case <-woken:
		case <-alive.C:
			if err := s.beat(); err != nil {
				return nil //nolint:nilerr // the reader is gone
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// follow writes the output that is new, and the job itself once it is final.
// The job is read before the output, so that nothing can come after it.
func (s *stream) follow(ctx context.Context, of job.Job, after *int64) (final bool, err error) {
	jobs := s.c.api.cfg.Jobs
	j, err := jobs.Job(ctx, of.Space, of.ID)
	if err != nil {
		return false, err
	}
	for more := true; more; {
		chunks, err := jobs.LiveOutput(ctx, j.Space, j.ID, *after, outputPage)
		if err != nil {
			return false, err
		}
		more = len(chunks) == outputPage
		for _, chunk := range chunks {
			piece := agentapi.OutputPiece{Seq: chunk.Seq, Text: chunk.Text}
			if err := s.event(agentapi.OutputEvent, strconv.FormatInt(chunk.Seq, 10), piece); err != nil {
				return false, err
			}
			*after = chunk.Seq
		}
		if more {
			if err := s.flush(); err != nil {
				return false, errReaderGone
			}
		}
	}
	if j.Status.Final() {
		if err := s.event(agentapi.JobEvent, "", wireJob(j)); err != nil {
			return false, err
		}
	}
	if s.buf.Len() > 0 {
		if err := s.flush(); err != nil {
			return false, errReaderGone
		}
	}
	return j.Status.Final(), nil
}

// streamEvents tells what happens in the space from now on.
func (c *call) streamEvents() error {
	if c.api.cfg.Queue == nil {
		return fail(agentapi.ProblemUnavailable, "this server tells no events")
	}
	ctx := c.waiting(0)
	tail, err := c.api.cfg.Queue.Subscribe(ctx, c.token.Space)
	if err != nil {
		return fail(agentapi.ProblemUnavailable, "the queue tells no events at the moment").because(err)
	}
	s, err := c.openStream()
	if err != nil {
		return nil //nolint:nilerr // the reader is gone
	}
	alive := time.NewTicker(c.api.keepAlive)
	defer alive.Stop()
	for {
		select {
		case messages, ok := <-tail:
			if !ok {
				// It fell too far behind, or the server stops. The reader
				// notices by the end of the stream.
				return nil
			}
			if err := s.messages(messages); err != nil {
				return gone(ctx, err)
			}
		case <-alive.C:
			if err := s.beat(); err != nil {
				return nil //nolint:nilerr // the reader is gone
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// messages writes messages, a page of them at a time.
func (s *stream) messages(messages []queue.Message) error {
	for page := range slices.Chunk(messages, outputPage) {
		for _, m := range page {
			if m.Kind == string(job.EventCopy) {
				continue // the status itself is there too
			}
			if err := s.message(m); err != nil {
				return err
			}
		}
		if err := s.flush(); err != nil {
			return errReaderGone
		}
	}
	return nil
}

// conversationKey stands in the JSON of an event that is told somewhere. A
// text cannot hold it, since its quotes are escaped there.
var conversationKey = []byte(`"conversation":`)

// message queues an event of the queue. Where it is told is nothing for the
// API; most events are told nowhere, and are the API's own already.
func (s *stream) message(m queue.Message) error {
	if !bytes.Contains(m.Data, conversationKey) && bytes.IndexByte(m.Data, '\n') < 0 {
		s.line(m.Kind, m.ID, m.Data)
		return nil
	}
	var e agentapi.Event
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return fmt.Errorf("event %s of the queue: %w", m.ID, err)
	}
	return s.event(e.Kind, e.ID, e)
}
