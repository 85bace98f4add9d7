//go:build unix

package cluster

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is a server or an agent, which can be killed, stopped and started.
type program struct {
	t    *testing.T
	name string // of the program: one under test, or a path
	args []string
	addr string // of a server
	log  *os.File
	env  []string
	cmd  *exec.Cmd
}

func newProgram(t *testing.T, dir, label, name string, args ...string) *program {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, label+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	must(t, err)
	p := &program{t: t, name: name, args: args, log: log, env: environment(dir)}
	t.Cleanup(p.end)
	return p
}

func (p *program) start() {
	p.t.Helper()
	path := p.name
	if !filepath.IsAbs(path) {
		path = filepath.Join(bin, path)
	}
	p.cmd = exec.Command(path, p.args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.env, p.log, p.log
	must(p.t, p.cmd.Start())
}

// kill kills the program, which must run until then.
func (p *program) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if p.cmd.ProcessState.Exited() {
		p.t.Errorf("%s ended by itself: %s", filepath.Base(p.log.Name()), p.cmd.ProcessState)
	}
	p.cmd = nil
}

// died waits until the program was killed by itself.
func (p *program) died() {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		p.t.Error("the server lives on")
		_ = p.cmd.Process.Kill()
		<-done
	}
	p.cmd = nil
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

// printed is all that the program has printed.
func (p *program) printed() string {
	p.t.Helper()
	data, err := os.ReadFile(p.log.Name())
	must(p.t, err)
	return string(data)
}

// end ends the program with the test, and shows its log if that failed.
func (p *program) end() {
	if p.cmd != nil {
		p.kill()
	}
	_ = p.log.Close()
	if p.t.Failed() {
		data, _ := os.ReadFile(p.log.Name())
		p.t.Logf("the end of %s:\n%s", p.log.Name(), data[max(len(data)-6000, 0):])
	}
}

// skadi runs a command to its end and returns what it printed.
func skadi(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "skadi"), args...)
	cmd.Env = environment(dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("skadi %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// environment is this process's, with another home and no setting of Skadi's.
func environment(home string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SKADI_") && !strings.HasPrefix(v, "HOME=") && !strings.HasPrefix(v, "XDG_") {
			env = append(env, v)
		}
	}
	return append(env, "HOME="+home)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// eventually fails the test if try does not succeed at last.
func eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		pause(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatalf("waited too long for %s: %v", what, err)
		}
	}
}
