package jobtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

var updateTests = map[string]func(*suite){
	"a whole life and its history": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		s.Advance(time.Second)
		sent := s.move(j, job.Sent, nil)
		equal(s, s.job(space, j.ID), sent)
		s.Advance(1500 * time.Microsecond)
		done := s.move(j, job.Succeeded, func(j *job.Job) {
			j.Reason = "of_sorts"
			j.Result = &job.Result{Output: "done\n", ExitCode: pointer(0), Digest: "d"}
		})
		equal(s, s.job(space, j.ID), done)
		if got := done.FinishedAt.Sub(j.CreatedAt); got != time.Second+1500*time.Microsecond {
			s.Fatalf("it took %s", got)
		}
		history, err := s.Store.History(s.ctx, space, j.ID)
		s.must(err)
		equal(s, history, []job.Event{
			statusEvent(j, j.CreatedAt), statusEvent(sent, sent.SentAt), statusEvent(done, done.FinishedAt),
		})
	},
	"every field that may change": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		at := j.CreatedAt
		for _, edit := range []func(*job.Job){
			func(j *job.Job) { j.DueAt, j.LastWordAt = at.Add(3*time.Microsecond), at.Add(4*time.Microsecond) },
			func(j *job.Job) { j.Approval = job.ApprovalWaiting },
			func(j *job.Job) { j.Approval = job.ApprovalGranted },
			func(j *job.Job) { j.OfferedUntil, j.Lease, j.Attempt = at.Add(30*time.Second), "l1", 1 },
			func(j *job.Job) { j.OfferedUntil = time.Time{} },
			func(j *job.Job) { j.Status, j.SentAt = job.Sent, at.Add(5*time.Microsecond) },
			func(j *job.Job) { j.CancelRequestedAt = at.Add(6 * time.Microsecond) },
			func(j *job.Job) { j.SentAt = at.Add(7 * time.Microsecond) },
			func(j *job.Job) { j.Status, j.Reason, j.FinishedAt = job.Expired, job.NoResult, at.Add(time.Minute) },
			func(j *job.Job) { j.Late = append(j.Late, job.LateReport{At: at, Status: job.Failed, Digest: "1"}) },
			func(j *job.Job) { j.Late = append(j.Late, job.LateReport{At: at, Status: job.Succeeded, Digest: "2"}) },
		} {
			us, err := s.Store.Update(s.ctx, job.ByID(space, j.ID), func(v job.View) (*job.Change, error) {
				after := v.Job
				after.Version += 2
				edit(&after)
				return &job.Change{Job: after}, nil
			})
			s.must(err)
			s.must(us[0].Err)
			equal(s, s.job(space, j.ID), us[0].Job)
		}
	},
	"what decide sees": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		s.Advance(time.Minute)
		seen := func(sel job.Selection) (v job.View) {
			us, err := s.Store.Update(s.ctx, sel, func(view job.View) (*job.Change, error) {
				v = view
				return nil, nil
			})
			s.must(err)
			if len(us) != 1 || us[0].Changed || us[0].Err != nil {
				s.Fatalf("answers %+v", us)
			}
			equal(s, us[0].Job, j)
			return v
		}
		v := seen(job.ByID(space, j.ID))
		equal(s, v.Job, j)
		if !v.Now.Equal(s.now()) || v.Agent != nil {
			s.Fatalf("decide saw %+v", v)
		}
		sel := job.ByID(space, j.ID)
		sel.WithAgent = true
		if v = seen(sel); v.Agent == nil || v.Agent.Name != "web-1" {
			s.Fatalf("decide saw the agent %+v", v.Agent)
		}
		s.must(s.Store.RemoveAgent(s.ctx, space, "web-1"))
		if v = seen(sel); v.Agent != nil {
			s.Fatalf("decide saw a removed agent %+v", v.Agent)
		}
	},
	"answers are in order": func(s *suite) {
		s.addAgent(space, "web-1")
		a, b := s.create(draft(space, "web-1", nil)), s.create(draft(space, "web-1", nil))
		own := fmt.Errorf("%w: really", job.ErrLease)
		missing := newID()
		us, err := s.Store.Update(s.ctx, job.ByID(space, b.ID, missing, a.ID, "no'such\"id\xff", b.ID), func(v job.View) (*job.Change, error) {
			if v.Job.ID == a.ID {
				return nil, own
			}
			return to(job.Queuing, nil)(v)
		})
		s.must(err)
		if len(us) != 5 {
			s.Fatalf("%d answers", len(us))
		}
		if us[0].Err != nil || us[0].Job.ID != b.ID || us[0].Job.Version != 2 || !us[0].Changed {
			s.Fatalf("the first answer is %+v", us[0])
		}
		if !errors.Is(us[1].Err, job.ErrNotFound) || !errors.Is(us[3].Err, job.ErrNotFound) {
			s.Fatalf("jobs that are not there: %v, %v", us[1].Err, us[3].Err)
		}
		if !errors.Is(us[2].Err, own) || us[2].Changed {
			s.Fatalf("decide's error became %+v", us[2])
		}
		equal(s, us[2].Job, a)
		// A job named twice is decided twice, one after the other.
		if us[4].Err != nil || us[4].Job.Version != 3 {
			s.Fatalf("the last answer is %+v", us[4])
		}
		equal(s, s.job(space, a.ID), a)
	},
	"a change that cannot be": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		for name, edit := range map[string]func(*job.Job){
			"version stays":        func(*job.Job) {},
			"version falls":        func(j *job.Job) { j.Version = 0 },
			"another ID":           func(j *job.Job) { j.Version++; j.ID = newID() },
			"another space":        func(j *job.Job) { j.Version++; j.Space = "other" },
			"final without a date": func(j *job.Job) { j.Version++; j.Status = job.Failed },
		} {
			us, err := s.Store.Update(s.ctx, job.ByID(space, j.ID), func(v job.View) (*job.Change, error) {
				after := v.Job
				edit(&after)
				return &job.Change{Job: after}, nil
			})
			s.must(err)
			if us[0].Err == nil || us[0].Changed {
				s.Errorf("%s: answered %+v", name, us[0])
			}
		}
		equal(s, s.job(space, j.ID), j)
	},
	"a panic in decide": func(s *suite) {
		s.addAgent(space, "web-1")
		a, b := s.create(draft(space, "web-1", nil)), s.create(draft(space, "web-1", nil))
		us, err := s.Store.Update(s.ctx, job.ByID(space, a.ID, b.ID), func(v job.View) (*job.Change, error) {
			if v.Job.ID == a.ID {
				panic("boom")
			}
			return to(job.Canceled, nil)(v)
		})
		s.must(err)
		if us[0].Err == nil || us[0].Changed || us[1].Err != nil || !us[1].Changed {
			s.Fatalf("answers %+v", us)
		}
		equal(s, s.job(space, a.ID), a)
	},
	"no space, no job": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		us, err := s.Store.Update(s.ctx, job.ByID("", j.ID), to(job.Canceled, nil))
		s.must(err)
		if len(us) != 1 || !errors.Is(us[0].Err, job.ErrNotFound) {
			s.Fatalf("answers %+v", us)
		}
		us, err = s.Store.Update(s.ctx, job.ByID(space), to(job.Canceled, nil))
		if err != nil || len(us) != 0 {
			s.Fatalf("no IDs: %v, %v", us, err)
		}
	},
	"an ended context": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		if _, err := s.Store.Update(ctx, job.ByID(space, j.ID), leave); !errors.Is(err, context.Canceled) {
			s.Fatalf("update: %v", err)
		}
		if _, err := s.Store.Create(ctx, []job.Entry{draft(space, "web-1", nil)}); !errors.Is(err, context.Canceled) {
			s.Fatalf("create: %v", err)
		}
		if _, err := s.Store.Job(ctx, space, j.ID); !errors.Is(err, context.Canceled) {
			s.Fatalf("job: %v", err)
		}
	},
}
