//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestUpPiped(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, stdin string
		code        int
		stdout      []string
	}{
		{"one message", "local hello Ada\n", 0, []string{"Hello, Ada!", "✓"}},
		{"without a final line break", "local hello Ada", 0, []string{"Hello, Ada!"}},
		{"several", "local hello Ada\nlocal hello Grace\n\nlocal uptime\nlocal disk\n", 0, []string{"Hello, Ada!", "Hello, Grace!", "has been up for", " free of "}},
		{"live output", "local countdown 2\n", 0, []string{"2\n", "1\n", "done"}},
		{"built-ins", "help\nagents\nwhoami\njobs\n", 0, []string{"countdown", "local", "terminal:"}},
		{"nothing", "", 0, nil},
		{"an unknown agent", "locl hello\n", 1, []string{"local"}},
		{"a job that fails", "local countdown nope\n", 1, []string{"✗", "how many seconds"}},
		{"one of several fails", "local hello Ada\nlocal sing\n", 1, []string{"Hello, Ada!", "✗"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := skadiIn(t, tt.stdin, nil, "up", "--data", t.TempDir(), "--listen", "127.0.0.1:0").expect(t, tt.code)
			contains(t, r.stdout, tt.stdout...)
			if strings.Contains(r.stdout, "\x1b") {
				t.Errorf("colours in a pipe: %q", r.stdout)
			}
		})
	}
}

func TestUpKeepsItsStateInTheHomeFolder(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	skadiIn(t, "local hello Ada\n", []string{"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state")}, "up").expect(t, 0)
	r := skadiIn(t, "", []string{"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state")}, "jobs").expect(t, 0)
	contains(t, r.stdout, "hello Ada", "succeeded")
	info, err := os.Stat(filepath.Join(home, "state", "skadi", "skadi.db"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the database: %v", info.Mode())
	}
}

func TestUpInATerminal(t *testing.T) {
	t.Parallel()
	c, _ := startUp(t, t.TempDir())
	contains(t, c.out.text(), "local hello Ada", "help")
	c.types("local hello Ada")
	c.sees("Hello, Ada!")
	c.types("locl hello")
	c.sees("local")
	c.types("help")
	c.sees("countdown")
	c.presses(ctrlD)
	if code, out := c.ends(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestUpDrains(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	c, _ := startUp(t, data)
	c.types("local countdown 3")
	c.sees("│ 3")
	c.presses(ctrlC)
	out := c.sees("still running")
	contains(t, out, "local countdown 3", "#")
	code, out := c.ends()
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	contains(t, out, "done")
	if jobs := listJobs(t, data); len(jobs) != 1 || jobs[0].Status != "succeeded" {
		t.Errorf("jobs: %+v", jobs)
	}
}

// TestUpLeavesWhatOthersRun ends while another agent runs a job: that one goes
// on, so it is named and not waited for.
func TestUpLeavesWhatOthersRun(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	c, url := startUp(t, data)
	client, err := agentapi.NewClient(agentapi.ClientConfig{Server: url, Token: token(t, "agents", "create", "web-1", "--data", data)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Poll(t.Context(), agentapi.PollRequest{}); err != nil { // from here on it is online
		t.Fatal(err)
	}
	c.types("web-1 deploy")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := client.Poll(ctx, agentapi.PollRequest{WaitSeconds: 50})
	if err != nil || len(got.Jobs) != 1 {
		t.Fatalf("polled %+v, %v", got, err)
	}
	c.presses(ctrlC)
	code, out := c.ends()
	if code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	contains(t, out, "still running on other agents, and told at the next start: #", "(web-1 deploy)")
	if strings.Contains(out, "waited for") {
		t.Errorf("nothing is waited for, and it says:\n%s", out)
	}
}

func TestUpStopsAtOnce(t *testing.T) {
	t.Parallel()
	ctrlC := func(_ *testing.T, c *terminal) { c.presses(ctrlC) }
	stops := map[string]struct{ first, second func(*testing.T, *terminal) }{
		"by Ctrl-C": {ctrlC, ctrlC},
		"by signal": {
			func(_ *testing.T, c *terminal) { c.signal(syscall.SIGTERM) },
			func(t *testing.T, c *terminal) { // once that is not taken for the first one
				eventually(t, "a second signal ends it", func() bool {
					_ = c.cmd.Process.Signal(syscall.SIGTERM)
					select {
					case <-c.done:
						return true
					default:
						return false
					}
				})
			},
		},
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			c, _ := startUp(t, data)
			c.types("local countdown 600")
			c.sees("│ 600")
			stop.first(t, c)
			c.sees("still running, and waited for: #")
			stop.second(t, c)
			code, out := c.ends()
			if code != 1 {
				t.Fatalf("exit code %d:\n%s", code, out)
			}
			contains(t, out, "stopped at once")
			// The next start reports what it interrupted, and does not run it again.
			again, _ := startUp(t, data)
			again.sees("interrupted")
			ctrlC(t, again)
			again.ends()
			if jobs := listJobs(t, data); len(jobs) != 1 || jobs[0].Status != "failed" || jobs[0].Reason != "interrupted" {
				t.Errorf("jobs: %+v", jobs)
			}
		})
	}
}

func TestUpTwiceOnOneFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	c, _ := startUp(t, data)
	r := skadi(t, "up", "--data", data).expect(t, 1)
	contains(t, r.stderr, "another `skadi up` runs on", "pid "+itoa(c.cmd.Process.Pid), "--data")
}

func TestUpPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	r := skadiIn(t, "local hello Ada\n", nil, "up", "--data", t.TempDir(), "--listen", l.Addr().String()).expect(t, 1)
	contains(t, r.stderr, l.Addr().String(), "taken", "with --listen")

	// The default address is not insisted on. Somebody else who has it may
	// leave it again before the server is there; then it is ours to hold.
	taken := false
	for !taken {
		d, err := net.Listen("tcp", "127.0.0.1:8080")
		r = skadiIn(t, "local hello Ada\n", nil, "up", "--data", t.TempDir()).expect(t, 0)
		taken = strings.Contains(r.stderr, "127.0.0.1:8080 is taken, so the API listens on 127.0.0.1:")
		if err == nil {
			_ = d.Close()
			if !taken {
				t.Fatalf("the port is taken, and the server says %q", r.stderr)
			}
		}
	}
	contains(t, r.stdout, "Hello, Ada!")
}

func TestUpRefusesToBeReachable(t *testing.T) {
	t.Parallel()
	r := skadi(t, "up", "--data", t.TempDir(), "--listen", "0.0.0.0:0").expect(t, 1)
	contains(t, r.stderr, "0.0.0.0:0", "plain HTTP")
}

func TestUpOnADamagedDatabase(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	file := filepath.Join(data, "skadi.db")
	if err := os.WriteFile(file, []byte("this is no database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := skadiIn(t, "local hello Ada\n", nil, "up", "--data", data, "--listen", "127.0.0.1:0").expect(t, 1)
	contains(t, r.stderr, file, "not a SQLite database", "backup")
}

func TestUpOnAFolderThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := skadi(t, "up", "--data", filepath.Join(file, "state")).expect(t, 1)
	contains(t, r.stderr, file, "--data DIR")
}

// listJobs reads the jobs of a state folder, newest first.
func listJobs(t *testing.T, data string) []agentapi.Job {
	t.Helper()
	var list agentapi.JobList
	decode(t, skadi(t, "jobs", "--data", data, "--json").expect(t, 0).stdout, &list)
	return list.Jobs
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
}
