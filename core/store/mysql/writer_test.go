package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/job"
)

// TestDeadlock has two transactions lock two rows in opposite order. The server
// gives one of them up, which is then done again.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	for _, id := range []string{"a", "b"} {
		if err := s.CreateAgent(t.Context(), job.Agent{ID: id, Space: "default", Name: id}); err != nil {
			t.Fatal(err)
		}
	}
	locked := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	var all sync.WaitGroup
	for mine, other := range map[string]string{"a": "b", "b": "a"} {
		var once sync.Once
		all.Go(func() {
			err := s.write(t.Context(), maxBatch, func(tx *tx) error { // too heavy to share a transaction
				if _, err := tx.exec(`UPDATE agents SET version = CONCAT(version, ?) WHERE id = ?`, mine, mine); err != nil {
					return err
				}
				once.Do(func() { close(locked[mine]) })
				<-locked[other]
				_, err := tx.exec(`UPDATE agents SET version = CONCAT(version, ?) WHERE id = ?`, mine, other)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, name := range []string{"a", "b"} {
		a, err := s.Agent(t.Context(), "default", name)
		if err != nil || (a.Version != "ab" && a.Version != "ba") {
			t.Errorf("agent %s has %q, %v: want both changes, once each", name, a.Version, err)
		}
	}
	if st := s.Stats(); st.Conflicts == 0 {
		t.Errorf("there was no conflict: %+v", st)
	}
}

// TestOneFailsAlone puts writes into one transaction of which one fails in the
// database. The others must not notice.
func TestOneFailsAlone(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	release := block(t, s)
	const n = 9
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			errs[i] = s.write(t.Context(), 1, func(tx *tx) error {
				switch i {
				case 3:
					_, err := tx.exec(`INSERT INTO agents (id) VALUES (?)`, strings.Repeat("x", 1000))
					return err
				case 5:
					return refuse(job.ErrExists)
				case 7:
					panic("boom")
				}
				_, err := tx.exec(`INSERT INTO agents (id, space, name, created_at) VALUES (?, 'default', ?, 0)`, fmt.Sprint(i), fmt.Sprint(i))
				return err
			})
		})
	}
	waitFor(t, func() bool { return s.Stats().Waiting == n })
	release()
	all.Wait()
	for i, err := range errs {
		switch i {
		case 3:
			if number(err) == 0 {
				t.Errorf("the wrong write ends with %v", err)
			}
		case 5:
			if !errors.Is(err, job.ErrExists) {
				t.Errorf("the refused write ends with %v", err)
			}
		case 7:
			if err == nil || !strings.Contains(err.Error(), "panicked") {
				t.Errorf("the write that panics ends with %v", err)
			}
		default:
			if err != nil {
				t.Errorf("write %d ends with %v", i, err)
			}
		}
	}
	agents, err := s.Agents(t.Context(), "default")
	if err != nil || len(agents) != n-3 {
		t.Errorf("%d writes are there, want %d: %v", len(agents), n-3, err)
	}
	if st := s.Stats(); st.Replays == 0 {
		t.Errorf("nothing was done again: %+v", st)
	}
}

// block keeps the writers busy until release is called.
func block(t *testing.T, s *Store) (release func()) {
	t.Helper()
	until := make(chan struct{})
	var all sync.WaitGroup
	for range writerCount {
		begun := make(chan struct{})
		var once sync.Once
		all.Go(func() {
			err := s.write(context.Background(), maxBatch, func(*tx) error {
				once.Do(func() { close(begun) })
				<-until
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-begun
	}
	return func() {
		close(until)
		all.Wait()
	}
}

func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("what was waited for did not happen")
		}
	}
}

// TestGone checks that a write whose caller has gone happens all the same.
func TestGone(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	release := block(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.CreateAgent(ctx, job.Agent{ID: "a", Space: "default", Name: "web-1"}) }()
	waitFor(t, func() bool { return s.Stats().Waiting == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("the caller got %v", err)
	}
	release()
	waitFor(t, func() bool {
		_, err := s.Agent(t.Context(), "default", "web-1")
		return err == nil
	})
}

// TestClose checks that what was begun is written, and what comes later is
// refused.
func TestClose(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	var all sync.WaitGroup
	var made, refused atomic.Int64
	for i := range 50 {
		all.Go(func() {
			name := fmt.Sprint("web-", i)
			switch err := s.CreateAgent(t.Context(), job.Agent{ID: name, Space: "default", Name: name}); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, job.ErrUnavailable):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if made.Load()+refused.Load() != 50 {
		t.Errorf("%d were made and %d refused", made.Load(), refused.Load())
	}
	if err := s.Ping(t.Context()); !errors.Is(err, job.ErrUnavailable) {
		t.Errorf("a write after Close ends with %v", err)
	}
	if _, err := s.Agent(t.Context(), "default", "web-1"); !errors.Is(err, job.ErrUnavailable) {
		t.Errorf("a read after Close ends with %v", err)
	}
}

// TestWriterRowRemoved takes away the row by which a writer knows its last
// transaction, as pruning does with those of nodes that seem to be gone.
func TestWriterRowRemoved(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	for range 2 * writerCount {
		if err := s.write(t.Context(), 1, func(tx *tx) error {
			_, err := tx.exec(`DELETE FROM writers WHERE id = ?`, tx.w.id)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNumbersInOrder makes jobs one after the other, whose numbers must rise
// whichever writer makes them, and few of which may be left out.
func TestNumbersInOrder(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	var last int64
	for range 100 {
		j := putJob(t, s, "web-1", nil)
		if j.Num <= last {
			t.Fatalf("job %d was made after job %d", j.Num, last)
		}
		last = j.Num
	}
	if last > 400 {
		t.Errorf("100 jobs have used %d numbers", last)
	}
}

// TestTwoStores lets two nodes make, claim and report jobs of one agent.
func TestTwoStores(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	nodes := []*Store{openTest(t, Config{DSN: dsn}), openTest(t, Config{DSN: dsn})}
	putAgent := job.Agent{ID: uuid.NewString(), Space: "default", Name: "web-1"}
	if err := nodes[0].CreateAgent(t.Context(), putAgent); err != nil {
		t.Fatal(err)
	}
	const each = 60
	var mu sync.Mutex
	var claimed []string
	var all sync.WaitGroup
	for _, s := range nodes {
		all.Go(func() {
			for range each {
				if err := createStep.do(t.Context(), newLife(s)); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for {
				us, err := s.Update(t.Context(), job.Claimable("default", "web-1", 7), to(job.Queuing, job.Sent, nil))
				if err != nil {
					t.Error(err)
					return
				}
				ids := make([]string, len(us))
				for i, u := range us {
					ids[i] = u.Job.ID
				}
				us, err = s.Update(t.Context(), job.ByID("default", ids...), to(job.Sent, job.Succeeded, nil))
				if err != nil {
					t.Error(err)
					return
				}
				for _, u := range us {
					if u.Err != nil {
						t.Error(u.Err)
					}
				}
				mu.Lock()
				claimed = append(claimed, ids...)
				n := len(claimed)
				mu.Unlock()
				if n == 2*each {
					return
				}
			}
		})
	}
	all.Wait()
	slices.Sort(claimed)
	if len(slices.Compact(claimed)) != 2*each {
		t.Errorf("%d different jobs were claimed, want %d", len(slices.Compact(claimed)), 2*each)
	}
}
