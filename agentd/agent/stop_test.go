package agent_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
	"github.com/letserverrun/skadi/agentd/agent/journal"
	"github.com/letserverrun/skadi/core/agentapi"
)

func TestDrainLetsJobsFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		began := make(chan struct{})
		a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
			close(began)
			time.Sleep(20 * time.Second) //nolint:forbidigo // the bubble's clock
			return agent.Result{}, nil
		})
		stop := start(t, a)
		id := f.Push("run")
		<-began
		if err := stop(); err != nil {
			t.Error(err)
		}
		f.Look(func(st *agenttest.State) {
			if r := st.Jobs[id].Report; r == nil || r.Status != "succeeded" {
				t.Errorf("reported %+v", r)
			}
		})
	})
}

func TestDrainCancelsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t, func(c *agent.Config) { c.DrainTimeout = 5 * time.Second })
		began := make(chan struct{})
		a.Handle("run", func(ctx context.Context, j *agent.Job) (agent.Result, error) {
			j.Printf("half\n")
			close(began)
			<-ctx.Done()
			return agent.Result{}, ctx.Err()
		})
		stop := start(t, a)
		id := f.Push("run")
		<-began
		at := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if d := time.Since(at); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("stopped after %v", d)
		}
		f.Look(func(st *agenttest.State) {
			r := st.Jobs[id].Report
			if r == nil || r.Status != "failed" || r.Reason != "interrupted" || !strings.HasPrefix(*r.Output, "half\n") {
				t.Errorf("reported %+v", r)
			}
		})
	})
}

func TestResultThatCouldNotBeReportedIsReportedByTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := agenttest.New()
		dir := t.TempDir()
		a := agentOf(t, f, dir)
		var down atomic.Bool
		f.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
			if down.Load() {
				w.WriteHeader(http.StatusBadGateway)
			}
			return down.Load()
		})
		began := make(chan struct{})
		a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
			down.Store(true)
			close(began)
			return agent.Result{Output: "kept"}, nil
		})
		stop := start(t, a)
		id := f.Push("run")
		<-began
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		down.Store(false)
		start(t, agentOf(t, f, dir))
		if r := f.Final(t, id).Report; r.Status != "succeeded" || *r.Output != "kept" {
			t.Errorf("reported %+v", r)
		}
	})
}

// TestRestart starts an agent on a journal of an earlier one.
func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := agenttest.New()
		dir := t.TempDir()
		ids := []string{f.Push("run"), f.Push("run"), f.Push("run"), f.Push("run")}
		jobs := f.Offer(10)
		unlock, err := journal.Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		j, _, err := journal.Open(dir, agentLog(t))
		if err != nil {
			t.Fatal(err)
		}
		// The first was only intended, the second confirmed by the server
		// too, the third started, and the fourth is done.
		if err := j.Intend(jobs); err != nil {
			t.Fatal(err)
		}
		holds := make([]agentapi.Hold, len(jobs))
		for i, job := range jobs {
			holds[i] = agentapi.Hold{ID: job.ID, Lease: job.Lease}
		}
		for _, h := range holds[1:] {
			f.Start(h)
		}
		if err := j.Started(holds[2:]); err != nil {
			t.Fatal(err)
		}
		text := "done before"
		if err := j.Finished(holds[3], agentapi.Report{Lease: holds[3].Lease, Status: "succeeded", Output: &text}); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}

		a := agentOf(t, f, dir)
		var runs atomic.Int32
		a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
			runs.Add(1)
			return agent.Result{Output: "run now"}, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		if err := a.Run(ctx); !errors.Is(err, journal.ErrLocked) {
			t.Errorf("Run on a folder in use: %v", err)
		}
		cancel()
		unlock()
		start(t, a)
		for i, want := range []string{"run now", "run now", "", "done before"} {
			r := f.Final(t, ids[i]).Report
			switch {
			case want == "":
				if r.Status != "failed" || r.Reason != "interrupted" || r.Output != nil {
					t.Errorf("job %d: %+v, want interrupted", i, r)
				}
			case r.Status != "succeeded" || *r.Output != want:
				t.Errorf("job %d: %+v, want %q", i, r, want)
			}
		}
		if runs.Load() != 2 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}

func TestRunTwiceIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a := setup(t)
		start(t, a)
		<-a.Online()
		if err := a.Run(t.Context()); !errors.Is(err, agent.ErrRunning) {
			t.Errorf("got %v", err)
		}
	})
}
