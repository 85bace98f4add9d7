package sqlite

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// hold keeps the writer busy until the returned function is called, so that
// the writes after it go into one transaction.
func hold(t *testing.T, s *Store) (release func()) {
	t.Helper()
	held, free := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.write.Do(context.Background(), &work{Rows: 1, Do: func(*tx) error {
			close(held)
			<-free
			return nil
		}})
	}()
	<-held
	return func() {
		close(free)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// queued waits until n writes wait for the writer.
func queued(t *testing.T, s *Store, n int) {
	t.Helper()
	for s.Stats().Waiting < n {
		if t.Context().Err() != nil {
			t.Fatalf("%d writes wait, want %d", s.Stats().Waiting, n)
		}
		runtime.Gosched()
	}
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	before := s.Stats()
	release := hold(t, s)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, s, 100)
	release()
	all.Wait()
	after := s.Stats()
	if n := after.Commits - before.Commits; n != 2 || after.Largest != 100 || after.Members-before.Members != 101 {
		t.Errorf("%d transactions were made for 101 writes, the largest of %d", n, after.Largest)
	}
}

// TestReplay has one member of a transaction fail in the database: the others
// are written all the same.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	first, err := createOne(t.Context(), s, testEntry("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	release := hold(t, s)
	var all sync.WaitGroup
	var mu sync.Mutex
	var made []job.Job
	for range 10 {
		all.Go(func() {
			j, err := createOne(t.Context(), s, testEntry("web-1"))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			made = append(made, j)
			mu.Unlock()
		})
	}
	bad := testEntry("web-1")
	bad.Draft.ID = first.ID
	var badErr error
	all.Go(func() { _, badErr = createOne(t.Context(), s, bad) })
	decided := 0
	all.Go(func() {
		us, err := s.Update(t.Context(), job.ByID("default", first.ID), func(v job.View) (*job.Change, error) {
			decided++
			return testMove(job.Sent)(v)
		})
		if err != nil || us[0].Err != nil || us[0].Job.Version != 2 {
			t.Error(err, us)
		}
	})
	queued(t, s, 12)
	release()
	all.Wait()
	if badErr == nil || strings.Contains(badErr.Error(), "panic") {
		t.Errorf("a second job with one ID: %v", badErr)
	}
	if n := s.Stats().Replays; n != 1 {
		t.Errorf("%d transactions were replayed, want 1", n)
	}
	for _, j := range made {
		history, err := s.History(t.Context(), "default", j.ID)
		if err != nil || len(history) != 1 {
			t.Errorf("job %s has %d events, %v", j.ID, len(history), err)
		}
	}
	if j, err := s.Job(t.Context(), "default", first.ID); err != nil || j.Version != 2 {
		t.Errorf("the job is %+v, %v (decided %d times)", j, err, decided)
	}
}

// TestStale has the writer remember a job wrongly: it notices and reads it.
func TestStale(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	j, err := createOne(t.Context(), s, testEntry("web-1"))
	if err != nil {
		t.Fatal(err)
	}
	err = s.write.Do(t.Context(), &work{Rows: 1, Do: func(tx *tx) error {
		wrong := j
		wrong.Version = 7
		tx.w.state.know(&wrong)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	us, err := s.Update(t.Context(), job.ByID("default", j.ID), testMove(job.Sent))
	if err != nil || us[0].Err != nil || us[0].Job.Version != 2 {
		t.Fatal(err, us)
	}
}

// TestGoexit ends the writer's goroutine from within, as a failing test would.
func TestGoexit(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	e := testEntry("web-1")
	e.Admit = func(time.Time, job.Draft, *job.Agent) (job.Job, []job.Event, error) {
		runtime.Goexit()
		panic("not reached")
	}
	if _, err := createOne(t.Context(), s, e); err == nil {
		t.Error("a write that never ended succeeded")
	}
	if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
		t.Error(err)
	}
}

func TestPanicOfAnOp(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	if err := s.write.Do(t.Context(), &work{Rows: 1, Do: func(*tx) error { panic("boom") }}); err == nil {
		t.Error("a write that panicked succeeded")
	}
	if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
		t.Error(err)
	}
}

// TestCallerLeaves ends a caller's context while its write waits: the caller
// goes, and the write is made.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	release := hold(t, s)
	ctx, leave := context.WithCancel(t.Context())
	e := testEntry("web-1")
	left := make(chan error, 1)
	go func() {
		_, err := createOne(ctx, s, e)
		left <- err
	}()
	queued(t, s, 1)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller was told %v", err)
	}
	release()
	if err := s.SetDefault(t.Context(), "default", "a", "k", "web-1"); err != nil { // comes after it
		t.Fatal(err)
	}
	if _, err := s.Job(t.Context(), "default", e.Draft.ID); err != nil {
		t.Errorf("the write was withdrawn: %v", err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	release := hold(t, s)
	var all sync.WaitGroup
	for range 20 { // were there before Close
		all.Go(func() {
			if _, err := createOne(t.Context(), s, testEntry("web-1")); err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, s, 20)
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	release()
	all.Wait()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	ctx := t.Context()
	_, jobErr := s.Job(ctx, "default", "x")
	_, createErr := createOne(ctx, s, testEntry("web-1"))
	_, updateErr := s.Update(ctx, job.ByID("default", "x"), testMove(job.Sent))
	_, claimErr := s.Update(ctx, job.Claimable("default", "web-1", 1), testMove(job.Sent))
	_, listErr := s.Jobs(ctx, job.Filter{Space: "default"})
	_, listOfErr := s.Jobs(ctx, job.Filter{Space: "default", Agents: []string{"web-1"}})
	_, eventsErr := s.Unpublished(ctx, 1)
	_, cancelsErr := s.Cancels(ctx, "default", "web-1")
	for i, err := range []error{
		jobErr, createErr, updateErr, claimErr, listErr, listOfErr, eventsErr, cancelsErr,
		s.Ping(ctx), s.Seen(ctx, []string{"x"}, s.now()), s.KV("x").Set(ctx, "k", nil, 0),
	} {
		if !errors.Is(err, job.ErrUnavailable) {
			t.Errorf("call %d on a closed store: %v", i, err)
		}
	}
}

// TestCloseWhileBusy closes the store under load: every write is either made
// or refused, and nobody hangs.
func TestCloseWhileBusy(t *testing.T) {
	t.Parallel()
	s := openTest(t, Config{})
	addAgent(t, s, "web-1")
	var all sync.WaitGroup
	started := make(chan struct{}, 16)
	for range cap(started) {
		all.Go(func() {
			for i := 0; ; i++ {
				_, err := createOne(context.Background(), s, testEntry("web-1"))
				if i == 0 {
					started <- struct{}{}
				}
				if err != nil {
					if !errors.Is(err, job.ErrUnavailable) {
						t.Error(err)
					}
					return
				}
				if _, err := s.Jobs(context.Background(), job.Filter{Space: "default", Limit: 1}); err != nil && !errors.Is(err, job.ErrUnavailable) {
					t.Error(err)
				}
			}
		})
	}
	for range cap(started) {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

func TestPing(t *testing.T) {
	t.Parallel()
	if err := openTest(t, Config{}).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
