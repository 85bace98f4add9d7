package jobtest

import (
	"errors"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

func (s *suite) list(f job.Filter) []string {
	s.Helper()
	jobs, err := s.Store.Jobs(s.ctx, f)
	s.must(err)
	return ids(jobs)
}

var listTests = map[string]func(*suite){
	"filters and cursor": func(s *suite) {
		statuses := []job.Status{job.Queuing, job.Sent, job.Succeeded, job.Failed, job.Expired, job.Canceled}
		senders := []chat.Sender{
			somebody, {Account: "token", User: "ci"}, {Account: "mail", User: "ada@example.com"},
		}
		agents := []string{"a", "b", "c"}
		for _, in := range []string{space, "other"} {
			for _, a := range agents {
				s.addAgent(in, a)
			}
		}
		var all []job.Job
		for i := range 72 {
			in := space
			if i%9 == 8 {
				in = "other"
			}
			e := draft(in, agents[i%3], nil)
			e.Draft.Sender = senders[i/3%3]
			j := s.create(e)
			if to := statuses[i%len(statuses)]; to != job.Queuing {
				if j = s.move(j, job.Sent, nil); to != job.Sent {
					j = s.move(j, to, nil)
				}
			}
			all = append(all, j)
		}
		slices.Reverse(all)
		want := func(f job.Filter) []string {
			matching := []string{}
			for _, j := range all {
				if j.Space == f.Space && (f.Agent == "" || f.Agent == j.Agent) && (f.Status == "" || f.Status == j.Status) &&
					(f.Sender == "" || f.Sender == j.Sender.Principal()) && (f.Before == 0 || j.Num < f.Before) &&
					(f.Agents == nil || slices.Contains(f.Agents, j.Agent)) && len(matching) < f.Limit {
					matching = append(matching, j.ID)
				}
			}
			return matching
		}
		for _, in := range []string{space, "other", "nowhere"} {
			for _, agent := range []string{"", "a", "z"} {
				for _, status := range append(statuses, "") {
					for _, sender := range []string{"", somebody.Principal(), "token:ci", "mail:ada@example.com", "mail:eve@example.com"} {
						for _, of := range [][]string{nil, {}, {"a", "c", "a"}, {"z"}} {
							for _, before := range []int64{0, all[20].Num} {
								f := job.Filter{
									Space: in, Agent: agent, Status: status, Sender: sender, Agents: of, Before: before, Limit: 5,
								}
								if got := s.list(f); !slices.Equal(got, want(f)) {
									s.Fatalf("%+v lists\n%v, want\n%v", f, got, want(f))
								}
							}
						}
					}
				}
			}
		}
		// Page by page.
		f := job.Filter{Space: space, Limit: 7}
		var paged []string
		for {
			jobs, err := s.Store.Jobs(s.ctx, f)
			s.must(err)
			if len(jobs) == 0 {
				break
			}
			paged = append(paged, ids(jobs)...)
			f.Before = jobs[len(jobs)-1].Num
		}
		equal(s, paged, want(job.Filter{Space: space, Limit: 100}))
	},
	"without outputs": func(s *suite) {
		j := s.sentJob()
		s.move(j, job.Failed, func(j *job.Job) {
			j.Result = &job.Result{Output: "long", ExitCode: pointer(3), Truncated: true, Digest: "d"}
			j.Late = []job.LateReport{{Status: job.Succeeded, Output: "long too", Digest: "e"}}
		})
		want := s.job(space, j.ID)
		want.Result.Output, want.Late[0].Output = "", ""
		jobs, err := s.Store.Jobs(s.ctx, job.Filter{Space: space})
		s.must(err)
		equal(s, jobs, []job.Job{want})
	},
	"a job that is not there": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		for name, err := range map[string]error{
			"job":     second(s.Store.Job(s.ctx, space, newID())),
			"number":  second(s.Store.JobByNum(s.ctx, space, j.Num+1)),
			"history": second(s.Store.History(s.ctx, space, newID())),
			"odd ID":  second(s.Store.Job(s.ctx, space, "'\x00\xff")),
		} {
			if !errors.Is(err, job.ErrNotFound) {
				s.Errorf("%s: %v", name, err)
			}
		}
	},
	"history of two events at once": func(s *suite) {
		s.addAgent(space, "web-1")
		e := draft(space, "web-1", nil)
		seen := s.now().Add(-time.Hour)
		e.Draft.Conversation = &chat.ConversationRef{Account: "work-slack", Key: "C1"}
		admit := e.Admit
		e.Admit = func(now time.Time, d job.Draft, a *job.Agent) (job.Job, []job.Event, error) {
			j, events, err := admit(now, d, a)
			j.Version, j.Status, j.Reason, j.FinishedAt = 2, job.Expired, job.AgentOffline, now
			offline := statusEvent(j, now)
			offline.AgentSeenAt, offline.By = seen, ""
			return j, append(events, offline), err
		}
		j := s.create(e)
		us, err := s.Store.Update(s.ctx, job.ByID(space, j.ID), func(v job.View) (*job.Change, error) {
			after := v.Job
			after.Version++
			return &job.Change{Job: after, Events: []job.Event{{
				Subject: j.ID, Version: after.Version, Space: space, Kind: job.EventMessage, At: v.Now, Text: "too late",
				Agent: j.Agent, Num: j.Num, Mention: &somebody, By: "web-1",
				// Not where the job itself is told.
				Conversation: &chat.ConversationRef{Account: "work-slack", Key: "C2"},
			}}}, nil
		})
		s.must(err)
		s.must(us[0].Err)
		history, err := s.Store.History(s.ctx, space, j.ID)
		s.must(err)
		if len(history) != 3 {
			s.Fatalf("the history is %+v", history)
		}
		if h := history[1]; h.Version != 2 || h.Reason != job.AgentOffline || !h.AgentSeenAt.Equal(seen) || h.Conversation.Key != "C1" {
			s.Fatalf("the second event is %+v", h)
		}
		if h := history[2]; h.Version != 3 || h.Kind != job.EventMessage || h.Text != "too late" || h.Conversation.Key != "C2" ||
			h.Mention == nil || *h.Mention != somebody || h.Num != j.Num {
			s.Fatalf("the third event is %+v", h)
		}
	},
}

func second[T any](_ T, err error) error { return err }
