package agent

import (
	"fmt"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// maxStarts is how many jobs are started with one call.
const maxStarts = 500

// offer is a job that a poll offered.
type offer struct {
	job agentapi.Assignment
	// journaled says that an earlier process wrote the intent.
	journaled bool
}

func (o offer) hold() agentapi.Hold { return agentapi.Hold{ID: o.job.ID, Lease: o.job.Lease} }

// startLoop confirms offers in batches and runs what the server confirms.
func (s *session) startLoop() {
	t := trouble{a: s.Agent, what: "start jobs"}
	for {
		batch := s.starts.take(s.taking, func(n int, _ offer) bool { return n < maxStarts })
		if batch == nil {
			s.dropOffers()
			return
		}
		s.start(batch, &t)
	}
}

// dropOffers gives back the places of offers that nobody will start.
func (s *session) dropOffers() {
	s.starts.mu.Lock()
	n := len(s.starts.items)
	s.starts.items = nil
	s.starts.mu.Unlock()
	s.release(n)
}

// start journals the intents, asks the server, journals what it confirmed and
// only then runs it.
func (s *session) start(batch []offer, t *trouble) {
	batch = s.intend(batch)
	for len(batch) > 0 {
		holds := make([]agentapi.Hold, len(batch))
		for i, o := range batch {
			holds[i] = o.hold()
		}
		s.crash("intended")
		answers, err := s.client.Starts(s.all, holds)
		if err == nil && len(answers) != len(holds) {
			err = fmt.Errorf("the server answered %d of %d starts", len(answers), len(holds))
		}
		if err != nil {
			if removed(err) {
				s.forget(batch)
				s.stopTaking(ErrRemoved)
				return
			}
			// The server may have taken the call, so the intents stay.
			if s.taking.Err() != nil || !pause(s.taking, t.failed(err)) {
				s.release(len(batch))
				return
			}
			continue
		}
		s.crash("answered")
		again, unclear := s.sortOut(batch, answers)
		if batch = again; len(batch) == 0 {
			t.over()
			return
		}
		if s.taking.Err() != nil || !pause(s.taking, t.failed(unclear)) {
			s.release(len(batch))
			return
		}
	}
}

// intend journals the offers that are not, and returns those that may go on.
func (s *session) intend(batch []offer) []offer {
	var fresh []agentapi.Assignment
	var kept []offer
	s.mu.Lock()
	running := make(map[string]bool, len(s.held))
	for hold := range s.held {
		running[hold.ID] = true
	}
	s.mu.Unlock()
	for _, o := range batch {
		switch {
		case running[o.job.ID] && !o.journaled:
			// The server's memory is older than ours: never twice.
			s.log.Error("the server offered a job that this agent has already; it is not run again", "job", o.job.ID)
			s.release(1)
			continue
		case !o.journaled:
			fresh = append(fresh, o.job)
		}
		kept = append(kept, o)
	}
	if len(fresh) == 0 {
		return kept
	}
	if err := s.journal.Intend(fresh); err != nil {
		s.log.Error("could not write the journal; no jobs are taken for a while", "err", err)
		s.rest()
		s.release(len(fresh))
		old := kept[:0]
		for _, o := range kept {
			if o.journaled {
				old = append(old, o)
			}
		}
		return old
	}
	return kept
}

// sortOut acts on the answers to starts, and returns the offers whose answer was
// neither yes nor no.
func (s *session) sortOut(batch []offer, answers []agentapi.Answer) (again []offer, unclear error) {
	var yes []offer
	var no []offer
	for i, a := range answers {
		o := batch[i]
		switch {
		case a.Status == http.StatusOK:
			yes = append(yes, o)
		case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
			again, unclear = append(again, o), problemOf(a)
		default:
			s.log.Info("the server gave the job to somebody else, or it is over", "job", o.job.ID, "code", o.job.Code, "why", problemOf(a))
			no = append(no, o)
		}
	}
	s.forget(no)
	s.begin(yes)
	return again, unclear
}

func problemOf(a agentapi.Answer) error {
	if a.Problem != nil {
		return a.Problem
	}
	return &agentapi.Problem{Status: a.Status, Title: fmt.Sprintf("the server answered %d", a.Status)}
}

// forget closes offers that are not to be started.
func (s *session) forget(offers []offer) {
	if len(offers) == 0 {
		return
	}
	holds := make([]agentapi.Hold, len(offers))
	for i, o := range offers {
		holds[i] = o.hold()
	}
	s.journal.Forget(holds...)
	s.release(len(offers))
}

// begin journals confirmed jobs as started and runs them.
func (s *session) begin(offers []offer) {
	if len(offers) == 0 {
		return
	}
	holds := make([]agentapi.Hold, len(offers))
	for i, o := range offers {
		holds[i] = o.hold()
	}
	s.mu.Lock()
	late := s.ending
	s.mu.Unlock()
	if late {
		// The agent has no time left to run them. The next start asks the
		// server again, and runs them then.
		s.release(len(offers))
		return
	}
	err := s.journal.Started(holds)
	if err == nil {
		s.crash("started")
	}
	now := time.Now()
	for i, o := range offers {
		h := &held{hold: holds[i], job: o.job, since: now}
		if err == nil {
			s.launch(h)
			continue
		}
		// It must not run, since a restart would not know that it did.
		s.log.Error("could not write the journal, so the job is not run", "job", h.hold.ID, "err", err)
		s.mu.Lock()
		s.held[h.hold] = h
		s.mu.Unlock()
		text := "The agent could not write its journal, so it did not run the job."
		s.finish(h, agentapi.Report{Status: statusFailed, Reason: reasonJournal, Output: &text})
	}
}

// rest lets the agent take no jobs for a while.
func (s *session) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restUntil = time.Now().Add(restAfter)
	time.AfterFunc(restAfter, func() { signal(s.changed) })
}
