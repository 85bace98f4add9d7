package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// load is what several nodes do at once while something happens to their
// database: they make jobs, claim, report and publish them, and count what they
// were answered.
type load struct {
	t     *testing.T
	nodes []*Store
	made  atomic.Int64  // jobs whose making was acknowledged
	stop  chan struct{} // no more jobs
	idle  chan struct{} // all jobs were made

	mu        sync.Mutex
	ids       []string
	claims    map[string]string // by job, with whose lease it was answered
	unsure    map[string]bool   // leases of claims of which it is not known what came of them
	away      int               // answers that the database is away
	published map[string]int64  // the last version, by job
	again     int               // events that were published again
	unmarked  int               // times that it was not known whether they are marked
}

// loadAgents is how many agents there are, and loadMakers how many make jobs.
const loadAgents, loadMakers = 2, 6

func newLoad(t *testing.T, nodes []*Store) *load {
	t.Helper()
	for i := range loadAgents {
		a := job.Agent{ID: uuid.NewString(), Space: "default", Name: agentName(i)}
		if err := nodes[0].CreateAgent(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	return &load{
		t: t, nodes: nodes, stop: make(chan struct{}), idle: make(chan struct{}),
		claims: map[string]string{}, unsure: map[string]bool{}, published: map[string]int64{},
	}
}

func agentName(i int) string { return fmt.Sprint("web-", i) }

// run keeps the nodes at work until meanwhile has ended, and until all jobs
// that were made are done; then it counts.
func (l *load) run(meanwhile func()) {
	l.t.Helper()
	var makers, others sync.WaitGroup
	for m := range loadMakers {
		makers.Go(func() { l.makeJobs(m) })
	}
	for c := range 2 * len(l.nodes) {
		others.Go(func() { l.work(c) })
	}
	others.Go(l.publish)
	func() {
		defer func() {
			close(l.stop)
			makers.Wait()
			close(l.idle)
			others.Wait()
		}()
		meanwhile()
	}()
	if !l.t.Failed() {
		l.check()
	}
}

// await waits until so many more jobs were made.
func (l *load) await(more int64) {
	l.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(2 * time.Minute)
	for want := l.made.Load() + more; l.made.Load() < want && !l.t.Failed(); {
		select {
		case <-tick.C:
		case <-late:
			l.t.Errorf("only %d of %d jobs were made in two minutes", l.made.Load(), want)
			return
		}
	}
}

// last returns a job that was acknowledged a moment ago.
func (l *load) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[len(l.ids)-1]
}

// insist does it again while the database is away. known is false if it was not
// known of one of the tries whether it was written.
func (l *load) insist(do func() error) (known bool, err error) {
	known = true
	for {
		err = do()
		if !errors.Is(err, job.ErrUnavailable) {
			return known, err
		}
		known = known && !isUnknown(err)
		l.mu.Lock()
		l.away++
		l.mu.Unlock()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-l.t.Context().Done():
			return known, err
		}
	}
}

func isUnknown(err error) bool { return strings.Contains(err.Error(), "not known") }

func (l *load) isStopped(by chan struct{}) bool {
	select {
	case <-by:
		return true
	default:
		return l.t.Failed()
	}
}

func (l *load) makeJobs(m int) {
	for i := 0; !l.isStopped(l.stop); i++ {
		s := l.nodes[(m+i)%len(l.nodes)]
		entry := newLife(s).entry
		entry.Draft.Agent, entry.Draft.Conversation = agentName(i%loadAgents), nil
		if m%2 == 0 {
			entry.Draft.Conversation = &chat.ConversationRef{Account: "work-slack", Key: fmt.Sprint("C", m)}
		}
		known, err := l.insist(func() error {
			created, err := s.Create(l.t.Context(), []job.Entry{entry})
			if err == nil {
				err = created[0].Err
			}
			if err == nil && created[0].Job.ID != entry.Draft.ID {
				err = fmt.Errorf("asked for job %s, got %s", entry.Draft.ID, created[0].Job.ID)
			}
			if err == nil && created[0].Duplicate {
				err = errDuplicate
			}
			return err
		})
		if err != nil && (known || !errors.Is(err, errDuplicate)) {
			l.t.Errorf("make a job: %v", err)
			return
		}
		l.mu.Lock()
		l.ids = append(l.ids, entry.Draft.ID)
		l.mu.Unlock()
		l.made.Add(1)
	}
}

var errDuplicate = errors.New("it was made already")

// work claims jobs and reports them, until there are none.
func (l *load) work(c int) {
	s, ctx := l.nodes[c%len(l.nodes)], l.t.Context()
	for i := 0; ; i++ {
		last := l.isStopped(l.idle)
		lease := fmt.Sprintf("lease %d.%d", c, i)
		var us []job.Updated
		known, err := l.insist(func() (err error) {
			us, err = s.Update(ctx, job.Claimable("default", agentName(i%loadAgents), 3),
				to(job.Queuing, job.Sent, func(j *job.Job) { j.Lease = lease }))
			return err
		})
		if err != nil {
			l.t.Errorf("claim: %v", err)
			return
		}
		if !known {
			l.mu.Lock()
			l.unsure[lease] = true
			l.mu.Unlock()
		}
		for _, u := range us {
			if u.Err != nil {
				l.t.Errorf("claim: %v", u.Err)
				continue
			}
			l.mu.Lock()
			if by, twice := l.claims[u.Job.ID]; twice {
				l.t.Errorf("job %s was given to %q and to %q", u.Job.ID, by, lease)
			}
			l.claims[u.Job.ID] = lease
			l.mu.Unlock()
			l.report(l.nodes[(c+i)%len(l.nodes)], u.Job)
		}
		if last && len(us) == 0 && i%loadAgents == loadAgents-1 {
			return
		}
	}
}

