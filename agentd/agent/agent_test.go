package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
	"github.com/letserverrun/skadi/core/agentapi"
)

// setup makes an agent of a new fake server; change may alter its config.
func setup(t testing.TB, change ...func(*agent.Config)) (*agenttest.Server, *agent.Agent) {
	t.Helper()
	f := agenttest.New()
	return f, agentOf(t, f, t.TempDir(), change...)
}

func agentOf(t testing.TB, f *agenttest.Server, dir string, change ...func(*agent.Config)) *agent.Agent {
	t.Helper()
	cfg := agent.Config{
		Server: "https://skadi.test", Token: agenttest.Token, StateDir: dir, Version: "1.2.3",
		HTTP: f.Client(), Logger: agentLog(t),
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func hello(_ context.Context, j *agent.Job) (agent.Result, error) {
	j.Printf("Hello %s!\n", j.Args)
	return agent.Result{}, nil
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		a.HandleCommand(agent.Command{Name: "hello", Usage: "hello NAME", Help: "greets"}, hello)
		a.Handle("exit", func(_ context.Context, j *agent.Job) (agent.Result, error) {
			fmt.Fprint(j, "about to exit")
			r := agent.ExitCode(3)
			r.Reason = "three"
			return r, nil
		})
		a.Handle("fail", func(_ context.Context, j *agent.Job) (agent.Result, error) {
			fmt.Fprint(j, "trying")
			return agent.Result{Reason: "Not one word"}, errors.New("it did not work")
		})
		a.Handle("own", func(_ context.Context, j *agent.Job) (agent.Result, error) {
			fmt.Fprint(j, "progress")
			return agent.Result{Output: "the result"}, nil
		})
		a.Handle("panic", func(context.Context, *agent.Job) (agent.Result, error) { panic("oh no") })
		stop := start(t, a)
		for _, tc := range []struct {
			message, status, reason, output string
			code                            int
		}{
			{"hello Ada", "succeeded", "", "Hello Ada!\n", -1},
			{"  hello   Ada  ", "succeeded", "", "Hello Ada!\n", -1},
			{"exit", "failed", "three", "about to exit", 3},
			{"fail", "failed", "", "trying\nit did not work", -1},
			{"own", "succeeded", "", "the result", -1},
			{"panic", "failed", "panic", "the handler failed unexpectedly; the agent's log says more", -1},
			{"helo Ada", "failed", "unknown_command", "There is no command \"helo\" here. This agent can do:\n" +
				"  exit\n  fail\n  hello NAME — greets\n  own\n  panic", 127},
		} {
			j := f.Final(t, f.Push(tc.message))
			r := j.Report
			if r.Status != tc.status || r.Reason != tc.reason || *r.Output != tc.output {
				t.Errorf("%q: %s (%s) with output %q, want %s (%s) with %q",
					tc.message, r.Status, r.Reason, *r.Output, tc.status, tc.reason, tc.output)
			}
			if code := r.ExitCode; (code == nil) != (tc.code < 0) || code != nil && *code != tc.code {
				t.Errorf("%q: exit code %v, want %d", tc.message, code, tc.code)
			}
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		st := stateOf(f)
		if len(st.Commands) != 5 || st.Commands[0] != (agentapi.Command{Name: "hello", Usage: "hello NAME", Help: "greets"}) {
			t.Errorf("the server was told of the commands %+v", st.Commands)
		}
		if st.Version != "1.2.3" || st.Instance == "" {
			t.Errorf("the server was told of version %q, instance %q", st.Version, st.Instance)
		}
	})
}

func TestHandleAllTakesWhatNobodyElseDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		a.Handle("hello", hello)
		a.HandleAll(func(_ context.Context, j *agent.Job) (agent.Result, error) {
			return agent.Result{Output: "all: " + j.Message}, nil
		})
		start(t, a)
		<-a.Online()
		if got := *f.Final(t, f.Push("what is this?")).Report.Output; got != "all: what is this?" {
			t.Errorf("got %q", got)
		}
		if got := *f.Final(t, f.Push("hello you")).Report.Output; got != "Hello you!\n" {
			t.Errorf("got %q", got)
		}
		st := stateOf(f)
		if n := len(st.Commands); n != 2 || st.Commands[1].Name != "*" {
			t.Errorf("the server was told of the commands %+v", st.Commands)
		}
	})
}

func TestOutputIsShownLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t, func(c *agent.Config) { c.Redact = []string{"hunter2"} })
		goOn := make(chan struct{})
		a.Handle("talk", func(_ context.Context, j *agent.Job) (agent.Result, error) {
			fmt.Fprint(j, "first \x1b[31mred\x1b[0m\n")
			<-goOn
			for range 50 {
				fmt.Fprint(j, "x")
			}
			fmt.Fprint(j, " pass: hun")
			fmt.Fprint(j, "ter2 token: "+agenttest.Token+"\n")
			<-goOn
			return agent.Result{}, nil
		})
		start(t, a)
		id := f.Push("talk")
		f.Await(t, "the first piece", func(st *agenttest.State) bool { return len(st.Jobs[id].Output) == 1 })
		goOn <- struct{}{}
		f.Await(t, "the second piece", func(st *agenttest.State) bool { return len(st.Jobs[id].Output) == 2 })
		goOn <- struct{}{}
		j := f.Final(t, id)
		want := "first red\n" + strings.Repeat("x", 50) + " pass: *** token: ***\n"
		if *j.Report.Output != want {
			t.Errorf("output %q, want %q", *j.Report.Output, want)
		}
		if live := strings.Join(j.Output, ""); live != want {
			t.Errorf("live output %q, want %q", live, want)
		}
	})
}

func TestSlowServerDoesNotHoldUpTheCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t, func(c *agent.Config) { c.OutputLimit = 1000 })
		var calls atomic.Int32
		f.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/output") && calls.Add(1) <= 2 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		})
		a.Handle("flood", func(ctx context.Context, j *agent.Job) (agent.Result, error) {
			for range 1000 {
				fmt.Fprint(j, strings.Repeat("y", 999)+"\n")
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
			}
			return agent.Result{}, nil
		})
		start(t, a)
		j := f.Final(t, f.Push("flood"))
		if n := len(*j.Report.Output); n > 1000 || n < 900 || !j.Report.Truncated {
			t.Errorf("%d bytes of output reported, truncated %v", n, j.Report.Truncated)
		}
		live := strings.Join(j.Output, "")
		if !strings.Contains(live, "bytes skipped") || len(live) > 300<<10 {
			t.Errorf("%d bytes of live output", len(live))
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		finish func(ctx context.Context) (agent.Result, error)
		want   string
	}{
		{"stops for it", func(ctx context.Context) (agent.Result, error) { return agent.Result{}, ctx.Err() }, "canceled"},
		{"is killed for it", func(context.Context) (agent.Result, error) { return agent.ExitCode(143), nil }, "canceled"},
		{"is done all the same", func(context.Context) (agent.Result, error) { return agent.Result{}, nil }, "succeeded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// One place, so that the cancel has to come while all are busy.
				f, a := setup(t, func(c *agent.Config) { c.Concurrency = 1 })
				began := make(chan struct{})
				a.Handle("wait", func(ctx context.Context, _ *agent.Job) (agent.Result, error) {
					close(began)
					<-ctx.Done()
					return tc.finish(ctx)
				})
				a.Handle("hello", hello)
				start(t, a)
				id := f.Push("wait")
				<-began
				at := time.Now()
				f.Cancel(id)
				if j := f.Final(t, id); j.Report.Status != tc.want || j.ReportedAt.Sub(at) > time.Second {
					t.Errorf("%s after %v, want %s at once", j.Report.Status, j.ReportedAt.Sub(at), tc.want)
				}
				f.Final(t, f.Push("hello again"))
			})
		})
	}
}

