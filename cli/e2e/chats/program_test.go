//go:build unix

package chats

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// program is a process of this test's, which can be killed and started anew.
type program struct {
	t     *testing.T
	label string
	argv  []string
	dir   string
	env   []string
	log   *os.File // standard output and error, of all its lives
	cmd   *exec.Cmd
}

// newProgram prepares a program that ends with the test at the latest.
func newProgram(t *testing.T, dir, label string, env []string, argv ...string) *program {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, label+".log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	must(t, err)
	p := &program{t: t, label: label, argv: argv, dir: dir, log: log, env: append(environment(dir), env...)}
	t.Cleanup(p.end)
	return p
}

func (p *program) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.argv[0], p.argv[1:]...)
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.dir, p.env, p.log, p.log
	must(p.t, p.cmd.Start())
}

// kill kills the program by SIGKILL. It must have run until then.
func (p *program) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if p.cmd.ProcessState.Exited() {
		p.t.Errorf("%s ended by itself: %s", p.label, p.cmd.ProcessState)
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

// far is a far side: a program in node that plays a platform. The first line
// that it prints is the URL where it listens on 127.0.0.1; tests steer it and
// ask what it saw by POST of JSON to /control/METHOD.
type far struct {
	*program
	url string
}

// startFar starts farside/NAME/SCRIPT.
func startFar(t *testing.T, name, script string, env ...string) *far {
	t.Helper()
	node := throwaway.Program(t, "node", "nodejs")
	dir := install(t, name)
	p := newProgram(t, t.TempDir(), script, env, node, filepath.Join(dir, script))
	p.start()
	f := &far{program: p}
	eventually(t, "the far side to listen", func(context.Context) error {
		line, _, whole := strings.Cut(p.printed(), "\n")
		if f.url = line; !whole || !strings.HasPrefix(line, "http://127.0.0.1:") {
			return fmt.Errorf("it printed %q", line)
		}
		return nil
	})
	return f
}

// ask calls a control method of the far side. The answer is decoded into out
// unless that is nil; a status other than 200 fails the test.
func (f *far) ask(method string, in, out any) {
	f.t.Helper()
	must(f.t, f.tryAsk(f.t.Context(), method, in, out))
}

func (f *far) tryAsk(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/control/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("the far side answers %s with %d %s", method, a.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