func (l *load) report(s *Store, j job.Job) {
	known, err := l.insist(func() error {
		us, err := s.Update(l.t.Context(), job.ByID("default", j.ID), to(job.Sent, job.Succeeded, func(now *job.Job) {
			now.Result = &job.Result{Output: now.Lease, Digest: "d"}
		}))
		if err == nil && len(us) != 1 {
			err = fmt.Errorf("%d jobs are named so", len(us))
		}
		if err == nil {
			err = us[0].Err
		}
		return err
	})
	if err != nil && (known || !errors.Is(err, job.ErrConflict)) {
		l.t.Errorf("report: %v", err)
	}
}

// publish is the relay of the first node. An event may come again only if it
// was not known whether it is marked.
func (l *load) publish() {
	s, ctx := l.nodes[0], l.t.Context()
	for {
		last := l.isStopped(l.idle)
		var es []job.Event
		_, err := l.insist(func() (err error) { es, err = s.Unpublished(ctx, 100); return err })
		if err != nil {
			l.t.Errorf("read the outbox: %v", err)
			return
		}
		for _, e := range es {
			before := l.published[e.Subject]
			switch {
			case e.Version <= before:
				l.again++
			case e.Version == before+1:
				l.published[e.Subject] = e.Version
			default:
				l.t.Errorf("event %s came after version %d", e.ID(), before)
			}
		}
		known, err := l.insist(func() error { return s.MarkPublished(ctx, es) })
		if err != nil {
			l.t.Errorf("mark what is published: %v", err)
			return
		}
		if !known {
			l.unmarked++
		}
		if last && len(es) == 0 && l.isWorkDone() {
			return
		}
	}
}

// isWorkDone reports whether no more events come.
func (l *load) isWorkDone() bool {
	if l.t.Failed() {
		return true
	}
	var live int64
	_, err := l.insist(func() error {
		_, err := l.nodes[0].row(l.t.Context(), `SELECT (SELECT COUNT(*) FROM jobs WHERE status = 'queuing') + (SELECT COUNT(*) FROM outbox)`, nil, &live)
		return err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	done := 0
	for id := range l.claims {
		if l.published[id] == 3 {
			done++
		}
	}
	return err == nil && live == 0 && done == len(l.claims)
}

// check counts what is in the database against what was acknowledged.
func (l *load) check() {
	l.t.Helper()
	t, ctx, s := l.t, l.t.Context(), l.nodes[len(l.nodes)-1]
	var inTable int64
	if _, err := s.row(ctx, `SELECT COUNT(*) FROM jobs`, nil, &inTable); err != nil || inTable != int64(len(l.ids)) {
		t.Errorf("there are %d jobs, want %d: %v", inTable, len(l.ids), err)
	}
	told, want := map[string]int64{}, map[string]int64{}
	orphans := 0
	for _, id := range l.ids {
		j, err := s.Job(ctx, "default", id)
		if err != nil {
			t.Errorf("job %s was acknowledged: %v", id, err)
			continue
		}
		lease, claimed := l.claims[id]
		switch {
		case claimed && (j.Status != job.Succeeded || j.Version != 3 || j.Lease != lease || j.Result == nil || j.Result.Output != lease):
			t.Errorf("job %s was claimed as %q and reported, and is %+v", id, lease, j)
		case !claimed && (j.Status != job.Sent || j.Version != 2 || !l.unsure[j.Lease]):
			t.Errorf("job %s was claimed by nobody, and is %+v", id, j)
		case !claimed:
			orphans++
		}
		history, err := s.History(ctx, "default", id)
		if err != nil || int64(len(history)) != j.Version {
			t.Errorf("job %s has %d events and version %d: %v", id, len(history), j.Version, err)
		}
		if l.published[id] != j.Version {
			t.Errorf("version %d of job %s was published last, and it has %d", l.published[id], id, j.Version)
		}
		if j.Conversation != nil {
			want[id] = j.Version
		}
	}
	l.drain(ctx, s, told)
	for id, v := range want {
		if told[id] != v {
			t.Errorf("version %d of job %s was told last, and it has %d", told[id], id, v)
		}
	}
	if l.again > 0 && l.unmarked == 0 {
		t.Errorf("%d events were published again", l.again)
	}
	t.Logf("%d jobs were made and %d claimed, %d by a claim without an answer; %d times the database was away; %d events came again",
		len(l.ids), len(l.claims)+orphans, orphans, l.away, l.again)
}

// drain tells all that is to be told, in order and once.
func (l *load) drain(ctx context.Context, s *Store, told map[string]int64) {
	l.t.Helper()
	for {
		open, err := s.OpenConversations(ctx, nil, 10)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(open) == 0 {
			return
		}
		for _, c := range open {
			es, err := s.Open(ctx, c, 50)
			if err == nil {
				err = s.Record(ctx, events.Delivery{Conversation: c, Events: es})
			}
			if err != nil {
				l.t.Fatal(err)
			}
			for _, e := range es {
				if e.Version != told[e.Subject]+1 {
					l.t.Errorf("event %s was told after version %d", e.ID(), told[e.Subject])
				}
				told[e.Subject] = e.Version
			}
		}
	}
}
