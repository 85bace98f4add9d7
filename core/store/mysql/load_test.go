package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// load is a number of jobs that many stores make, hand over, finish, publish
// and tell at the same time, each job's steps by different ones.
type load struct {
	*testing.T
	nodes []*Store
	jobs  int
	half  func() // called when half of them were made; nil: nothing is

	mu      sync.Mutex
	made    map[string]bool // that were acknowledged
	claims  map[string]int
	done    int
	closed  chan struct{} // all are done
	retried int           // calls that ended with job.ErrUnavailable
}

const (
	loadAgents = 2
	loadRooms  = 5
)

// run returns once every job is done, published and told, and fails the test if
// anything was lost or happened twice.
func (l *load) run() {
	l.Helper()
	l.made, l.claims, l.closed = map[string]bool{}, map[string]int{}, make(chan struct{})
	ctx := l.Context()
	for a := range loadAgents {
		putAgent(l.T, l.nodes[0], fmt.Sprint("web-", a))
	}
	var all sync.WaitGroup
	n := len(l.nodes)
	const makers = 6
	for m := range makers {
		all.Go(func() {
			for i := m; i < l.jobs; i += makers {
				l.make(ctx, l.nodes[i%n], i)
			}
		})
	}
	for p := range 3 * loadAgents {
		all.Go(func() { l.work(ctx, l.nodes[p%n], l.nodes[(p+1)%n], fmt.Sprint("web-", p%loadAgents)) })
	}
	all.Go(func() { l.publish(ctx, l.nodes[n-1]) })
	all.Go(func() { l.tell(ctx, l.nodes[0]) })
	all.Wait()
	for i, s := range l.nodes {
		l.Logf("store %d: %+v", i, s.Stats())
		l.check(ctx, s)
	}
	l.Logf("%d calls were answered that the database is away", l.retried)
}

func putAgent(t *testing.T, s *Store, name string) {
	t.Helper()
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateAgent(t.Context(), job.Agent{ID: uuid.NewString(), Space: "default", Name: name, CreatedAt: now, LastSeenAt: now}); err != nil {
		t.Fatal(err)
	}
}

// again calls try until it does not say that the database is away. Then nothing
// was written, unless it says that this is not known.
func (l *load) again(what string, try func() error) (ok bool) {
	for !l.Failed() {
		err := try()
		if err == nil {
			return true
		}
		if !errors.Is(err, job.ErrUnavailable) || strings.Contains(err.Error(), "not known") {
			l.Errorf("%s: %v", what, err)
			return false
		}
		l.mu.Lock()
		l.retried++
		l.mu.Unlock()
	}
	return false
}

func (l *load) make(ctx context.Context, s *Store, i int) {
	life := newLife(s)
	life.entry.Draft.Agent = fmt.Sprint("web-", i%loadAgents)
	if i%2 == 0 {
		life.entry.Draft.Conversation = &chat.ConversationRef{Account: "work-slack", Key: fmt.Sprint("C", i%loadRooms)}
	} else {
		life.entry.Draft.Conversation = nil
	}
	if !l.again("create", func() error { return createStep.do(ctx, life) }) {
		return
	}
	l.mu.Lock()
	l.made[life.job.ID] = true
	half := len(l.made) == l.jobs/2
	l.mu.Unlock()
	if half && l.half != nil {
		l.half()
	}
}

// work claims jobs of the agent from one store and reports them with the other,
// until all jobs are done.
func (l *load) work(ctx context.Context, from, with *Store, agent string) {
	for !l.Failed() {
		select {
		case <-l.closed:
			return
		default:
		}
		var got []job.Updated
		l.again("claim", func() (err error) {
			got, err = from.Update(ctx, job.Claimable("default", agent, 3), to(job.Queuing, job.Sent, func(j *job.Job) { j.Lease = uuid.NewString() }))
			return err
		})
		for _, u := range got {
			if u.Err != nil {
				l.Errorf("claim: %v", u.Err)
				continue
			}
			l.mu.Lock()
			l.claims[u.Job.ID]++
			l.mu.Unlock()
			l.again("report", func() error {
				return (&life{s: with, job: u.Job}).update(ctx, job.ByID("default", u.Job.ID), func(v job.View) (*job.Change, error) {
					if v.Job.Lease != u.Job.Lease {
						return nil, fmt.Errorf("%w: lease %s is %s at version %d", job.ErrLease, u.Job.Lease, v.Job.Lease, v.Job.Version)
					}
					return to(job.Sent, job.Succeeded, func(j *job.Job) { j.Result = &job.Result{Output: "done", Digest: "d"} })(v)
				})
			})
			l.mu.Lock()
			if l.done++; l.done == l.jobs {
				close(l.closed)
			}
			l.mu.Unlock()
		}
	}
}

