//go:build unix

package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// patience is how long a test waits for something that should come at once.
// Nothing is judged by it.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { os.Exit(programs.Main(m, nil)) }

// result is what a program that ended left behind.
type result struct {
	code           int
	stdout, stderr string
}

// skadi runs the program to its end. The last argument may be followed by
// options, see command.
func skadi(t *testing.T, args ...string) result { return skadiIn(t, "", nil, args...) }

// skadiIn runs the program with standard input and more environment.
func skadiIn(t *testing.T, stdin string, env []string, args ...string) result {
	t.Helper()
	return programIn(t, "skadi", stdin, env, args...)
}

// programIn is skadiIn for any of the programs.
func programIn(t *testing.T, name, stdin string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, programs.Path(name), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = environment(t, env)
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end\nstdout:\n%s\nstderr:\n%s", name, strings.Join(args, " "), out.String(), errs.String())
	}
	return result{code: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: errs.String()}
}

// environment is this process's, with a home of its own, no setting of Skadi's,
// and more.
func environment(t *testing.T, more []string) []string {
	t.Helper()
	return programs.Environment(t.TempDir(), more...)
}

// expect fails the test unless the exit code is code.
func (r result) expect(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// contains fails the test unless each of the texts is in s.
func contains(t *testing.T, s string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(s, text) {
			t.Fatalf("%q is not in:\n%s", text, s)
		}
	}
}

// process is a program that runs beside the test. What it prints can be
// waited for.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *transcript // standard output and error, as they came
	done chan struct{}
	code int
	// afterExit waits for the rest of the output.
	afterExit func()
}

// start runs a program until the test ends.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	return startIn(t, "", environment(t, env), programs.Path(name), args...)
}

// startIn is start in a folder and an environment.
func startIn(t *testing.T, dir string, env []string, program string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, env
	p := &process{t: t, cmd: cmd, out: newTranscript(), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.watch()
	return p
}

// watch waits for the end of the process, and brings it about when the test
// ends.
func (p *process) watch() {
	go func() {
		_ = p.cmd.Wait()
		if p.afterExit != nil {
			p.afterExit()
		}
		p.code = p.cmd.ProcessState.ExitCode()
		p.out.close()
		close(p.done)
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
}

// sees waits until the process has printed text.
func (p *process) sees(text string) string {
	p.t.Helper()
	got, ok := p.out.waitFor(text, patience)
	if !ok {
		p.t.Fatalf("%s did not print %q; it printed:\n%s", filepath.Base(p.cmd.Path), text, got)
	}
	return got
}

// signal sends a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end of the process and returns its exit code and all
// that it printed.
func (p *process) ends() (code int, printed string) {
	p.t.Helper()
	select {
	case <-p.done:
		return p.code, p.out.text()
	case <-time.After(patience):
		p.t.Fatalf("%s did not end; it printed:\n%s", filepath.Base(p.cmd.Path), p.out.text())
		return 0, ""
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// transcript keeps what is written to it and wakes who waits for more.
type transcript struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	ended   bool
	changed chan struct{} // closed at the next change
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (tr *transcript) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.signal()
	return tr.buf.Write(p)
}

func (tr *transcript) close() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.ended = true
	tr.signal()
}

func (tr *transcript) signal() {
	close(tr.changed)
	tr.changed = make(chan struct{})
}

func (tr *transcript) text() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return escapes.ReplaceAllString(tr.buf.String(), "")
}

// escapes are what a terminal's colours and cursor moves look like.
var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// waitFor waits until text was written, or nothing more will be.
func (tr *transcript) waitFor(text string, d time.Duration) (got string, ok bool) {
	over := time.After(d)
	for {
		tr.mu.Lock()
		got, ended, changed := escapes.ReplaceAllString(tr.buf.String(), ""), tr.ended, tr.changed
		tr.mu.Unlock()
		if strings.Contains(got, text) {
			return got, true
		}
		if ended {
			return got, false
		}
		select {
		case <-changed:
		case <-over:
			return got, false
		}
	}
}
