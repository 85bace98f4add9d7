package agent_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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

// exitByItself is what the agent process ends with if it fails without having
// been killed.
const exitByItself = 7

// points are all the steps of a job after which a crash must do no harm.
var points = []string{"intended", "answered", "started", "running", "ran", "finished", "reported"}

// child is the agent process, which stops when its standard input ends. Each
// run of a job is an empty file of its own.
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
			if me, err := os.FindProcess(os.Getpid()); err == nil {
				_ = me.Kill()
			}
			select {}
		}
	}
	a.OnStep(step)
	a.Handle("run", func(_ context.Context, j *agent.Job) (agent.Result, error) {
		f, err := os.CreateTemp(filepath.Join(dir, "runs"), j.ID+".*")
		if err != nil {
			return agent.Result{}, err
		}
		if err := f.Close(); err != nil {
			return agent.Result{}, err
		}
		step("running")
		j.Printf("ran %s\n", j.ID)
		return agent.Result{}, nil
	})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := a.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitByItself)
	}
	os.Exit(0)
}

// process starts the agent process, and returns what makes it stop; it is
// killed when the test ends.
func process(t *testing.T, server, dir, point string, pass int) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+server, dirEnv+"="+dir, pointEnv+"="+point, passEnv+"="+strconv.Itoa(pass))
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, stdin
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

// folder is the agent process's, with room for its state and the runs.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCrashAtEveryStep kills the agent, without a warning, at each step of some
// jobs, starts it again, and looks at what became of them all.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, point := range points {
		for _, pass := range []int{0, 2} {
			t.Run(fmt.Sprintf("%s after %d", point, pass), func(t *testing.T) {
				t.Parallel()
				f, server := served(t)
				dir := folder(t)
				var ids []string
				for range 6 {
					ids = append(ids, f.Push("run"))
				}
				// Some steps pass once for a batch of jobs, so let batches be
				// small by pushing more while it runs.
				cmd, _ := process(t, server.URL, dir, point, pass)
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
				if code := cmd.ProcessState.ExitCode(); code == 0 || code == exitByItself {
					t.Fatalf("the agent ended by itself: %v", cmd.ProcessState)
				}
				polls := 0
				f.Look(func(st *agenttest.State) { polls = st.Polls })
				again, stdin := process(t, server.URL, dir, "", 0)
				checkRuns(t, f, dir, ids)
				f.Await(t, "the new process to poll", func(st *agenttest.State) bool { return st.Polls > polls })
				_ = stdin.Close()
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
	dir := folder(t)
	var ids []string
	for range 12 {
		cmd, _ := process(t, server.URL, dir, points[rand.N(len(points))], rand.N(20))
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
	files, err := os.ReadDir(filepath.Join(dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	var runs []string
	for _, f := range files {
		id, _, _ := strings.Cut(f.Name(), ".")
		runs = append(runs, id)
	}
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
