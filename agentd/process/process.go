// Package process runs a program in a process group of its own, so that it
// can be stopped together with everything that it has started.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	// DefaultGrace is how long a program has between being asked to stop and
	// being killed.
	DefaultGrace = 10 * time.Second
	// lingerTime is how long the output of what a program left running is
	// read after the program itself has ended.
	lingerTime = time.Second
	// groupCheck is how often it is looked whether a group is gone.
	groupCheck = 20 * time.Millisecond
)

// Spec says what to run.
type Spec struct {
	// Argv is the program and its arguments. A program without a slash is
	// looked for in the PATH of this process.
	Argv []string
	Dir  string
	// Env is the whole environment, as NAME=value.
	Env []string
	// Stdin is what the program reads; nothing if it is empty.
	Stdin string
	// User, if set, is whom the program runs as; see FindUser.
	User *User
	// Output gets what the program writes, standard output and error mixed
	// as they come. It must not block.
	Output io.Writer
	// Grace is the time between asking to stop and killing; 0 means
	// DefaultGrace.
	Grace time.Duration
}

// Outcome is how a program ended.
type Outcome struct {
	// ExitCode is the program's own, or 128 and the signal that ended it.
	ExitCode int
	// Signal names that signal; empty if none did.
	Signal string
	// Detached says that something that the program had started still held
	// its output, and was left running.
	Detached bool
}

// NotStartedError is a program that could not be run at all.
type NotStartedError struct {
	Program string
	// Code is what a shell would end with: 127 if there is no such program,
	// 126 if it cannot be run.
	Code int
	Err  error
}

func (e *NotStartedError) Error() string {
	return fmt.Sprintf("%s could not be started: %v", e.Program, e.Err)
}

func (e *NotStartedError) Unwrap() error { return e.Err }

// Run runs a program to its end. When ctx ends first, its group is asked to
// stop, and killed when the grace time is over; the outcome is then how it
// ended and the error is ctx's cause. A program that ends with a code other
// than 0 is no error.
func Run(ctx context.Context, s Spec) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, context.Cause(ctx)
	}
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...) //nolint:gosec,noctx // the operator's own command; ctx stops the whole group below
	cmd.Dir, cmd.Env = s.Dir, s.Env
	if err := batchRefusal(cmd); err != nil {
		return Outcome{}, &NotStartedError{Program: s.Argv[0], Code: 126, Err: err}
	}
	setGroup(cmd, s.User)
	out, err := pipes(cmd, s.Stdin)
	if err != nil {
		return Outcome{}, fmt.Errorf("make a pipe for %s: %w", s.Argv[0], err)
	}
	err = cmd.Start()
	out.started()
	if err != nil {
		out.close()
		return Outcome{}, notStarted(s, err)
	}
	g, err := groupOf(cmd)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		out.close()
		return Outcome{}, notStarted(s, err)
	}
	defer g.release()
	copied := out.copyTo(s.Output)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	var cause error
	select {
	case err = <-ended:
	case <-ctx.Done():
		cause = context.Cause(ctx)
		err = stop(g, s.grace(), ended)
	}
	outcome := outcomeOf(cmd, err)
	select {
	case <-copied:
	case <-time.After(lingerTime):
		outcome.Detached = true
	}
	out.close()
	<-copied
	var exit *exec.ExitError
	if cause == nil && err != nil && !errors.As(err, &exit) {
		return outcome, fmt.Errorf("wait for %s: %w", s.Argv[0], err)
	}
	return outcome, cause
}

func (s Spec) grace() time.Duration {
	if s.Grace <= 0 {
		return DefaultGrace
	}
	return s.Grace
}

// stopped is what can be asked to stop as a whole.
type stopped interface {
	// terminate is false if there is no way to ask.
	terminate() bool
	kill()
	gone() bool
}

// stop asks the program's group to stop and kills what is left of it after the
// grace time, or at once what cannot be asked. It returns when the program itself has ended.
func stop(g stopped, grace time.Duration, ended <-chan error) error {
	if !g.terminate() {
		grace = 0
	}
	over := time.NewTimer(grace)
	defer over.Stop()
	check := time.NewTicker(groupCheck)
	defer check.Stop()
	var err error
	wait := ended
	for {
		select {
		case err = <-wait:
			wait = nil
		case <-check.C:
		case <-over.C:
			g.kill()
			if wait != nil {
				err = <-wait
			}
			return err
		}
		if wait == nil && g.gone() {
			return err
		}
	}
}

func notStarted(s Spec, err error) error {
	e := &NotStartedError{Program: s.Argv[0], Code: 126, Err: err}
	var pe *os.PathError
	var ee *exec.Error
	folder := folderTrouble(s.Dir)
	switch {
	case errors.As(err, &pe) && pe.Op == "chdir":
		e.Err = fmt.Errorf("its folder %s: %w", s.Dir, pe.Err)
	case folder != nil:
		e.Err = fmt.Errorf("its folder %s: %w", s.Dir, folder)
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		e.Code = 127
		e.Err = errors.New("there is no such program on this server")
	case errors.As(err, &ee):
		e.Err = ee.Err
	case errors.As(err, &pe):
		e.Err = pe.Err
	}
	return e
}

// folderTrouble says why no program can run in a folder. Not every system says
// so when it starts one.
func folderTrouble(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	var pe *os.PathError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case err == nil && !info.IsDir():
		return errors.New("it is no folder")
	}
	return err
}

// plumbing is the pipes between this process and the program.
type plumbing struct {
	read     *os.File // the end of the output that stays here
	write    *os.File // the end that the program has
	in       io.WriteCloser
	stdin    string
	children []io.Closer
}

// pipes connects the program. Its output is one pipe for both streams, so
// that they stay in order, and a file to it, so that waiting for the program
// is not waiting for everything that has inherited the pipe.
func pipes(cmd *exec.Cmd, stdin string) (*plumbing, error) {
	p := &plumbing{stdin: stdin}
	var err error
	if p.read, p.write, err = os.Pipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = p.write, p.write
	p.children = append(p.children, p.write)
	if stdin == "" {
		return p, nil // the null device
	}
	r, w, err := os.Pipe()
	if err != nil {
		_ = p.read.Close()
		_ = p.write.Close()
		return nil, err
	}
	cmd.Stdin, p.in = r, w
	p.children = append(p.children, r)
	return p, nil
}

// started closes the program's ends on this side.
func (p *plumbing) started() {
	for _, c := range p.children {
		_ = c.Close()
	}
}

// copyTo begins to carry data both ways; the channel is closed once the
// output has ended.
func (p *plumbing) copyTo(w io.Writer) <-chan struct{} {
	if p.in != nil {
		go func() {
			_, _ = io.Copy(p.in, strings.NewReader(p.stdin)) // it need not read all
			_ = p.in.Close()
		}()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(onlyWriter{w}, p.read)
	}()
	return done
}

// onlyWriter hides other methods from io.Copy, so that every read is written
// at once.
type onlyWriter struct{ io.Writer }

// close ends the copying; whoever still holds the pipe can no longer write.
func (p *plumbing) close() {
	_ = p.read.Close()
	if p.in != nil {
		_ = p.in.Close()
	}
}
