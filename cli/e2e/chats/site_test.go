//go:build unix

package chats

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// site is a server with its state in a folder of its own, and one agent.
type site struct {
	t      *testing.T
	dir    string
	addr   string // where the server listens, also after a restart
	config string
	server *programs.Program
	agentd *programs.Program
	client *agentapi.Client // with an admin's token
}

// agentName is the agent of a site.
const agentName = "web-1"

// script is what the agent runs. It notes its job before anything else. The
// word "wait" prints a line and then waits for the test, see [site.release].
const script = `printf '%s\n' "$SKADI_JOB_ID" >>"$1/runs"
case "$2" in
wait) printf 'waiting %s\n' "$3"; while [ ! -e "$1/$3.go" ]; do sleep 0.05; done ;;
long) i=0; while [ $i -lt 2000 ]; do printf 'line %d of %s\n' $i "$3"; i=$((i+1)); done ;;
esac
printf 'done %s\n' "$3"
[ "$2" != fail ]
`

const agentConfig = `server: http://%s
token_file: token
state_dir: %q
concurrency: 8
commands:
  - name: run
    help: notes that it ran, and prints "done KEY"
    argv: [sh, %[3]q, %[4]q, "{how}", "{key}"]
    args:
      - {name: how, enum: [now, wait, long, fail]}
      - {name: key, pattern: "[a-z0-9-]+"}
`

// newSite makes a site whose server is not started yet. The adapters are
// entries of the config's list, indented by two blanks; rules are entries of
// the list of access rules, in brackets.
func newSite(t *testing.T, adapters, rules string) *site {
	t.Helper()
	dir := t.TempDir()
	return newSiteOn(t, dir, fmt.Sprintf("store: {driver: sqlite, path: %q}", filepath.Join(dir, "skadi.db")), adapters, rules)
}

// newSiteOn is newSite in a folder, with these lines for the store and the queue.
func newSiteOn(t *testing.T, dir, store, adapters, rules string) *site {
	t.Helper()
	s := &site{t: t, dir: dir, addr: throwaway.Address(t)}
	s.config = filepath.Join(s.dir, "skadi.yaml")
	s.write("skadi.yaml", fmt.Sprintf(`listen: %s
public_url: http://%[1]s
log: {level: debug}
times: {offer: 2s} # so that a killed server's offers are soon made again
%s
adapters:
%s
access: {rules: %s}
`, s.addr, store, strings.TrimRight(adapters, "\n"), rules))
	client, err := agentapi.NewClient(agentapi.ClientConfig{
		Server: "http://" + s.addr, Token: s.skadi("tokens", "create", "test", "--role", "admin", "-c", s.config),
	})
	programs.Must(t, err)
	t.Cleanup(client.CloseIdle)
	s.client = client

	s.write("token", s.skadi("agents", "create", agentName, "-c", s.config))
	s.write("run.sh", script)
	s.write("agentd.yaml", fmt.Sprintf(agentConfig, s.addr, filepath.Join(s.dir, "agentd"), filepath.Join(s.dir, "run.sh"), s.dir))
	s.server = programs.New(t, s.dir, "server", "skadi", "serve", "-c", s.config)
	s.agentd = programs.New(t, s.dir, "agentd", "agentd", "run", "-c", filepath.Join(s.dir, "agentd.yaml"))
	return s
}

// start starts the server and the agent, and waits until the agent is online.
func (s *site) start() {
	s.t.Helper()
	s.startServer()
	s.agentd.Start()
	s.online()
}

// startServer starts the server and waits until it serves.
func (s *site) startServer() {
	s.t.Helper()
	s.server.Start()
	programs.Ready(s.t, s.addr)
}

// online waits until the agent is.
func (s *site) online() {
	s.t.Helper()
	programs.Online(s.t, s.client, agentName)
}

// newest waits until the newest message to somebody has all of the words.
func newest[P any](t *testing.T, who string, posts func() []P, text func(P) string, words []string) (p P) {
	t.Helper()
	programs.Eventually(t, fmt.Sprintf("%q for %s", words, who), func(context.Context) error {
		all := posts()
		if len(all) == 0 {
			return fmt.Errorf("%s got nothing", who)
		}
		p = all[len(all)-1]
		for _, word := range words {
			if !strings.Contains(text(p), word) {
				return fmt.Errorf("%q is not in %q", word, text(p))
			}
		}
		return nil
	})
	return p
}

// release lets the jobs "run wait KEY" go on.
func (s *site) release(key string) { s.write(key+".go", "") }

// executions returns how often each job began to run, by its ID.
func (s *site) executions() map[string]int {
	s.t.Helper()
	return programs.Executions(s.t, filepath.Join(s.dir, "runs"))
}

// jobs returns all jobs, the newest first.
func (s *site) jobs() []agentapi.Job {
	s.t.Helper()
	return programs.Jobs(s.t, s.client)
}

// settled waits until there are so many jobs and all are final, and checks that
// each was executed once unless it never came to the agent.
func (s *site) settled(want int) []agentapi.Job {
	s.t.Helper()
	var jobs []agentapi.Job
	programs.Eventually(s.t, fmt.Sprintf("%d final jobs", want), func(context.Context) error {
		jobs = s.jobs()
		open := 0
		for _, j := range jobs {
			if !j.Final() {
				open++
			}
		}
		if len(jobs) < want || open > 0 {
			return fmt.Errorf("there are %d, and %d are open", len(jobs), open)
		}
		return nil
	})
	if len(jobs) != want {
		s.t.Errorf("%d jobs, want %d", len(jobs), want)
	}
	runs := s.executions()
	for _, j := range jobs {
		if once := j.SentAt != nil; runs[j.ID] > 1 || once != (runs[j.ID] == 1) {
			s.t.Errorf("job %s %q is %s %s and ran %d times", j.ID, j.Message, j.Status, j.Reason, runs[j.ID])
		}
	}
	return jobs
}

// skadi runs a command to its end and returns what it printed.
func (s *site) skadi(args ...string) string {
	s.t.Helper()
	return programs.Skadi(s.t, s.dir, args...)
}

func (s *site) write(name, text string) {
	s.t.Helper()
	programs.Must(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}
