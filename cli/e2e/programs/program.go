//go:build unix

package programs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Program is a process of a test's, which can be killed and started anew.
type Program struct {
	Name string
	// Env is its environment: that of the test, with the program's folder for
	// its home.
	Env []string

	t    *testing.T
	argv []string
	dir  string
	log  *os.File // standard output and error, of all its lives
	cmd  *exec.Cmd
}

// New prepares a program that runs in a folder and ends with the test at the
// latest. The first of argv is the name of a program under test, or a path. What
// it prints is kept in the file NAME.log of the folder, and shown if the test
// fails.
func New(t *testing.T, dir, name string, argv ...string) *Program {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) //nolint:gosec // the test's own
	Must(t, err)
	p := &Program{Name: name, Env: Environment(dir), t: t, argv: argv, dir: dir, log: log}
	t.Cleanup(p.end)
	return p
}

// Start starts it. It must not run.
func (p *Program) Start() {
	p.t.Helper()
	path := p.argv[0]
	if !strings.ContainsRune(path, os.PathSeparator) {
		path = Path(path)
	}
	p.cmd = exec.Command(path, p.argv[1:]...) //nolint:noctx,gosec // it ends by Kill, and is the test's own
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.dir, p.Env, p.log, p.log
	Must(p.t, p.cmd.Start())
}

// Kill kills it by SIGKILL. It must have run until then.
func (p *Program) Kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if p.cmd.ProcessState.Exited() {
		p.t.Errorf("%s ended by itself: %s", p.Name, p.cmd.ProcessState)
	}
	p.cmd = nil
}

// Died waits until it ended by itself.
func (p *Program) Died() {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(Patience):
		p.t.Errorf("%s lives on", p.Name)
		_ = p.cmd.Process.Kill()
		<-done
	}
	p.cmd = nil
}

// Signal sends it a signal.
func (p *Program) Signal(s syscall.Signal) {
	p.t.Helper()
	Must(p.t, p.cmd.Process.Signal(s))
}

// PID returns the process's number while it runs.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Printed is all that it has printed.
func (p *Program) Printed() string {
	p.t.Helper()
	data, err := os.ReadFile(p.log.Name())
	Must(p.t, err)
	return string(data)
}

// end ends it with the test, and shows its log if that failed.
func (p *Program) end() {
	if p.cmd != nil {
		p.Kill()
	}
	_ = p.log.Close()
	if p.t.Failed() {
		data, _ := os.ReadFile(p.log.Name())
		p.t.Logf("the end of %s:\n%s", p.log.Name(), data[max(len(data)-6000, 0):])
	}
}
