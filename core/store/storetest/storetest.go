// Package storetest is the suite that every store passes beside jobtest: the
// outbox, tokens, the audit log, and what adapters share.
package storetest

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store"
)

// Harness is an empty store, opened with events.DefaultPartitions, and its
// clock.
type Harness struct {
	Store store.Store
	// Advance moves the store's clock, which otherwise stands still.
	Advance func(time.Duration)
	// Reopen opens the same database a second time, with that many
	// partitions (0: as the database has it). The suite closes what it gets.
	Reopen func(partitions int) (store.Store, error)
}

// Run runs the suite. open is called once for each test, concurrently.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*suite)
	}{
		{"Publish", publishTests},
		{"Tell", tellTests},
		{"Partition", partitionTests},
		{"Access", accessTests},
		{"Shared", sharedTests},
		{"Nodes", nodeTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(&suite{T: t, Harness: open(t), ctx: t.Context()})
				})
			}
		})
	}
}

// Settle records that every event was published and told, for jobtest.
func Settle(t *testing.T, store events.Store) {
	t.Helper()
	ctx := t.Context()
	for {
		unpublished, err := store.Unpublished(ctx, 100)
		must(t, err)
		if len(unpublished) == 0 {
			break
		}
		must(t, store.MarkPublished(ctx, unpublished))
	}
	for {
		open, err := store.OpenConversations(ctx, nil, 100)
		must(t, err)
		if len(open) == 0 {
			return
		}
		for _, c := range open {
			told, err := store.Open(ctx, c, 100)
			must(t, err)
			must(t, store.Record(ctx, events.Delivery{Conversation: c, Events: told}))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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
	must(s.T, err)
}

func equal[T any](s *suite, got, want T) {
	s.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, err := json.MarshalIndent(got, "", " ")
	s.must(err)
	w, err := json.MarshalIndent(want, "", " ")
	s.must(err)
	s.Fatalf("got %s\nwant %s", g, w)
}

func (s *suite) now() time.Time {
	s.Helper()
	now, err := s.Store.Now(s.ctx)
	s.must(err)
	return now
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func conversation(account, key string) *chat.ConversationRef {
	return &chat.ConversationRef{Account: account, Channel: "C1", Key: key, Data: json.RawMessage(`{"ts":"1"}`)}
}

// create makes a queuing job that is told to the conversation.
func (s *suite) create(inSpace string, c *chat.ConversationRef) job.Job {
	s.Helper()
	created, err := s.Store.Create(s.ctx, []job.Entry{{
		Draft: &job.Draft{ID: newID(), Space: inSpace, Agent: "web-1", Message: "deploy", Conversation: c},
		Admit: func(now time.Time, d job.Draft, _ *job.Agent) (job.Job, []job.Event, error) {
			j := job.Job{
				ID: d.ID, Space: d.Space, Num: d.Num, Agent: d.Agent, Message: d.Message, Conversation: d.Conversation,
				Status: job.Queuing, Version: 1, CreatedAt: now,
			}
			return j, []job.Event{statusEvent(j, now)}, nil
		},
	}})
	s.must(err)
	s.must(created[0].Err)
	return created[0].Job
}

// move moves the job to a status.
func (s *suite) move(j job.Job, to job.Status) job.Job {
	s.Helper()
	us, err := s.Store.Update(s.ctx, job.ByID(j.Space, j.ID), func(v job.View) (*job.Change, error) {
		after := v.Job
		after.Version++
		after.Status = to
		if to.Final() {
			after.FinishedAt = v.Now
		}
		return &job.Change{Job: after, Events: []job.Event{statusEvent(after, v.Now)}}, nil
	})
	s.must(err)
	s.must(us[0].Err)
	return us[0].Job
}

// say says a text in a conversation.
func (s *suite) say(c *chat.ConversationRef, text string) job.Event {
	s.Helper()
	e := job.Event{Subject: newID(), Space: space, Kind: job.EventMessage, At: s.now(), Conversation: c, Text: text}
	created, err := s.Store.Create(s.ctx, []job.Entry{{Messages: []job.Event{e}}})
	s.must(err)
	s.must(created[0].Err)
	return e
}

func statusEvent(j job.Job, now time.Time) job.Event {
	return job.Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: job.EventJobStatus, At: now, Conversation: j.Conversation,
		Agent: j.Agent, Num: j.Num, Status: j.Status, By: "token:ci",
	}
}

func eventIDs(all []job.Event) []string {
	ids := []string{}
	for _, e := range all {
		ids = append(ids, e.ID())
	}
	return ids
}
