package throwaway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a server may take to start. Nothing is judged by it.
const patience = time.Minute

// server is a program that listens on a port of this machine.
type server struct {
	// Addr is where it listens: 127.0.0.1 and a port, also while it is down.
	Addr string

	t       testing.TB // nil: shared by many tests
	dir     string
	program string
	args    []string
	env     []string // besides ours
	// group says that it starts processes which are killed with it.
	group bool
	// ready returns nil once the server answers.
	ready func(ctx context.Context) error

	cmd *exec.Cmd // nil: it does not run
	log *os.File
}

// launch makes a server and starts it. If it ends at once, somebody who is no
// test may have taken its port meanwhile; so it tries again.
func launch(make func(port int) (*server, error)) (*server, error) {
	var failed error
	for range 3 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		s, err := make(port)
		if err != nil {
			return nil, err
		}
		s.Addr = loopback(port)
		if failed = s.start(); failed == nil {
			return s, nil
		}
		s.remove()
		if !errors.Is(failed, errEnded) {
			break
		}
	}
	return nil, failed
}

// own ends the server with the test, and shows its log if the test failed.
func (s *server) own(t testing.TB) {
	s.t = t
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the end of the log of %s on %s:\n%s", filepath.Base(s.program), s.Addr, s.logged())
		}
		s.remove()
	})
}

// Kill kills the server with SIGKILL; what it had not written is lost.
func (s *server) Kill() {
	s.check()
	s.kill()
}

// Start starts the server that was killed, with its data and address, and
// waits until it answers.
func (s *server) Start() {
	s.check()
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatalf("%s on %s runs already", s.program, s.Addr)
	}
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Restart is Kill and Start.
func (s *server) Restart() {
	s.t.Helper()
	s.Kill()
	s.Start()
}

// Stop stops the server with SIGSTOP: it keeps its connections and answers
// nothing until Cont.
func (s *server) Stop() { s.signal(sigStop) }

// Cont lets the server go on after Stop.
func (s *server) Cont() { s.signal(sigCont) }

// PID returns the process ID of the running server.
func (s *server) PID() int { return s.cmd.Process.Pid }

func (s *server) signal(sig os.Signal) {
	s.check()
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%v to %s on %s: %v", sig, s.program, s.Addr, err)
	}
}

func (s *server) check() {
	if s.t == nil {
		panic("throwaway: this server is shared with other tests; take one of your own to stop it")
	}
}

// errEnded means that a server ended while it should have started.
var errEnded = errors.New("it ended")

// start starts the program and waits until it is ready. It needs no goroutine,
// so that tests that look for forgotten ones find none.
func (s *server) start() error {
	var err error
	if s.log == nil {
		s.log, err = os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
	}
	s.cmd = exec.Command(s.program, s.args...) //nolint:noctx,gosec // ended by kill, and chosen by us
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, s.log, s.log
	if len(s.env) > 0 {
		s.cmd.Env = append(os.Environ(), s.env...)
	}
	s.cmd.SysProcAttr = dieWithParent()
	if s.group {
		s.cmd.SysProcAttr = inGroup(s.cmd.SysProcAttr)
	}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = until(ctx, func() error {
		if hasEnded(s.cmd.Process.Pid) {
			return errEnded
		}
		return s.ready(ctx)
	})
	if err != nil {
		s.kill()
		return fmt.Errorf("start %s on %s: %w\n%s", s.program, s.Addr, err, s.logged())
	}
	return nil
}

func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	if s.group {
		_ = killGroup(s.cmd.Process.Pid)
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// remove removes all that the server wrote.
func (s *server) remove() {
	if s.log != nil {
		_ = s.log.Close()
	}
	_ = os.RemoveAll(s.dir)
}

// logged returns the end of what the server printed.
func (s *server) logged() string {
	const most = 4000
	data, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return string(data[max(len(data)-most, 0):])
}

// until calls try until it returns nil or errEnded, or ctx ends.
func until(ctx context.Context, try func() error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited too long: %w", err)
		}
	}
}
