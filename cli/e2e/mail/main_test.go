//go:build unix

package mail

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// patience is how long a test waits for something that should come soon.
// Nothing is judged by it.
const patience = time.Minute

// bin is the folder of the programs under test.
var bin string

func TestMain(m *testing.M) { os.Exit(run(throwaway.Wrap(m))) }

func run(m throwaway.Runner) int {
	dir, err := os.MkdirTemp("", "skadi-mail-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	args := append([]string{"build"}, buildFlags...)
	build := exec.Command("go", append(args, "-o", dir+string(os.PathSeparator), "../../..", "../../../agentd")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// program is a process of this test's, which can be killed and started anew.
type program struct {
	t    *testing.T
	name string
	argv []string
	dir  string
	log  *os.File // standard output and error, of all its lives
	cmd  *exec.Cmd
}

// newProgram prepares a program that ends with the test at the latest.
func newProgram(t *testing.T, dir, name string, argv ...string) *program {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	must(t, err)
	p := &program{t: t, name: name, argv: argv, dir: dir, log: log}
	t.Cleanup(p.end)
	return p
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(filepath.Join(bin, p.argv[0]), p.argv[1:]...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.dir, environment(p.dir), p.log, p.log
	must(p.t, p.cmd.Start())
}

// kill kills the program by SIGKILL. It must have run until then.
func (p *program) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if p.cmd.ProcessState.Exited() {
		p.t.Errorf("%s ended by itself: %s", p.name, p.cmd.ProcessState)
	}
	p.cmd = nil
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

// eventually fails the test if try does not succeed at last.
func eventually(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	within(t, patience, what, try)
}

func within(t *testing.T, limit time.Duration, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited too long for %s: %v", what, err)
		}
	}
}

// freeAddress returns an address of 127.0.0.1 that nobody listens on. Its port
// is below the range of outgoing connections, so that it stays free while the
// server is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port between 20000 and 30000 is free")
	return ""
}
