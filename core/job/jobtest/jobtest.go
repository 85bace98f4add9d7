// Package jobtest is the suite that every job.Store passes. A store's test
// calls Run with a function that opens an empty one.
package jobtest

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// Harness is an empty store and what the suite needs beside it.
type Harness struct {
	Store job.Store
	// Advance moves the store's clock, which otherwise stands still.
	Advance func(time.Duration)
	// Settle records that every event was published and told.
	Settle func(t *testing.T)
}

// Run runs the suite. open is called once for each test, concurrently.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*suite)
	}{
		{"Create", createTests},
		{"Update", updateTests},
		{"Select", selectTests},
		{"Output", outputTests},
		{"List", listTests},
		{"Agents", agentTests},
		{"Outages", outageTests},
		{"Prune", pruneTests},
		{"Spaces", spaceTests},
		{"Stirred", stirredTests},
		{"Concurrency", concurrencyTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					h := open(t)
					test(&suite{T: t, Harness: h, ctx: t.Context()})
				})
			}
		})
	}
}

// suite is one test with a store of its own.
type suite struct {
	*testing.T
	Harness
	ctx context.Context
}

const space = job.DefaultSpace

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// equal compares what marshals to JSON by its JSON, which shows times and
// pointers as what they stand for.
func equal[T any](s *suite, got, want T) {
	s.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, err := json.MarshalIndent(got, "", " ")
	s.must(err)
	w, err := json.MarshalIndent(want, "", " ")
	s.must(err)
	if string(g) == string(w) {
		s.Fatalf("they differ in what JSON does not show:\n got %#v\nwant %#v", got, want)
	}
	s.Fatalf("got %.4000s\nwant %.4000s", g, w)
}

func (s *suite) now() time.Time {
	s.Helper()
	now, err := s.Store.Now(s.ctx)
	s.must(err)
	return now
}

// addAgent makes an agent that was seen just now.
func (s *suite) addAgent(inSpace, name string) job.Agent {
	s.Helper()
	now := s.now()
	a := job.Agent{ID: newID(), Space: inSpace, Name: name, CreatedAt: now, LastSeenAt: now}
	s.must(s.Store.CreateAgent(s.ctx, a))
	return a
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

var somebody = chat.Sender{Account: "work-slack", Workspace: "T0123", User: "U0456", Name: "Ada"}

// draft returns an entry that makes a queuing job for the agent. edit, when
// not nil, changes the job that Admit makes.
func draft(inSpace, agent string, edit func(*job.Job)) job.Entry {
	return job.Entry{
		Draft: &job.Draft{ID: newID(), Space: inSpace, Agent: agent, Message: "deploy v1.2.3", Sender: somebody},
		Admit: func(now time.Time, d job.Draft, a *job.Agent) (job.Job, []job.Event, error) {
			if a == nil {
				return job.Job{}, nil, job.ErrUnknownAgent
			}
			j := job.Job{
				ID: d.ID, Space: d.Space, Num: d.Num, Agent: a.Name, Message: d.Message, Sender: d.Sender,
				Conversation: d.Conversation, CallbackURL: d.CallbackURL,
				Status: job.Queuing, Version: 1, CreatedAt: now, DueAt: now.Add(time.Hour),
			}
			if edit != nil {
				edit(&j)
			}
			return j, []job.Event{statusEvent(j, now)}, nil
		},
	}
}

func statusEvent(j job.Job, now time.Time) job.Event {
	return job.Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: job.EventJobStatus, At: now,
		Conversation: j.Conversation, Agent: j.Agent, Num: j.Num, Status: j.Status, Reason: j.Reason,
		By: j.Sender.Principal(),
	}
}

// create makes one job of a draft.
func (s *suite) create(e job.Entry) job.Job {
	s.Helper()
	created, err := s.Store.Create(s.ctx, []job.Entry{e})
	s.must(err)
	s.must(created[0].Err)
	if created[0].Duplicate {
		s.Fatal("a new entry is no duplicate")
	}
	return created[0].Job
}

func (s *suite) job(inSpace, id string) job.Job {
	s.Helper()
	j, err := s.Store.Job(s.ctx, inSpace, id)
	s.must(err)
	return j
}

// to is a decision that moves a job to a status, with its event.
func to(status job.Status, edit func(*job.Job)) job.Decide {
	return func(v job.View) (*job.Change, error) {
		j := v.Job
		j.Status = status
		j.Version++
		switch {
		case status.Final():
			j.FinishedAt = v.Now
		case status == job.Sent:
			j.SentAt, j.LastWordAt = v.Now, v.Now
			j.Lease, j.Attempt = "lease of "+j.ID, j.Attempt+1
			j.DueAt = v.Now.Add(10 * time.Minute)
		}
		if edit != nil {
			edit(&j)
		}
		return &job.Change{Job: j, Events: []job.Event{statusEvent(j, v.Now)}}, nil
	}
}

// move applies to to one job.
func (s *suite) move(j job.Job, status job.Status, edit func(*job.Job)) job.Job {
	s.Helper()
	us, err := s.Store.Update(s.ctx, job.ByID(j.Space, j.ID), to(status, edit))
	s.must(err)
	s.must(us[0].Err)
	if len(us) != 1 || !us[0].Changed {
		s.Fatalf("one change was wanted: %+v", us)
	}
	return us[0].Job
}

func ids(jobs []job.Job) []string {
	all := make([]string, len(jobs))
	for i, j := range jobs {
		all[i] = j.ID
	}
	return all
}

func updatedIDs(us []job.Updated) []string {
	all := make([]string, len(us))
	for i, u := range us {
		all[i] = u.Job.ID
	}
	return all
}

// leave is the decision to change nothing.
func leave(job.View) (*job.Change, error) { return nil, nil }

func pointer[T any](v T) *T { return &v }
