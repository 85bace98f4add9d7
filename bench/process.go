package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that runs beside this one.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *tailBuffer
	done  chan struct{}
	err   error // valid once done is closed
}

// start runs a program with extra environment. Its standard output goes to out;
// what it says on standard error is kept for the error of a failure.
func start(out io.Writer, env []string, name string, args ...string) (*process, error) {
	// Should this program be killed, the ones it started go with it.
	return startAs(dieWithParent(), out, env, name, args...)
}

// startAs is start with attributes, such as another user.
func startAs(as *syscall.SysProcAttr, out io.Writer, env []string, name string, args ...string) (*process, error) {
	p := &process{log: &tailBuffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(name, args...) //nolint:gosec,noctx // our own programs; stop ends them
	p.cmd.Stdout, p.cmd.Stderr = out, p.log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = as
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		if err := p.cmd.Wait(); err != nil {
			p.err = fmt.Errorf("%s: %w\n%s", name, err, p.log)
		}
	}()
	return p, nil
}

// stop asks the program to end, and kills it if it takes too long.
func (p *process) stop() error {
	_ = p.stdin.Close()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not end when asked to and was killed\n%s", p.cmd.Path, p.log)
	}
	return nil
}

// until waits until ready returns nil, the program ends, or time is over.
func (p *process) until(ctx context.Context, what string, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("ended while waiting for %s: %w", what, errors.Join(p.err, err))
		case <-ctx.Done():
			return fmt.Errorf("%s: waited for too long: %w\n%s", what, err, p.log)
		}
	}
}

// resident returns the bytes of memory that the program has in use (VmRSS).
func (p *process) resident() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024, err
		}
	}
	return 0, errors.New("/proc shows no VmRSS")
}

// used returns the processor time that a running program took so far; 0 where
// /proc does not show it.
func (p *process) used() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The fields after the name, which may have anything in it; see proc(5).
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	const utime, stime, ticks = 11, 12, 100 // USER_HZ
	if len(fields) <= stime {
		return 0
	}
	var sum int64
	for _, i := range []int{utime, stime} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks
}

// busy returns the processor time that a program took which has ended.
func (p *process) busy() time.Duration {
	<-p.done
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if keep := 8 << 10; len(t.buf) > 2*keep {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-keep:]...)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// A role is what a process of this program does for another one. It reads its
// spec as one line of JSON on standard input and prints its result likewise. It
// may then go on until standard input ends.
type role func(spec []byte, answer func(any) error, ended <-chan struct{}) error

// roleEnv names the role of a process of this program.
const roleEnv = "SKADI_BENCH_ROLE"

// play runs this process in its role.
func play(r role, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	spec, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the spec: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, lines)
	}()
	return r(spec, json.NewEncoder(out).Encode, ended)
}

// cast starts this program in a role and waits for its answer. The process
// goes on until it is stopped, or ends by itself.
func cast(ctx context.Context, name string, spec, answer any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	p, err := start(w, []string{roleEnv + "=" + name}, self)
	if err != nil {
		return nil, err
	}
	go func() {
		<-p.done
		_ = w.Close()
	}()
	line, err := json.Marshal(spec)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	got := make(chan error, 1)
	go func() {
		d := json.NewDecoder(r)
		got <- d.Decode(answer)
		_, _ = io.Copy(io.Discard, r)
	}()
	select {
	case err := <-got:
		if err != nil {
			<-p.done
			return nil, errors.Join(err, p.err)
		}
		return p, nil
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), p.stop())
	}
}

// ask is cast for a role that ends once it has answered. It returns the
// processor time that this took.
func ask(ctx context.Context, name string, spec, answer any) (busy time.Duration, err error) {
	p, err := cast(ctx, name, spec, answer)
	if err != nil {
		return 0, err
	}
	_ = p.stdin.Close()
	<-p.done
	return p.busy(), p.err
}
