package events

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// chunkPage is how many pieces of output are read at once.
	chunkPage = 100
	// liveBytes is the most new output that one update of an appending
	// channel carries; the rest follows.
	liveBytes = 64 << 10
	// liveTimeout bounds the sending of an update, since statuses wait for it.
	liveTimeout = 10 * time.Second
	// liveCheck is how often output is looked for though nobody called, for
	// wakes may be lost between nodes.
	liveCheck = 10 * time.Second

	// leftOut stands for output that the store no longer has.
	leftOut = "\n… some output is left out …\n"
)

// liveJob is a sent job whose message shows its output as it comes. Dirty and
// waiting are guarded by Replier.mu, the rest belongs to the worker that serves
// its conversation.
type liveJob struct {
	job   job.Job
	ref   chat.MessageRef
	every time.Duration
	done  chan struct{} // closed when it is followed no more
	poke  chan struct{} // one signal: look again though nothing is new

	dirty   bool          // there may be new output
	waiting time.Duration // before the next update, after a failure

	seq    int64  // the last piece that was read
	start  int64  // the byte of the whole at which unsent begins
	unsent string // read and not shown yet; of an editing channel, the end of all
	fresh  bool   // unsent has something that is not shown
}

// follow begins to show the job's output in the message.
func (r *Replier) follow(t *term, id convID, j job.Job, ref chat.MessageRef, every time.Duration) {
	j.Result, j.Late = nil, nil
	lj := &liveJob{job: j, ref: ref, every: every, done: make(chan struct{}), poke: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.over {
		return
	}
	c := t.conversation(id, 0)
	if c.live[j.ID] != nil {
		return
	}
	c.live[j.ID] = lj
	t.spawn(func(ctx context.Context) { r.watchLive(ctx, c, lj) })
}

func (r *Replier) unfollow(c *conversation, id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if lj := c.live[id]; lj != nil {
		close(lj.done)
		delete(c.live, id)
	}
}

func (r *Replier) unfollowAll(c *conversation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.unfollowAll()
}

func (r *Replier) liveJob(c *conversation, id string) *liveJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.live[id]
}

func (s *server) liveJob(id string) *liveJob { return s.Replier.liveJob(s.c, id) }

// watchLive has the conversation served when there is new output, no more
// often than the channel bears.
func (r *Replier) watchLive(ctx context.Context, c *conversation, lj *liveJob) {
	woken, stop := r.cfg.Jobs.Watch(job.WakeJob(lj.job.ID))
	defer stop()
	check := time.NewTicker(max(liveCheck, lj.every))
	defer check.Stop()
	for {
		r.mu.Lock()
		lj.dirty = true
		r.enqueue(c)
		r.mu.Unlock()
		if !lj.pause(ctx, lj.every) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-lj.done:
			return
		case <-woken:
		case <-lj.poke:
		case <-check.C:
		}
		r.mu.Lock()
		wait := lj.waiting
		lj.waiting = 0
		r.mu.Unlock()
		if wait > 0 && !lj.pause(ctx, wait) {
			return
		}
	}
}

// pause waits for d and reports whether the job is still followed.
func (lj *liveJob) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-lj.done:
		return false
	case <-t.C:
		return true
	}
}

// pushLive updates the messages of the conversation's jobs that have new
// output.
func (s *server) pushLive(ctx context.Context) {
	s.mu.Lock()
	var dirty []*liveJob
	for _, lj := range s.c.live {
		if lj.dirty {
			lj.dirty = false
			dirty = append(dirty, lj)
		}
	}
	s.mu.Unlock()
	for i, lj := range dirty {
		if ctx.Err() != nil {
			return
		}
		if i > 0 && s.touched() {
			// A status may have come: it goes first.
			for _, rest := range dirty[i:] {
				s.again(rest, 0)
			}
			return
		}
		s.pushOne(ctx, lj)
	}
}

// touched reports whether there is something new for the conversation.
func (s *server) touched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.c.again
}

// again makes the job's output be looked at again, after at least wait.
func (s *server) again(lj *liveJob, wait time.Duration) {
	s.mu.Lock()
	lj.waiting = max(lj.waiting, wait)
	s.mu.Unlock()
	select {
	case lj.poke <- struct{}{}:
	default:
	}
}

