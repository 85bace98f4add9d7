package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

func addAgent(tb testing.TB, s *Store, name string) {
	tb.Helper()
	a := job.Agent{ID: "agent-" + name, Space: "default", Name: name, CreatedAt: s.now(), LastSeenAt: s.now()}
	if err := s.CreateAgent(context.Background(), a); err != nil {
		tb.Fatal(err)
	}
}

// testEntry makes a queuing job as one that was pushed over the API.
func testEntry(agent string) job.Entry {
	return job.Entry{
		Draft: &job.Draft{
			ID: uuid.Must(uuid.NewV7()).String(), Space: "default", Agent: agent, Message: "deploy v1.2.3 to production",
			Sender: chat.Sender{Account: "token", User: "ci", Name: "ci"},
		},
		Admit: func(now time.Time, d job.Draft, agent *job.Agent) (job.Job, []job.Event, error) {
			if agent == nil {
				return job.Job{}, nil, job.ErrUnknownAgent
			}
			j := job.Job{
				ID: d.ID, Space: d.Space, Num: d.Num, Agent: d.Agent, Message: d.Message, Sender: d.Sender,
				CreatedAt: now, DueAt: now.Add(time.Hour), Status: job.Queuing, Version: 1,
			}
			return j, []job.Event{testEvent(j, now)}, nil
		},
	}
}

func testEvent(j job.Job, now time.Time) job.Event {
	return job.Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: job.EventJobStatus, At: now,
		Status: j.Status, Reason: j.Reason, By: "token:ci", Agent: j.Agent, Num: j.Num,
	}
}

// testMove is the decision to move a job to a status.
func testMove(to job.Status) job.Decide {
	return func(v job.View) (*job.Change, error) {
		j := v.Job
		j.Status, j.Version = to, j.Version+1
		switch {
		case to == job.Sent:
			j.SentAt, j.LastWordAt = v.Now, v.Now
			j.Lease, j.Attempt, j.DueAt = "0123456789abcdefghijkl", j.Attempt+1, v.Now.Add(10*time.Minute)
		case to.Final():
			zero := 0
			j.FinishedAt = v.Now
			j.Result = &job.Result{Output: "deployed v1.2.3\n", ExitCode: &zero, Digest: "0123456789abcdef01234567"}
		}
		return &job.Change{Job: j, Events: []job.Event{testEvent(j, v.Now)}}, nil
	}
}

func createOne(ctx context.Context, s *Store, e job.Entry) (job.Job, error) {
	created, err := s.Create(ctx, []job.Entry{e})
	if err == nil {
		err = created[0].Err
	}
	if err != nil {
		return job.Job{}, err
	}
	return created[0].Job, nil
}
