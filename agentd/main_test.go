package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a config with its token beside it and returns its path.
func file(t *testing.T, server, rest string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("token", agenttest.Token+"\n")
	return write("agentd.yaml", "server: "+server+"\ntoken_file: token\nstate_dir: state\n"+rest)
}

const echo = `commands:
  - name: echo
    help: says it again
    args: [{name: text, pattern: '[a-z ]+', rest: true}]
    argv: [go, env, "{text}"]
`

func execute(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	var out, errOut bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errOut)
	err = root.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

func TestCheck(t *testing.T) {
	t.Parallel()
	path := file(t, "https://skadi.example.com", echo)
	out, _, err := execute(t.Context(), "check", "-c", path)
	want := "The file is right. An agent of https://skadi.example.com that can do:\n  echo TEXT... → go\n"
	if err != nil || out != want {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}

	folder := filepath.Join(t.TempDir(), "none")
	path = file(t, "https://skadi.example.com", strings.Replace(echo, "[go,", "[/no/such/program,", 1)+"    dir: "+folder+"\n")
	_, _, err = execute(t.Context(), "check", "-c", path)
	if err == nil || !strings.Contains(err.Error(), `the command "echo" runs in `+folder+`, which is no folder`) {
		t.Errorf("got %v", err)
	}
	path = file(t, "https://skadi.example.com", strings.Replace(echo, "[go,", "[/no/such/program,", 1))
	_, _, err = execute(t.Context(), "check", "-c", path)
	if err == nil || !strings.Contains(err.Error(), "runs /no/such/program, which is no program that can be run here") {
		t.Errorf("got %v", err)
	}
	_, _, err = execute(t.Context(), "check", "-c", path+"x")
	if !errors.Is(err, os.ErrNotExist) || status(io.Discard, err) != exitFailed {
		t.Errorf("got %v", err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	f := agenttest.New()
	server := httptest.NewServer(f)
	defer server.Close()
	path := file(t, server.URL, "handler: {argv: [go, version]}\n")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	type end struct {
		log string
		err error
	}
	done := make(chan end, 1)
	go func() {
		_, log, err := execute(ctx, "run", "-c", path)
		done <- end{log, err}
	}()
	j := f.Final(t, f.Push("anything"))
	if j.Report.Status != "succeeded" || !strings.HasPrefix(*j.Report.Output, "go version") {
		t.Errorf("%s: %q", j.Report.Status, *j.Report.Output)
	}
	stop()
	e := <-done
	if e.err != nil {
		t.Errorf("run: %v", e.err)
	}
	for _, want := range []string{"agentd starts", "agentd has stopped"} {
		if !strings.Contains(e.log, want) {
			t.Errorf("the log has no %q:\n%s", want, e.log)
		}
	}
	if strings.Contains(e.log, agenttest.Token) {
		t.Errorf("the log has the token:\n%s", e.log)
	}
}

func TestRemovedAgentHasACodeOfItsOwn(t *testing.T) {
	t.Parallel()
	f := agenttest.New()
	f.Update(func(st *agenttest.State) { st.Removed = true })
	server := httptest.NewServer(f)
	defer server.Close()
	_, _, err := execute(t.Context(), "run", "-c", file(t, server.URL, "handler: {argv: [go]}\n"))
	if !errors.Is(err, agent.ErrRemoved) || status(io.Discard, err) != exitRemoved {
		t.Errorf("got %v", err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", "extra"}, {"check", "--no-such-flag"}, {"nonsense"}} {
		if _, _, err := execute(t.Context(), args...); status(io.Discard, err) != exitUsage {
			t.Errorf("%q: %v", args, err)
		}
	}
	out, _, err := execute(t.Context(), "--version")
	if err != nil || !strings.HasPrefix(out, "agentd ") || !strings.HasSuffix(out, ", "+runtime.GOOS+"/"+runtime.GOARCH+")\n") {
		t.Errorf("got %q, %v", out, err)
	}
}
