package mysql

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// putJob makes a queuing job for the agent, which is made if it is not there.
func putJob(t *testing.T, s *Store, agent string, c *chat.ConversationRef) job.Job {
	t.Helper()
	j, err := makeJob(t.Context(), s, agent, c)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func makeJob(ctx context.Context, s *Store, agent string, c *chat.ConversationRef) (job.Job, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return job.Job{}, err
	}
	// Another test, or another round, may have made it.
	_ = s.CreateAgent(ctx, job.Agent{ID: uuid.NewString(), Space: "default", Name: agent, CreatedAt: now, LastSeenAt: now})
	created, err := s.Create(ctx, []job.Entry{{
		Draft: &job.Draft{
			ID: uuid.Must(uuid.NewV7()).String(), Space: "default", Agent: agent, Message: "deploy", Conversation: c,
			Sender: chat.Sender{Account: "token", User: "ci"},
		},
		Admit: func(now time.Time, d job.Draft, _ *job.Agent) (job.Job, []job.Event, error) {
			j := job.Job{
				ID: d.ID, Space: d.Space, Num: d.Num, Agent: d.Agent, Message: d.Message, Sender: d.Sender,
				Conversation: d.Conversation, Status: job.Queuing, Version: 1, CreatedAt: now, DueAt: now.Add(time.Hour),
			}
			return j, []job.Event{eventOf(j, now)}, nil
		},
	}})
	if err != nil {
		return job.Job{}, err
	}
	return created[0].Job, created[0].Err
}

func eventOf(j job.Job, now time.Time) job.Event {
	return job.Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: job.EventJobStatus, At: now,
		Conversation: j.Conversation, Agent: j.Agent, Num: j.Num, Status: j.Status,
	}
}

// moved is the decision that the job has the status now.
func moved(to job.Status) job.Decide {
	return func(v job.View) (*job.Change, error) {
		after := v.Job
		after.Version++
		after.Status = to
		if to.Final() {
			after.FinishedAt = v.Now
		}
		return &job.Change{Job: after, Events: []job.Event{eventOf(after, v.Now)}}, nil
	}
}

// openNodes opens the same database for several nodes.
func openNodes(t *testing.T, n int, c Config) []*Store {
	t.Helper()
	if c.DSN == "" {
		c.DSN = newDatabase(t)
	}
	nodes := make([]*Store, n)
	for i := range nodes {
		nodes[i] = openTest(t, c)
	}
	return nodes
}

