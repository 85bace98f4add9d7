package events_test

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// letters is a channel such as e-mail, where each message is a thing to read.
var letters = chat.Capabilities{FinalOnly: true, Files: true, MaxBytes: 100}

func TestFinalOnlyTellsTheEnd(t *testing.T) {
	t.Parallel()
	in(t, letters, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		after(time.Minute)
		s.move(j.ID, job.Sent, "", nil)
		after(time.Minute)
		s.text(j.ID, "the agent says so itself")
		after(time.Minute)
		s.succeed(j.ID, "done")
		after(time.Minute)
		wantLooks(t, s, "the agent says so itself", "succeeded")
		if s.open() != 0 || len(s.given()) != 0 {
			t.Errorf("%d events are open, %d were given up", s.open(), len(s.given()))
		}
	})
}

func TestFinalOnlyTellsWhatWaitsForSomebody(t *testing.T) {
	t.Parallel()
	in(t, letters, func(t *testing.T, s *system) {
		j := s.create("C1", "deploy")
		s.world.mu.Lock()
		s.jobs[j.ID].Approval = job.ApprovalWaiting
		s.world.mu.Unlock()
		after(time.Minute)
		wantLooks(t, s, "waiting")
		s.world.mu.Lock()
		s.jobs[j.ID].Approval = ""
		s.world.mu.Unlock()
		s.move(j.ID, job.Sent, "", nil)
		after(time.Minute)
		s.succeed(j.ID, "done")
		after(time.Minute)
		wantLooks(t, s, "waiting", "succeeded")
	})
}
