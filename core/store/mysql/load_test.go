package mysql

import (
	"errors"
	"fmt"
	"slices"
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
	away      []error           // answers that the database is away
	published *passed
	told      *passed // of jobs with a conversation
}

// loadAgents is how many agents there are, and loadMakers how many make jobs.
const loadAgents, loadMakers = 2, 6

func newLoad(t *testing.T, nodes []*Store) *load {
	t.Helper()
	for i := range loadAgents {
		putAgent(t, nodes[0], agentName(i))
	}
	return &load{
		t: t, nodes: nodes, stop: make(chan struct{}), idle: make(chan struct{}),
		claims: map[string]string{}, unsure: map[string]bool{},
		published: newPassed(t, "published"), told: newPassed(t, "told"),
	}
}

func putAgent(t *testing.T, s *Store, name string) {
	t.Helper()
	if err := s.CreateAgent(t.Context(), job.Agent{ID: uuid.NewString(), Space: "default", Name: name}); err != nil {
		t.Fatal(err)
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
	others.Go(l.tell)
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
		l.compare(l.nodes[len(l.nodes)-1])
	}
}

// busy has nodes do so while nothing happens to their database. That others were
// in the way at every try may happen where each writes at another server.
func busy(t *testing.T, nodes []*Store, jobs int64) {
	t.Helper()
	l := newLoad(t, nodes)
	l.run(func() { l.await(jobs) })
	away := slices.DeleteFunc(slices.Clone(l.away), func(err error) bool { return isConflict(err) || errors.Is(err, errAgain) })
	if again := l.published.again + l.told.again; len(away) > 0 || again > 0 {
		t.Errorf("the database was away, %v; %d events came again", away, again)
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
		l.away = append(l.away, err)
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

// publish is the relay of the first node.
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
		l.published.see(es)
		known, err := l.insist(func() error { return s.MarkPublished(ctx, es) })
		if err != nil {
			l.t.Errorf("mark what is published: %v", err)
			return
		}
		if !known {
			l.published.unmarked++
		}
		if last && len(es) == 0 && l.isWorkDone() {
			return
		}
	}
}

// tell delivers, from the last node, while jobs are made and done; what it does
// not come to is for compare.
func (l *load) tell() {
	for !l.isStopped(l.idle) {
		if _, err := l.tellSome(l.nodes[len(l.nodes)-1]); err != nil {
			l.t.Errorf("tell: %v", err)
			return
		}
	}
}

// tellSome tells a part of what is to be told, if there is any.
func (l *load) tellSome(s *Store) (any bool, err error) {
	ctx := l.t.Context()
	var open []events.Conversation
	if _, err = l.insist(func() (err error) { open, err = s.OpenConversations(ctx, nil, 10); return err }); err != nil {
		return false, err
	}
	for _, c := range open {
		var es []job.Event
		if _, err := l.insist(func() (err error) { es, err = s.Open(ctx, c, 50); return err }); err != nil {
			return false, err
		}
		l.told.see(es)
		known, err := l.insist(func() error { return s.Record(ctx, events.Delivery{Conversation: c, Events: es}) })
		if err != nil {
			return false, err
		}
		if !known {
			l.told.unmarked++
		}
	}
	return len(open) > 0, nil
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
		if l.published.last[id] == 3 {
			done++
		}
	}
	return err == nil && live == 0 && done == len(l.claims)
}

// compare counts what is in the database, as a store reads it, against what was
// acknowledged.
func (l *load) compare(s *Store) {
	l.t.Helper()
	t, ctx := l.t, l.t.Context()
	var inTable int64
	if _, err := s.row(ctx, `SELECT COUNT(*) FROM jobs`, nil, &inTable); err != nil || inTable != int64(len(l.ids)) {
		t.Errorf("there are %d jobs, want %d: %v", inTable, len(l.ids), err)
	}
	want := map[string]int64{}
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
		if last := l.published.last[id]; last != j.Version {
			t.Errorf("version %d of job %s was published last, and it has %d", last, id, j.Version)
		}
		if j.Conversation != nil {
			want[id] = j.Version
		}
	}
	for {
		any, err := l.tellSome(s)
		if err != nil {
			t.Fatal(err)
		}
		if !any {
			break
		}
	}
	for id, v := range want {
		if last := l.told.last[id]; last != v {
			t.Errorf("version %d of job %s was told last, and it has %d", last, id, v)
		}
	}
	l.published.check()
	l.told.check()
	t.Logf("%d jobs were made and %d claimed, %d by a claim without an answer; %d times the database was away; %d events were published again, %d told again",
		len(l.ids), len(l.claims)+orphans, orphans, len(l.away), l.published.again, l.told.again)
}
