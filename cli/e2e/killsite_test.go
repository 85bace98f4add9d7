//go:build unix

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// killAgents are the agents that run jobs. Beside them there is "ghost", which
// checked in once and never comes back.
var killAgents = []string{"web-1", "web-2"}

// killScript is what the agents run: it notes its job before anything else.
const killScript = `printf '%s\n' "$SKADI_JOB_ID" >>"$1"
sleep "$3"
printf 'done %s\n' "$2"
`

// killAgentConfig is agentd's file, with the server, a folder, the script and
// the file of runs.
const killAgentConfig = `server: http://%s
token_file: token
state_dir: %s
concurrency: 6
commands:
  - name: run
    argv: [sh, %q, %q, "{key}", "{seconds}"]
    args:
      - {name: key, pattern: "p[0-9]+-[0-9]+"}
      - {name: seconds, pattern: "0\\.[0-9]+"}
`

// killSite is a server and its agents, whose processes can be killed.
type killSite struct {
	t       *testing.T
	client  *agentapi.Client
	runs    string // the file that the commands append to
	victims []*victim
}

// victim is a process that is killed and started anew.
type victim struct {
	*programs.Program
	kills int
}

func newKillSite(t *testing.T) *killSite {
	t.Helper()
	dir := t.TempDir()
	s := &killSite{t: t, runs: filepath.Join(dir, "runs")}
	addr := throwaway.Address(t)
	config := filepath.Join(dir, "skadi.yaml")
	write(t, config, fmt.Sprintf(`listen: %s
store: {driver: sqlite, path: %q}
times: {check_in: 1s, offline: 4s, offer: 2s, no_result: 5m}
`, addr, filepath.Join(dir, "skadi.db")))
	admin := strings.TrimSpace(skadi(t, "tokens", "create", "test", "--role", "admin", "-c", config).expect(t, 0).stdout)
	ghost := strings.TrimSpace(skadi(t, "agents", "create", "ghost", "-c", config).expect(t, 0).stdout)
	s.add(dir, "server", "skadi", "serve", "-c", config)

	script := filepath.Join(dir, "run.sh")
	write(t, script, killScript)
	for _, name := range killAgents {
		token := skadi(t, "agents", "create", name, "-c", config).expect(t, 0).stdout
		home := filepath.Join(dir, name)
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(home, "token"), token)
		own := filepath.Join(home, "agentd.yaml")
		write(t, own, fmt.Sprintf(killAgentConfig, addr, filepath.Join(home, "state"), script, s.runs))
		s.add(home, name, "agentd", "run", "-c", own)
	}
	s.client = client(t, addr, admin)
	s.start(addr, ghost)
	return s
}

func (s *killSite) add(dir, name string, argv ...string) {
	s.t.Helper()
	s.victims = append(s.victims, &victim{Program: programs.New(s.t, dir, name, argv...)})
}

// start starts everything and waits until every agent has checked in.
func (s *killSite) start(addr, ghost string) {
	s.t.Helper()
	for _, v := range s.victims {
		v.Start()
	}
	none := 0
	g := client(s.t, addr, ghost)
	programs.Eventually(s.t, "the ghost to check in", func(ctx context.Context) error {
		_, err := g.Poll(ctx, agentapi.PollRequest{Max: &none})
		return err
	})
	programs.Online(s.t, s.client, killAgents...)
}

// killing kills one process after the other at random moments and starts it
// anew.
func (s *killSite) killing(count int, random *rand.Rand) {
	s.t.Helper()
	for range count {
		programs.Pause(s.t.Context(), leastLife+time.Duration(random.Int64N(int64(mostLife-leastLife))))
		v := s.victims[random.IntN(len(s.victims))]
		v.Kill()
		v.kills++
		programs.Pause(s.t.Context(), time.Duration(random.Int64N(int64(mostDown))))
		v.Start()
	}
}

// drain waits until every job is final, or too long, and returns them all.
func (s *killSite) drain(l *killLoad) map[string]agentapi.Job {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for id := range maps.Values(l.acked) {
		for {
			// The server may just be starting after the last kill.
			j, err := s.client.Job(ctx, id, 30*time.Second)
			if err == nil && j.Final() || ctx.Err() != nil || notFound(err) {
				break
			}
			programs.Pause(ctx, 50*time.Millisecond)
		}
	}
	all := map[string]agentapi.Job{}
	for _, j := range programs.Jobs(s.t, s.client) {
		all[j.ID] = j
	}
	return all
}

// executions returns how often each job began to run.
func (s *killSite) executions() map[string]int {
	s.t.Helper()
	return programs.Executions(s.t, s.runs)
}

// killed says who was killed how often.
func (s *killSite) killed() string {
	var parts []string
	for _, v := range s.victims {
		parts = append(parts, fmt.Sprintf("%s killed %d times", v.Name, v.kills))
	}
	return strings.Join(parts, ", ")
}

func notFound(err error) bool {
	var p *agentapi.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

func client(t *testing.T, addr, token string) *agentapi.Client {
	t.Helper()
	c, err := agentapi.NewClient(agentapi.ClientConfig{Server: "http://" + addr, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, bytes.TrimLeft([]byte(text), "\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