// seen are events that came, each of which must come once, and a job's in order.
type seen struct {
	l    *load
	what string
	last map[string]int64
	n    int
	idle bool
}

func (s *seen) add(es []job.Event) {
	for _, e := range es {
		if e.Version != s.last[e.Subject]+1 {
			s.l.Errorf("event %s was %s after version %d", e.ID(), s.what, s.last[e.Subject])
		}
		s.last[e.Subject] = e.Version
		s.n++
	}
}

// finished reports whether that was all, given how many were just found, and
// fails the test if no more come.
func (s *seen) finished(want, found int) bool {
	select {
	case <-s.l.closed: // what is left is there
		if s.n == want && found == 0 || s.l.Failed() {
			return true
		}
		if found == 0 && s.idle {
			s.l.Errorf("%d events were %s, want %d", s.n, s.what, want)
			return true
		}
		s.idle = found == 0
	default:
	}
	return s.l.Failed()
}

func (l *load) publish(ctx context.Context, s *Store) {
	seen := seen{l: l, what: "published", last: map[string]int64{}}
	for found := 0; !seen.finished(3*l.jobs, found); {
		var es []job.Event
		l.again("read the outbox", func() (err error) {
			es, err = s.Unpublished(ctx, 17)
			return err
		})
		if l.again("mark", func() error { return s.MarkPublished(ctx, es) }) {
			seen.add(es)
		}
		found = len(es)
	}
}

func (l *load) tell(ctx context.Context, s *Store) {
	seen := seen{l: l, what: "told", last: map[string]int64{}}
	for found := 0; !seen.finished(3*((l.jobs+1)/2), found); {
		var open []events.Conversation
		l.again("read the conversations", func() (err error) {
			open, err = s.OpenConversations(ctx, nil, 10)
			return err
		})
		found = 0
		for _, c := range open {
			var es []job.Event
			l.again("read a conversation", func() (err error) {
				es, err = s.Open(ctx, c, 7)
				return err
			})
			if l.again("record", func() error { return s.Record(ctx, events.Delivery{Conversation: c, Events: es}) }) {
				seen.add(es)
			}
			found += len(es)
		}
	}
}

// check compares what a store has with what was acknowledged.
func (l *load) check(ctx context.Context, s *Store) {
	l.Helper()
	if len(l.made) != l.jobs || len(l.claims) != l.jobs {
		l.Errorf("%d jobs were made and %d claimed, want %d", len(l.made), len(l.claims), l.jobs)
	}
	for id, n := range l.claims {
		if n != 1 {
			l.Errorf("job %s was claimed %d times", id, n)
		}
	}
	jobs, err := s.Jobs(ctx, job.Filter{Space: "default", Limit: 10 * l.jobs})
	if err != nil || len(jobs) != l.jobs {
		l.Errorf("there are %d jobs, want %d: %v", len(jobs), l.jobs, err)
	}
	for _, j := range jobs {
		history, err := s.History(ctx, "default", j.ID)
		if !l.made[j.ID] || j.Status != job.Succeeded || j.Version != 3 || j.Attempt != 1 || len(history) != 3 || err != nil {
			l.Errorf("job %d that was made (%t) ended as %s at version %d with %d events, %v", j.Num, l.made[j.ID], j.Status, j.Version, len(history), err)
		}
	}
	for _, table := range []string{"outbox", "untold", "conversations"} {
		var n int64
		if _, err := s.row(ctx, `SELECT COUNT(*) FROM `+table, nil, &n); err != nil || n != 0 {
			l.Errorf("%d rows are left in %s: %v", n, table, err)
		}
	}
}
