package job_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// cluster is nodes on one database, in a bubble. Each has a waker of its own,
// so that every wake for another node is lost.
type cluster struct {
	t      *testing.T
	ctx    context.Context
	db     *sqlite.Store
	caller job.Caller
}

// inCluster runs test with a database on which an agent web-1 was made.
func inCluster(t *testing.T, test func(c *cluster)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		db, err := sqlite.Open(ctx, sqlite.Config{Path: path})
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		c := &cluster{t: t, ctx: ctx, db: db}
		a, err := job.New(job.Config{Store: db, Waker: queue.NewWaker()}).CreateAgent(ctx, job.DefaultSpace, "web-1")
		require.NoError(t, err)
		c.caller = job.Caller{Space: job.DefaultSpace, AgentID: a.ID, Agent: a.Name}
		test(c)
	})
}

// server is one node that runs.
type server struct {
	*job.Service
	c     *cluster
	stop  func() // waits until it stopped
	store *countingStore
}

// countingStore counts what only one node should do.
type countingStore struct {
	job.Store
	mu            sync.Mutex
	swept, pruned int
}

func (s *countingStore) Update(ctx context.Context, sel job.Selection, decide job.Decide) ([]job.Updated, error) {
	if sel.Kind == job.SelectDue {
		s.mu.Lock()
		s.swept++
		s.mu.Unlock()
	}
	return s.Store.Update(ctx, sel, decide)
}

func (s *countingStore) Prune(ctx context.Context, before time.Time, max int) (int, error) {
	s.mu.Lock()
	s.pruned++
	s.mu.Unlock()
	return s.Store.Prune(ctx, before, max)
}

func (s *countingStore) counts() (swept, pruned int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.swept, s.pruned
}

func (c *cluster) start(name string) *server {
	c.t.Helper()
	return c.begin(name, true)
}

// startAlone starts a node that has the database to itself.
func (c *cluster) startAlone(name string) *server {
	c.t.Helper()
	return c.begin(name, false)
}

func (c *cluster) begin(name string, shared bool) *server {
	c.t.Helper()
	s := &server{c: c, store: &countingStore{Store: c.db}}
	s.Service = job.New(job.Config{
		Store: s.store, Waker: queue.NewWaker(), Shared: shared, Lease: c.db.Leaser(name), Retention: 24 * time.Hour,
	})
	ctx, cancel := context.WithCancel(c.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			c.t.Error(err)
		}
	}()
	s.stop = func() { cancel(); <-done }
	synctest.Wait()
	return s
}

// pass lets time go by in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// polled is how a poll was answered, and after how long.
type polled struct {
	job.PollAnswer
	err  error
	took time.Duration
}

// poll begins a poll at the node.
func (s *server) poll(r job.PollRequest) <-chan polled { return s.pollAs(s.c.caller, r) }

func (s *server) pollAs(caller job.Caller, r job.PollRequest) <-chan polled {
	answered := make(chan polled, 1)
	go func() {
		begun := time.Now()
		a, err := s.Poll(s.c.ctx, caller, r)
		answered <- polled{a, err, time.Since(begun)}
	}()
	synctest.Wait()
	return answered
}

func (s *server) push(message string) job.Job {
	s.c.t.Helper()
	created, err := s.Create(s.c.ctx, []job.Entry{{Draft: &job.Draft{
		Space: job.DefaultSpace, Agent: "web-1", Message: message,
		Sender: chat.Sender{Account: "terminal", User: "ada"},
	}}})
	require.NoError(s.c.t, err)
	require.NoError(s.c.t, created[0].Err)
	return created[0].Job
}

func (s *server) job(id string) job.Job {
	s.c.t.Helper()
	j, err := s.Job(s.c.ctx, job.DefaultSpace, id)
	require.NoError(s.c.t, err)
	return j
}

// checkIn makes the agent known at the node.
func (s *server) checkIn() {
	s.c.t.Helper()
	require.NoError(s.c.t, s.CheckIn(s.c.ctx, s.c.caller))
}