// TestManyNodesPublish has several nodes make and move jobs, each job by
// another node at each step, while one publishes and tells. Every event must
// come, once, and each job's in order.
func TestManyNodesPublish(t *testing.T) {
	t.Parallel()
	const makers, each = 6, 30
	nodes := openNodes(t, 3, Config{})
	ctx := t.Context()
	conversation := func(m int) *chat.ConversationRef {
		return &chat.ConversationRef{Account: "work-slack", Key: fmt.Sprint("C", m%3)}
	}
	var all sync.WaitGroup
	for m := range makers {
		all.Go(func() {
			for i := range each {
				j, err := makeJob(ctx, nodes[(m+i)%3], fmt.Sprint("web-", m), conversation(m))
				for k, to := range []job.Status{job.Sent, job.Succeeded} {
					if err != nil {
						break
					}
					var us []job.Updated
					if us, err = nodes[(m+i+k+1)%3].Update(ctx, job.ByID("default", j.ID), moved(to)); err == nil {
						err = us[0].Err
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	made := make(chan struct{})
	go func() { all.Wait(); close(made) }()

	const want = 3 * makers * each
	last := map[string]int64{}
	seen := 0
	check := func(es []job.Event) {
		for _, e := range es {
			if e.Version != last[e.Subject]+1 {
				t.Fatalf("event %s came after version %d", e.ID(), last[e.Subject])
			}
			last[e.Subject] = e.Version
			seen++
		}
	}
	drain := func(what string, read func() int) {
		t.Helper()
		last, seen = map[string]int64{}, 0
		for idle := false; seen < want && !t.Failed(); {
			n := read()
			select {
			case <-made: // what is left is there
				if n == 0 && idle {
					t.Fatalf("%d events were %s, want %d", seen, what, want)
				}
				idle = n == 0
			default:
			}
		}
	}
	drain("published", func() int {
		es, err := nodes[0].Unpublished(ctx, 17)
		if err == nil {
			err = nodes[0].MarkPublished(ctx, es)
		}
		if err != nil {
			t.Fatal(err)
		}
		check(es)
		return len(es)
	})
	drain("told", func() (n int) {
		open, err := nodes[1].OpenConversations(ctx, nil, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range open {
			es, err := nodes[1].Open(ctx, c, 7)
			if err == nil {
				err = nodes[1].Record(ctx, events.Delivery{Conversation: c, Events: es})
			}
			if err != nil {
				t.Fatal(err)
			}
			check(es)
			n += len(es)
		}
		return n
	})
	<-made
	if open, _, err := nodes[2].Backlog(ctx); err != nil || open != 0 {
		t.Fatalf("%d events are open, %v", open, err)
	}
	if open, err := nodes[2].OpenConversations(ctx, nil, 10); err != nil || len(open) != 0 {
		t.Fatalf("conversations without events stay: %v, %v", open, err)
	}
}

// TestNumbersOutOfOrder reads an outbox whose numbers go against the order of
// the events, as on servers that give them out in blocks.
func TestNumbersOutOfOrder(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s := openTest(t, Config{DSN: dsn})
	ctx := t.Context()
	c := events.Conversation{Account: "work-slack", Key: "C1"}
	j := putJob(t, s, "web-1", &chat.ConversationRef{Account: c.Account, Key: c.Key})
	for _, to := range []job.Status{job.Sent, job.Failed} {
		if us, err := s.Update(ctx, job.ByID("default", j.ID), moved(to)); err != nil || us[0].Err != nil {
			t.Fatal(err, us)
		}
	}
	other := putJob(t, s, "web-1", &chat.ConversationRef{Account: c.Account, Key: c.Key})
	db := testDB(t, dsn)
	for table, version := range map[string]string{"outbox": `JSON_EXTRACT(events, '$[0].versions[0]')`, "untold": "version"} {
		column := map[string]string{"outbox": "events", "untold": "subject"}[table]
		execAll(t, db,
			`UPDATE `+table+` SET seq = 1000 - `+version+` WHERE `+column+` LIKE '%`+j.ID+`%'`,
			`UPDATE `+table+` SET seq = 500 WHERE `+column+` LIKE '%`+other.ID+`%'`)
	}
	// As a node that wrote none of them, on such a server.
	s = openTest(t, Config{DSN: dsn})
	s.scattered = true
	want := []string{other.ID + ".1", j.ID + ".1", j.ID + ".2", j.ID + ".3"}
	for what, next := range map[string]func(max int) ([]job.Event, error){
		"published": func(max int) ([]job.Event, error) {
			es, err := s.Unpublished(ctx, max)
			if err != nil {
				return nil, err
			}
			return es, s.MarkPublished(ctx, es)
		},
		"told": func(max int) ([]job.Event, error) {
			es, err := s.Open(ctx, c, max)
			if err != nil {
				return nil, err
			}
			return es, s.Record(ctx, events.Delivery{Conversation: c, Events: es})
		},
	} {
		var got []string
		for _, max := range []int{1, 10, 10, 10} {
			es, err := next(max)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range es {
				got = append(got, e.ID())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%v, want\n%v", what, got, want)
		}
	}
}

// TestLeaseOfTheDatabase has two nodes go by the database's clock.
func TestLeaseOfTheDatabase(t *testing.T) {
	t.Parallel()
	nodes := openNodes(t, 2, Config{})
	ctx := t.Context()
	a, b := nodes[0].Leaser("a"), nodes[1].Leaser("b")
	const ttl = 400 * time.Millisecond
	begun := time.Now()
	if epoch, held, err := a.Acquire(ctx, "relay", ttl); err != nil || !held || epoch != 1 {
		t.Fatal(epoch, held, err)
	}
	for {
		epoch, held, err := b.Acquire(ctx, "relay", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if held {
			if d := time.Since(begun); d < ttl || epoch != 2 {
				t.Fatalf("it was taken over after %s, with epoch %d", d, epoch)
			}
			break
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatal("it was not taken over in 30 s")
		}
	}
	err := nodes[0].Record(ctx, events.Delivery{Guard: events.Guard{Lease: "relay", Epoch: 1}})
	if err == nil {
		t.Fatal("the one before writes as if it held the lease")
	}
}

// TestNobodyTakesOverInTheMiddle keeps a guarded write open: the lease cannot
// change hands before it has ended.
func TestNobodyTakesOverInTheMiddle(t *testing.T) {
	t.Parallel()
	clock := newClock()
	nodes := openNodes(t, 2, Config{Clock: clock.Now})
	ctx := t.Context()
	epoch, held, err := nodes[0].Leaser("a").Acquire(ctx, "relay", time.Minute)
	if err != nil || !held {
		t.Fatal(held, err)
	}
	checked, finish := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := nodes[0].write(ctx, 1, func(tx *tx) error {
			err := tx.guarded(events.Guard{Lease: "relay", Epoch: epoch})
			close(checked)
			<-finish
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-checked
	clock.Advance(time.Hour)
	taken := make(chan struct{})
	all.Go(func() {
		defer close(taken)
		if epoch, held, err := nodes[1].Leaser("b").Acquire(ctx, "relay", time.Minute); err != nil || !held || epoch != 2 {
			t.Error(epoch, held, err)
		}
	})
	select {
	case <-taken:
		t.Error("it was taken over in the middle of a guarded write")
	case <-time.After(100 * time.Millisecond):
	}
	close(finish)
	all.Wait()
}
