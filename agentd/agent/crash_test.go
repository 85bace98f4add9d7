//go:build unix

package agent_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
)

// The crash tests run this test binary again as an agent that kills itself.
// The variables say where its server and folder are, at which point it dies,
// and how often it passes that point before.
const (
	childEnv = "SKADI_AGENT_TEST_SERVER"
	dirEnv   = "SKADI_AGENT_TEST_DIR"
	pointEnv = "SKADI_AGENT_TEST_POINT"
	passEnv  = "SKADI_AGENT_TEST_PASS"
)

// points are all the steps of a job after which a crash must do no harm.
var points = []string{"intended", "answered", "started", "running", "ran", "finished", "reported"}

// child is the agent process. Each run of a job is a line in a file.
func child() {
	dir, point := os.Getenv(dirEnv), os.Getenv(pointEnv)
	pass, _ := strconv.Atoi(os.Getenv(passEnv))
	a, err := agent.New(agent.Config{
		Server: os.Getenv(childEnv), Token: agenttest.Token, StateDir: filepath.Join(dir, "state"), Concurrency: 8,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		panic(err)
	}
	var passed atomic.Int64
	step := func(at string) {
		if at == point && passed.Add(1) > int64(pass) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	a.OnStep(step)
	a.Handle("run", func(_ context.Context, j *agent.Job) (agent.Result, error) {
		f, err := os.OpenFile(filepath.Join(dir, "runs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return agent.Result{}, err
		}
		defer func() { _ = f.Close() }()
		if _, err := fmt.Fprintln(f, j.ID); err != nil {
			return agent.Result{}, err
		}
		step("running")
		j.Printf("ran %s\n", j.ID)
		return agent.Result{}, nil
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	if err := a.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
	os.Exit(0)
}

// process starts the agent process; it is killed when the test ends.
func process(t *testing.T, server, dir, point string, pass int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+server, dirEnv+"="+dir, pointEnv+"="+point, passEnv+"="+strconv.Itoa(pass))
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

// served is a fake server on a real address, whose offers run out soon.
func served(t *testing.T) (*agenttest.Server, *httptest.Server) {
	t.Helper()
	f := agenttest.New()
	f.Update(func(st *agenttest.State) { st.OfferFor = time.Second })
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

// TestCrashAtEveryStep kills the agent with SIGKILL at each step of some
// jobs, starts it again, and looks at what became of them all.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, point := range points {
		for _, pass := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s after %d", point, pass), func(t *testing.T) {
				t.Parallel()
				f, server := served(t)
				dir := t.TempDir()
				var ids []string
				for range 6 {
					ids = append(ids, f.Push("run"))
				}
				// Some steps pass once for a batch of jobs, so let batches be
				// small by pushing more while it runs.
				cmd := process(t, server.URL, dir, point, pass)
				died := make(chan struct{})
				go func() { defer close(died); _ = cmd.Wait() }()
				for alive := true; alive; {
					select {
					case <-died:
						alive = false
					case <-time.After(20 * time.Millisecond):
						ids = append(ids, f.Push("run"))
					}
				}
				if s := cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() {
					t.Fatalf("the agent ended by itself: %v", cmd.ProcessState)
				}
				polls := 0
				f.Look(func(st *agenttest.State) { polls = st.Polls })
				again := process(t, server.URL, dir, "", 0)
				checkRuns(t, f, dir, ids)
				f.Await(t, "the new process to poll", func(st *agenttest.State) bool { return st.Polls > polls })
				_ = again.Process.Signal(syscall.SIGTERM)
				if err := again.Wait(); err != nil {
					t.Errorf("the agent did not end well: %v", err)
				}
			})
		}
	}
}

// TestCrashAtRandom kills the agent again and again while jobs come in.
func TestCrashAtRandom(t *testing.T) {
	t.Parallel()
	f, server := served(t)
	dir := t.TempDir()
	var ids []string
	for range 12 {
		cmd := process(t, server.URL, dir, points[rand.N(len(points))], rand.N(20))
		died := make(chan struct{})
		go func() { defer close(died); _ = cmd.Wait() }()
		for alive := true; alive; {
			select {
			case <-died:
				alive = false
			case <-time.After(time.Duration(rand.N(4)) * time.Millisecond):
				ids = append(ids, f.Push("run"))
			}
		}
	}
	process(t, server.URL, dir, "", 0)
	checkRuns(t, f, dir, ids)
}

// checkRuns waits for all jobs and checks the promise: each has run at most
// once, and was reported as what it was.
func checkRuns(t *testing.T, f *agenttest.Server, dir string, ids []string) {
	t.Helper()
	interrupted := 0
	reports := map[string]agenttest.Job{}
	for _, id := range ids {
		reports[id] = f.Final(t, id)
	}
	data, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) { // none may have come that far
		t.Fatal(err)
	}
	runs := strings.Fields(string(data))
	slices.Sort(runs)
	for i := 1; i < len(runs); i++ {
		if runs[i] == runs[i-1] {
			t.Errorf("%s ran twice", runs[i])
		}
	}
	for id, j := range reports {
		switch _, ran := slices.BinarySearch(runs, id); {
		case j.Report.Status == "succeeded" && !ran:
			t.Errorf("%s is said to have succeeded and never ran", id)
		case j.Report.Status == "failed" && j.Report.Reason == "interrupted":
			interrupted++
		case j.Report.Status != "succeeded":
			t.Errorf("%s: %s (%s)", id, j.Report.Status, j.Report.Reason)
		}
		if len(j.Late) > 0 {
			t.Errorf("%s was reported differently later: %+v", id, j.Late)
		}
	}
	t.Logf("%d jobs, %d runs, %d interrupted", len(ids), len(runs), interrupted)
}

func TestStateFolderOthersCanWriteIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // that is the point
		t.Fatal(err)
	}
	a := agentOf(t, agenttest.New(), dir)
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("got %v", err)
	}
}
