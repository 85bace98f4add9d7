//go:build unix

package command_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/agentd/agent"
	"github.com/letserverrun/skadi/agentd/agent/agenttest"
	"github.com/letserverrun/skadi/agentd/command"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs an agent with the commands against a fake server.
func serve(t *testing.T, specs ...*command.Spec) *agenttest.Server {
	t.Helper()
	f := agenttest.New()
	server := httptest.NewServer(f)
	a, err := agent.New(agent.Config{
		Server: server.URL, Token: agenttest.Token, StateDir: t.TempDir(), DrainTimeout: -1,
		Redact: []string{"hunter2"}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs {
		s.Register(a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return f
}

func templates(t *testing.T, names []string, texts ...string) []command.Template {
	t.Helper()
	var all []command.Template
	for _, text := range texts {
		tmpl, err := command.NewTemplate(text, names)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tmpl)
	}
	return all
}

func any1(t *testing.T) command.Rule {
	t.Helper()
	p, err := command.NewPattern(`.*`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCommands(t *testing.T) {
	t.Setenv("SKADI_TEST_SECRET", "not for programs")
	t.Setenv("SKADI_TEST_PASSED", "passed on")
	text := []command.Arg{{Name: "text", Rule: any1(t)}}
	names := []string{"text"}
	f := serve(
		t,
		&command.Spec{Name: "echo", Args: text, Argv: templates(t, names, "/bin/echo", "got: {text}")},
		&command.Spec{Name: "read", Args: text, Argv: templates(t, nil, "/bin/cat"), Stdin: templates(t, names, "in: {text}")[0]},
		&command.Spec{Name: "code", Script: `echo out; exit 5`},
		&command.Spec{Name: "args", Script: `printf '[%s]' "$#" "$@" "$SKADI_MESSAGE"`},
		&command.Spec{Name: "typed", Script: `printf '[%s]' "$1" "$SKADI_ARG_TEXT"`, Args: text},
		&command.Spec{
			Name: "env", Argv: templates(t, nil, "/usr/bin/env"), PassEnv: []string{"SKADI_TEST_PASSED"},
			Env: map[string]command.Template{"OWN": command.Plain("{own}")},
		},
		&command.Spec{Name: "slow", Script: "echo begun; sleep 100", Timeout: 200 * time.Millisecond, Grace: time.Second},
		&command.Spec{Name: "killed", Script: "kill -9 $$"},
		&command.Spec{Name: "gone", Argv: templates(t, nil, "/no/such/program")},
		&command.Spec{Name: "leak", Script: "printf 'hun'; printf 'ter2\\n'"},
		&command.Spec{Name: "much", Script: "head -c 100000 /dev/zero | tr '\\0' x", OutputLimit: 2000},
		&command.Spec{Name: "bytes", Script: `printf 'a\377b\033[31mred\033[0m\n'`},
	)
	for _, tc := range []struct{ message, status, reason, output string }{
		{`echo "$(id) ; x"`, "succeeded", "", "got: $(id) ; x\n"},
		{"echo one two", "failed", "bad_argument", "There are too many words, from \"two\" on.\nUsage: echo TEXT"},
		{"echo -n", "failed", "bad_argument", "text must not begin with a dash: \"-n\"\nUsage: echo TEXT"},
		{"echo 'open", "failed", "bad_argument", "the quotation mark ' at position 1 is not closed.\nUsage: echo TEXT"},
		{"read {text}", "succeeded", "", "in: {text}"},
		{"code", "failed", "", "out\n"},
		{"args 'a b' $HOME `id`", "succeeded", "", "[3][a b][$HOME][`id`][args 'a b' $HOME `id`]"},
		{"typed $(id)", "succeeded", "", "[$(id)][$(id)]"},
		{"killed", "failed", "", "ended by the signal SIGKILL"},
		{"gone", "failed", "not_started", "/no/such/program could not be started: there is no such program on this server"},
		{"leak", "succeeded", "", "***\n"},
		{"bytes", "succeeded", "", "a\uFFFDbred\n"},
		{"slow", "failed", "timeout", "begun\nstopped after 200ms, which is as long as this command may run"},
	} {
		r := f.Final(t, f.Push(tc.message)).Report
		if r.Status != tc.status || r.Reason != tc.reason || *r.Output != tc.output {
			t.Errorf("%q: %s (%s) %q, want %s (%s) %q", tc.message, r.Status, r.Reason, *r.Output, tc.status, tc.reason, tc.output)
		}
	}
	r := f.Final(t, f.Push("code")).Report
	if r.ExitCode == nil || *r.ExitCode != 5 {
		t.Errorf("exit code %v", r.ExitCode)
	}
	r = f.Final(t, f.Push("much")).Report
	if n := len(*r.Output); n > 2000 || n < 1800 || !r.Truncated || !strings.Contains(*r.Output, "bytes left out") {
		t.Errorf("%d bytes of output, truncated %v", n, r.Truncated)
	}
	env := strings.Split(*f.Final(t, f.Push("env")).Report.Output, "\n")
	for _, want := range []string{"SKADI_TEST_PASSED=passed on", "OWN={own}", "SKADI_SENDER_NAME=Ada", "SKADI_ATTEMPT=1", "PATH=" + os.Getenv("PATH")} {
		if !slices.Contains(env, want) {
			t.Errorf("the environment has no %s: %q", want, env)
		}
	}
	if slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, "SKADI_TEST_SECRET") }) {
		t.Error("the environment of agentd reached a program")
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := serve(t, &command.Spec{Argv: templates(t, nil, "/bin/sh", "-c", `printf '%s/%s: ' "$SKADI_JOB_ID" "$SKADI_SENDER_ID"; cat; pwd`), Dir: dir})
	j := f.Final(t, f.Push("any 'thing \n at all"))
	if want := j.ID + "/terminal:ada: any 'thing \n at all" + dir + "\n"; *j.Report.Output != want {
		t.Errorf("got %q, want %q", *j.Report.Output, want)
	}
	f.Look(func(st *agenttest.State) {
		if len(st.Commands) != 1 || !st.Commands[0].Open {
			t.Errorf("the server was told of %+v", st.Commands)
		}
	})
}

func TestCancelStopsTheProgram(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	f := serve(t, &command.Spec{
		Name: "wait", Grace: 5 * time.Second, Args: nil,
		Script: "trap 'echo stopping; echo x > " + mark + "; exit 0' TERM; echo begun; while :; do sleep 0.05; done",
	})
	id := f.Push("wait")
	f.Await(t, "it to begin", func(st *agenttest.State) bool { return len(st.Jobs[id].Output) > 0 })
	f.Cancel(id)
	r := f.Final(t, id).Report
	if r.Status != "canceled" || !strings.Contains(*r.Output, "stopping") {
		t.Errorf("%s: %q", r.Status, *r.Output)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error("the program was not asked to stop")
	}
}
