package agent

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	// pollWait is how long a poll waits for work. The server takes an agent
	// for present while it is open, and wants to hear of it every minute.
	pollWait = 50 * time.Second
	// busyWait is how long the agent waits for a free place before it opens
	// a poll for cancels alone.
	busyWait = 500 * time.Millisecond
	// mentionAfter is how long a job runs before polls mention it; the start
	// has told the server of it until then.
	mentionAfter = 5 * time.Second
	// introduceEvery is how often the agent repeats what it can do.
	introduceEvery = time.Minute
)

// pollLoop asks for work as long as the session lasts; once no more jobs are
// taken it only says which ones still run and hears of cancels.
func (s *session) pollLoop() {
	p := poller{session: s, trouble: trouble{a: s.Agent, what: "ask the server for jobs"}}
	// The first poll asks for nothing, so that it is answered at once: from
	// then on the server knows that the agent is there and what it can do.
	wait := time.Duration(0)
	for s.all.Err() == nil {
		places := s.places()
		if wait == 0 {
			places = 0
		} else if places == 0 && s.placeWithin(busyWait) {
			continue
		}
		if !p.poll(places, wait) {
			continue
		}
		if wait == 0 {
			wait = pollWait
			s.onlined.Do(func() { close(s.online) })
		}
	}
}

type poller struct {
	*session
	trouble    trouble
	introduced time.Time // zero: the server must be told who this is
}

// poll makes one call and reports whether it was answered.
func (p *poller) poll(places int, wait time.Duration) bool {
	ctx, cancel := context.WithCancel(p.all)
	defer cancel()
	if places > 0 {
		// What an interrupted poll was offered is offered again later.
		defer context.AfterFunc(p.taking, cancel)()
	} else if wait > 0 {
		watched := make(chan struct{})
		defer func() { cancel(); <-watched }()
		go func() {
			defer close(watched)
			select {
			case <-p.changed:
				signal(p.changed)
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	r := agentapi.PollRequest{
		Instance: p.instance, WaitSeconds: int(wait / time.Second), Max: &places, Confirm: true, Running: p.mentioned(),
	}
	now := time.Now()
	introduce := p.introduced.IsZero() || now.Sub(p.introduced) >= introduceEvery
	if introduce {
		r.Commands, r.Version = p.commands(), p.cfg.Version
	}
	answer, err := p.client.Poll(ctx, r)
	switch {
	case ctx.Err() != nil && err != nil:
		return false
	case removed(err):
		p.stopTaking(ErrRemoved)
		pause(p.all, retryMost) // only the drain is left
		return false
	case err != nil:
		p.introduced = time.Time{}
		pause(ctx, p.trouble.failed(err))
		return false
	}
	p.trouble.over()
	if introduce {
		p.introduced = now
	}
	p.heed(answer, places)
	return true
}

// heed acts on a poll's answer.
func (s *session) heed(a agentapi.PollAnswer, places int) {
	s.mu.Lock()
	for _, hold := range a.Cancel {
		if h := s.held[hold]; h != nil && h.cancel != nil {
			s.log.Info("canceling a job", "job", h.hold.ID, "code", h.job.Code)
			h.cancel(errCanceled)
		}
	}
	// What is not taken up is offered again.
	jobs := a.Jobs[:min(places, len(a.Jobs))]
	s.inUse += len(jobs)
	s.mu.Unlock()
	offers := make([]offer, len(jobs))
	for i, j := range jobs {
		offers[i].job = j
	}
	s.starts.add(offers...)
	if s.taking.Err() != nil {
		s.dropOffers() // nobody else may be left to do it
	}
}

// places is how many jobs can be taken now.
func (s *session) places() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking.Err() != nil || s.backlog >= maxBacklog || time.Now().Before(s.restUntil) {
		return 0
	}
	return max(0, s.cfg.Concurrency-s.inUse)
}

// placeWithin waits for a place to come free and reports whether one may have.
func (s *session) placeWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.changed:
		return true
	case <-t.C:
		return false
	case <-s.all.Done():
		return true
	}
}

// mentioned lists the jobs to tell the server of: those that still run and
// those whose result it does not have.
func (s *session) mentioned() []agentapi.Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	var holds []agentapi.Hold
	for _, h := range s.held {
		if time.Since(h.since) >= mentionAfter {
			holds = append(holds, h.hold)
		}
	}
	return holds
}
