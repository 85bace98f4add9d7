//go:build unix

package process_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/agentd/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shell(script string, args ...string) process.Spec {
	return process.Spec{Argv: append([]string{"/bin/sh", "-c", script, "sh"}, args...), Env: []string{"PATH=/usr/bin:/bin"}}
}

func run(t *testing.T, s process.Spec) (string, process.Outcome, error) {
	t.Helper()
	out := newScreen()
	s.Output = out
	o, err := process.Run(t.Context(), s)
	return out.String(), o, err
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		spec process.Spec
		out  string
		want process.Outcome
	}{
		{"output and error in order", shell("echo one; echo two >&2; echo three"), "one\ntwo\nthree\n", process.Outcome{}},
		{"exit code", shell("exit 7"), "", process.Outcome{ExitCode: 7}},
		{"killed by a signal", shell("kill -9 $$"), "", process.Outcome{ExitCode: 137, Signal: "SIGKILL"}},
		{"no standard input", shell("cat; echo end"), "end\n", process.Outcome{}},
		{"arguments are data", shell(`printf '%s|' "$@"`, "a b", "$(id)", "; rm", "-n"), "a b|$(id)|; rm|-n|", process.Outcome{}},
		{"only the environment given", shell("env | grep -v -e ^PWD= -e ^_= -e ^SHLVL="), "PATH=/usr/bin:/bin\n", process.Outcome{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out, o, err := run(t, tc.spec)
			if out != tc.out || o != tc.want || err != nil {
				t.Errorf("got %q, %+v, %v, want %q, %+v", out, o, err, tc.out, tc.want)
			}
		})
	}
}

func TestStdinAndFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := shell("cat > got; head -c 3 got; pwd")
	s.Dir, s.Stdin = dir, strings.Repeat("abc\n", 100_000)
	out, _, err := run(t, s)
	if err != nil || out != "abc"+dir+"\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "got")); len(data) != 400_000 {
		t.Errorf("the program read %d bytes", len(data))
	}
	// A program that reads nothing ends all the same.
	s = shell("exit 0")
	s.Stdin = strings.Repeat("x", 1<<20)
	if _, o, err := run(t, s); err != nil || o.ExitCode != 0 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		spec process.Spec
		code int
		want string
	}{
		{"no such file", process.Spec{Argv: []string{"/no/such/program"}}, 127, "/no/such/program could not be started: there is no such program on this server"},
		{"not in the path", process.Spec{Argv: []string{"no-such-program"}}, 127, "no such program"},
		{"not executable", process.Spec{Argv: []string{plain}}, 126, "permission denied"},
		{"no such folder", process.Spec{Argv: []string{"/bin/sh", "-c", "true"}, Dir: "/no/such/dir"}, 126, "its folder /no/such/dir: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := run(t, tc.spec)
			var ns *process.NotStartedError
			if !errors.As(err, &ns) || ns.Code != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (%+v), want %q with %d", err, ns, tc.want, tc.code)
			}
		})
	}
}

var errEnough = errors.New("enough")

// stopped runs a program until it has printed ready, stops it, and returns
// what it did.
func stopped(t *testing.T, s process.Spec) (string, process.Outcome, time.Duration) {
	t.Helper()
	out := newScreen()
	s.Output = out
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	type end struct {
		o   process.Outcome
		err error
	}
	done := make(chan end, 1)
	go func() {
		o, err := process.Run(ctx, s)
		done <- end{o, err}
	}()
	out.await(t, "ready", 1)
	began := time.Now()
	cancel(errEnough)
	e := <-done
	if !errors.Is(e.err, errEnough) {
		t.Errorf("got %v, want the cause", e.err)
	}
	return out.String(), e.o, time.Since(began)
}

func TestStopIsPolite(t *testing.T) {
	t.Parallel()
	out, o, _ := stopped(t, shell(`trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done`))
	if !strings.HasSuffix(out, "bye\n") || o.ExitCode != 3 {
		t.Errorf("got %q, %+v", out, o)
	}
}

func TestStopReachesTheWholeGroup(t *testing.T) {
	t.Parallel()
	out, o, _ := stopped(t, shell(`sleep 1000 & echo $!; echo ready; wait`))
	if o.Signal != "SIGTERM" || o.ExitCode != 143 {
		t.Errorf("got %+v", o)
	}
	gone(t, strings.Fields(out)[0])
}

func TestStubbornGroupIsKilled(t *testing.T) {
	t.Parallel()
	// The child ignores SIGTERM; the program itself ends at once.
	s := shell(`sh -c 'trap "" TERM; echo $$; echo ready; while :; do sleep 0.05; done' & wait`)
	s.Grace = 300 * time.Millisecond
	out, _, took := stopped(t, s)
	if took < s.Grace {
		t.Errorf("killed after %v, before the grace time was over", took)
	}
	gone(t, strings.Fields(out)[0])
}

// gone waits until there is no such process.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for {
		// Whoever adopts it may leave it a zombie.
		stat, _ := os.ReadFile("/proc/" + pid + "/stat")
		if errors.Is(syscall.Kill(n, 0), syscall.ESRCH) || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("process %s is still there", pid)
		}
	}
}

func TestDetachedChildDoesNotHoldUp(t *testing.T) {
	t.Parallel()
	began := time.Now()
	out, o, err := run(t, shell(`(sleep 30; echo late) & echo $!; echo done`))
	if err != nil || !o.Detached || o.ExitCode != 0 {
		t.Errorf("got %+v, %v", o, err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	lines := strings.Fields(out)
	if len(lines) != 2 || lines[1] != "done" {
		t.Fatalf("got %q", out)
	}
	if pid, err := strconv.Atoi(lines[0]); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestOutputComesAsItIsWritten(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	out := newScreen()
	s := shell(`printf early; cat "$1"; printf late`, fifo)
	s.Output = out
	done := make(chan error, 1)
	go func() {
		_, err := process.Run(t.Context(), s)
		done <- err
	}()
	out.await(t, "early", 1)
	if err := os.WriteFile(fifo, []byte(" then "), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || out.String() != "early then late" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestFindUser(t *testing.T) {
	t.Parallel()
	if _, err := process.FindUser("no-such-user"); err == nil || !strings.Contains(err.Error(), "no user") {
		t.Errorf("got %v", err)
	}
	u, err := process.FindUser("nobody")
	if os.Geteuid() != 0 {
		if err == nil || !strings.Contains(err.Error(), "as root") {
			t.Errorf("got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	want, err := exec.Command("id", "-u", "nobody").Output()
	if err != nil {
		t.Skip("there is no id program")
	}
	s := process.Spec{Argv: []string{"/bin/sh", "-c", "id -u"}, Env: []string{"PATH=/usr/bin:/bin"}, User: u, Dir: "/"}
	if out, _, err := run(t, s); err != nil || out != string(want) {
		t.Errorf("ran as %q, %v, want %q", out, err, want)
	}
}