func (s *server) pushOne(ctx context.Context, lj *liveJob) {
	more, err := s.read(ctx, lj, liveBytes)
	for more && err == nil && !s.caps.Append {
		lj.forget() // only the end is shown
		more, err = s.read(ctx, lj, liveBytes)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("live output could not be read; trying again", "job", lj.job.ID, "err", err)
			s.again(lj, storeRetry)
		}
		return
	}
	if !lj.fresh {
		return
	}
	if !s.caps.Append {
		lj.forget()
	}
	e := job.Event{Subject: lj.job.ID, Version: lj.job.Version, Kind: job.EventJobStatus, Status: job.Sent}
	m := renderLive(shown{job: lj.job, event: e, output: lj.unsent, start: lj.start, now: s.clock()}, s.caps)
	m.ID = fmt.Sprintf("%s.live.%d", lj.job.ID, lj.seq)
	m.Edit = &lj.ref
	ref, err := s.sendOnce(ctx, m.ID, liveTimeout, func(ctx context.Context) (chat.MessageRef, error) { return s.adapter.Send(ctx, m) })
	if err != nil {
		s.liveFailed(ctx, lj, err)
		return
	}
	lj.ref = ref
	lj.fresh = false
	if s.caps.Append {
		lj.start += int64(len(lj.unsent))
		lj.unsent = ""
	}
	if more {
		s.again(lj, 0)
	}
}

// liveFailed decides whether an update is tried again. Nothing is lost by
// leaving one out: the result comes as a status.
func (s *server) liveFailed(ctx context.Context, lj *liveJob, err error) {
	if ctx.Err() != nil {
		return
	}
	s.log.Debug("live output could not be shown", "account", s.c.id.account, "job", lj.job.ID, "err", err)
	se := chat.Classify(err)
	switch se.Class {
	case chat.RateLimited:
		s.again(lj, max(se.RetryAfter, 2*lj.every))
	case chat.Temporary:
		s.again(lj, max(se.RetryAfter, 5*lj.every))
	default:
		s.unfollow(s.c, lj.job.ID)
	}
}

// read adds new pieces of output, up to about limit bytes, to what is unsent,
// and reports whether there may be more.
func (s *server) read(ctx context.Context, lj *liveJob, limit int) (more bool, err error) {
	var b strings.Builder
	b.WriteString(lj.unsent)
	before := lj.seq
	for more = true; more && b.Len() < limit; {
		var chunks []job.OutputChunk
		chunks, err = s.cfg.Jobs.LiveOutput(ctx, lj.job.Space, lj.job.ID, lj.seq, chunkPage)
		if err != nil {
			break
		}
		lj.add(&b, chunks)
		more = len(chunks) == chunkPage
	}
	lj.fresh = lj.fresh || lj.seq > before
	lj.unsent = b.String()
	return more, err
}

// forget drops what is too far from the end to be shown.
func (lj *liveJob) forget() {
	short := tailOf(lj.unsent, 2*liveTailBytes)
	lj.start += int64(len(lj.unsent) - len(short))
	lj.unsent = strings.Clone(short)
}

func (lj *liveJob) add(b *strings.Builder, chunks []job.OutputChunk) {
	for _, chunk := range chunks {
		if chunk.Seq > lj.seq+1 {
			b.WriteString(leftOut)
		}
		b.WriteString(chunk.Text)
		lj.seq = chunk.Seq
	}
}

// result returns the output that a final message shows, and at which byte of
// the whole it begins.
func (s *server) result(ctx context.Context, lj *liveJob, j job.Job) (output string, start int64, err error) {
	switch streamed := j.Result == nil || j.Result.Streamed; {
	case streamed && s.caps.Append && lj != nil:
		// What was shown stays; the rest is appended.
	case j.Result != nil:
		return j.Result.Output, 0, nil
	case j.SentAt.IsZero():
		return "", 0, nil
	default:
		// It ended without a result: what it said until then is all there is.
		lj = &liveJob{job: j}
	}
	for {
		more, err := s.read(ctx, lj, math.MaxInt)
		if errors.Is(err, job.ErrNotFound) {
			return "", 0, nil
		}
		if err != nil {
			return "", 0, fmt.Errorf("%w: reading the output of job %s: %w", errStore, j.ID, err)
		}
		if !more {
			return lj.unsent, lj.start, nil
		}
	}
}