func TestBusyAgentChecksInAndMentionsItsJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t, func(c *agent.Config) { c.Concurrency = 2 })
		release := make(chan struct{})
		a.Handle("wait", func(context.Context, *agent.Job) (agent.Result, error) {
			<-release
			return agent.Result{}, nil
		})
		stop := start(t, a)
		ids := []string{f.Push("wait"), f.Push("wait"), f.Push("wait")}
		f.Await(t, "two jobs to be sent", func(st *agenttest.State) bool { return st.Jobs[ids[1]].Status == "sent" })
		before := 0
		f.Look(func(st *agenttest.State) { before = st.Polls })
		time.Sleep(10 * time.Minute) //nolint:forbidigo // the bubble's clock
		f.Look(func(st *agenttest.State) {
			if n := st.Polls - before; n < 10 || n > 15 {
				t.Errorf("%d polls in 10 minutes, want one every 50 seconds", n)
			}
			if len(st.Running) != 2 {
				t.Errorf("the last poll mentions %v", st.Running)
			}
			if st.Jobs[ids[2]].Status != "queuing" {
				t.Error("a third job was taken with two places")
			}
		})
		close(release)
		for _, id := range ids {
			f.Final(t, id)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		for _, m := range stateOf(f).Maxes {
			if m > 2 {
				t.Errorf("a poll asked for %d jobs with 2 places", m)
			}
		}
	})
}

func TestCommandsOwnConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, a := setup(t)
		var now, most atomic.Int32
		a.HandleCommand(agent.Command{Name: "one", Concurrency: 1}, func(context.Context, *agent.Job) (agent.Result, error) {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			now.Add(-1)
			return agent.Result{}, nil
		})
		start(t, a)
		for _, id := range []string{f.Push("one"), f.Push("one"), f.Push("one")} {
			f.Final(t, id)
		}
		if most.Load() != 1 {
			t.Errorf("%d ran at once", most.Load())
		}
	})
}

func TestNewChecksItsConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := agent.Config{Server: "https://skadi.test", Token: agenttest.Token, StateDir: dir}
	for _, tc := range []struct {
		name   string
		change func(*agent.Config)
		want   string
	}{
		{"no state folder", func(c *agent.Config) { c.StateDir = "" }, "state folder"},
		{"no token", func(c *agent.Config) { c.Token = "" }, "exactly one of the token and the token file"},
		{"both tokens", func(c *agent.Config) { c.TokenFile = empty }, "exactly one of the token and the token file"},
		{"empty token file", func(c *agent.Config) { c.Token, c.TokenFile = "", empty }, "must hold the token, and is empty"},
		{"no token file", func(c *agent.Config) { c.Token, c.TokenFile = "", empty+"x" }, "read the token file"},
		{"token with a line break", func(c *agent.Config) { c.Token = "skd_a\nb" }, "position 6"},
		{"plain http", func(c *agent.Config) { c.Server = "http://skadi.test" }, "use https://"},
		{"too many at once", func(c *agent.Config) { c.Concurrency = 1001 }, "1 to 1000"},
		{"short secret", func(c *agent.Config) { c.Redact = []string{"abc"} }, "at least 4"},
		{"negative limit", func(c *agent.Config) { c.OutputLimit = -1 }, "output limit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			tc.change(&cfg)
			_, err := agent.New(cfg)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something about %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "skd_") {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
	if _, err := agent.New(good); err != nil {
		t.Errorf("a good config: %v", err)
	}
}

func agentLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

// start runs an agent until stop is called, which returns Run's error.
func start(t testing.TB, a *agent.Agent) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// stateOf returns a copy of the server's state.
func stateOf(f *agenttest.Server) (copied agenttest.State) {
	f.Look(func(st *agenttest.State) { copied = *st })
	return copied
}
