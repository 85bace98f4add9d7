package agent_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
	"github.com/letserverrun/skadi/core/agentapi"
)

// failing answers calls whose path ends in suffix with code, n times.
func failing(suffix string, code, n int) (func(http.ResponseWriter, *http.Request) bool, *atomic.Int32) {
	calls := new(atomic.Int32)
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, suffix) || calls.Add(1) > int32(n) {
			return false
		}
		w.WriteHeader(code)
		return true
	}, calls
}

func TestTroubleOfTheServerIsSatOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		suffix string
		code   int
	}{
		{"/poll", 500},
		{"/poll", 404},
		{"/poll", 403},
		{"/poll", 429},
		{"/starts", 503},
		{"/starts", 404},
		{"/result", 500},
		{"/result", 401},
		{"/result", 404}, // of a proxy, since the body is no problem+json
	} {
		t.Run(fmt.Sprintf("%s %d", tc.suffix, tc.code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, a := setup(t)
				intercept, calls := failing(tc.suffix, tc.code, 4)
				f.Intercept(intercept)
				var runs atomic.Int32
				a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
					runs.Add(1)
					return agent.Result{}, nil
				})
				stop := start(t, a)
				if j := f.Final(t, f.Push("run")); j.Report.Status != "succeeded" {
					t.Errorf("the job %s (%s)", j.Report.Status, j.Report.Reason)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				if runs.Load() != 1 || calls.Load() < 5 {
					t.Errorf("%d runs, %d calls", runs.Load(), calls.Load())
				}
			})
		})
	}
}

func TestLostAnswerToAStartIsAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		var lost atomic.Bool
		f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/starts") && lost.CompareAndSwap(false, true) {
				f.Update(func(st *agenttest.State) { st.Jobs["job-1"].Status = "sent" })
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			return false
		})
		var runs atomic.Int32
		a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
			runs.Add(1)
			return agent.Result{}, nil
		})
		start(t, a)
		f.Final(t, f.Push("run"))
		if runs.Load() != 1 {
			t.Errorf("ran %d times", runs.Load())
		}
	})
}

func TestRefusedStartIsNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		var refused atomic.Bool
		f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/starts") && refused.CompareAndSwap(false, true) {
				agenttest.Answer(w, agentapi.Answers{Answers: []agentapi.Answer{agenttest.Refusal("job-1", 409, agentapi.ProblemWrongLease)}})
				return true
			}
			return false
		})
		var runs atomic.Int32
		a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
			runs.Add(1)
			return agent.Result{}, nil
		})
		start(t, a)
		// It is offered again once the first offer has run out.
		began := time.Now()
		f.Final(t, f.Push("run"))
		if runs.Load() != 1 || time.Since(began) < stateOf(f).OfferFor {
			t.Errorf("ran %d times, after %v", runs.Load(), time.Since(began))
		}
	})
}

func TestRotatedTokenIsReadFromItsFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "token")
		write := func(s string) {
			if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
				t.Error(err)
			}
		}
		write(agenttest.Token)
		f, a := setup(t, func(c *agent.Config) { c.Token, c.TokenFile = "", file })
		a.Handle("show", func(_ context.Context, j *agent.Job) (agent.Result, error) {
			j.Printf("%s and skd_the_new_one", agenttest.Token)
			return agent.Result{}, nil
		})
		start(t, a)
		<-a.Online()
		f.Update(func(st *agenttest.State) { st.Token = "skd_the_new_one" })
		id := f.Push("show")
		time.Sleep(2 * time.Minute) //nolint:forbidigo // the bubble's clock
		write("skd_the_new_one")
		if j := f.Final(t, id); *j.Report.Output != "*** and ***" {
			t.Errorf("output %q: old and new tokens are secret", *j.Report.Output)
		}
	})
}

func TestRemovedAgentEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() { done <- a.Run(ctx) }()
		<-a.Online()
		f.Update(func(st *agenttest.State) { st.Removed = true })
		if err := <-done; !errors.Is(err, agent.ErrRemoved) {
			t.Errorf("Run: %v, want ErrRemoved", err)
		}
	})
}

func TestOtherInstanceIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		began := time.Now()
		f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/poll") && time.Since(began) < time.Minute {
				agenttest.Problem(w, http.StatusConflict, agentapi.ProblemOtherInstance)
				return true
			}
			return false
		})
		start(t, a)
		<-a.Online()
		if d := time.Since(began); d < time.Minute || d > 2*time.Minute {
			t.Errorf("online after %v", d)
		}
	})
}

func TestResultsThatWaitedGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t, func(c *agent.Config) { c.Concurrency = 20 })
		var down atomic.Bool
		f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/result") && down.Load() {
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			return false
		})
		down.Store(true)
		a.Handle("run", hello)
		start(t, a)
		var ids []string
		for range 10 {
			ids = append(ids, f.Push("run"))
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		down.Store(false)
		for _, id := range ids {
			f.Final(t, id)
		}
		f.Look(func(st *agenttest.State) {
			if len(st.Batches) == 0 || len(st.Batches) > 3 {
				t.Errorf("batches of %v, want the 10 results in one or two", st.Batches)
			}
		})
	})
}

func TestResultThatIsTooLargeIsShortened(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/result") && r.ContentLength > 20_000 {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return true
			}
			return false
		})
		a.Handle("run", func(context.Context, *agent.Job) (agent.Result, error) {
			return agent.Result{Output: strings.Repeat("z", 100_000)}, nil
		})
		start(t, a)
		r := f.Final(t, f.Push("run")).Report
		if n := len(*r.Output); r.Status != "succeeded" || !r.Truncated || n < 10_000 || n > 20_000 {
			t.Errorf("%s with %d bytes", r.Status, n)
		}
	})
}
