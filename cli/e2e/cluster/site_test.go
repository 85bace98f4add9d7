//go:build unix

package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/cluster/room"
	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// siteConfig is the file of one node: its address, name, the store's data
// source name, the queue's keys and the file of replies.
const siteConfig = `listen: %s
node: {name: %s}
store: {driver: mysql, dsn: %q}
queue: {driver: redis, %s}
times: {check_in: 1s, offline: 1m, offer: 5s, no_result: 10m}
adapters: [{name: room, kind: room, file: %q}]
access: {rules: [{who: ["room:*"], agents: ["*"], may: ["**"]}]}
`

// siteAgents run the jobs.
var siteAgents = []string{"web-1", "web-2"}

// siteScript is what the agents run: it notes its job before anything else.
const siteScript = `printf '%s\n' "$SKADI_JOB_ID" >>"$1"
sleep "$3"
printf 'done %s\n' "$2"
`

const siteAgentConfig = `server: http://%s
token_file: token
state_dir: %s
concurrency: 6
commands:
  - name: run
    argv: [sh, %q, %q, "{key}", "{seconds}"]
    args:
      - {name: key, pattern: "[a-z0-9-]+"}
      - {name: seconds, pattern: "0\\.[0-9]+"}
`

// node is a server.
type node struct {
	*programs.Program
	addr string
}

// site is some nodes behind a balancer, and two agents.
type site struct {
	t        *testing.T
	dir      string
	config   string // of one of the nodes, for commands
	nodes    []*node
	balancer *balancer
	token    string // an admin's
	client   *agentapi.Client
	http     *http.Client
	runs     string // the file that the commands append to
	replies  string // the file that the replies are in
}

// newSite starts n nodes on a database and a queue, and the agents, and waits
// until these are online. queue is the rest of the config's queue block.
func newSite(t *testing.T, n int, dsn, queue string) *site {
	t.Helper()
	s := newNodes(t, n, func(s *site, addr, name string) string {
		return fmt.Sprintf(siteConfig, addr, name, dsn, queue, s.replies)
	})
	script := filepath.Join(s.dir, "run.sh")
	write(t, script, siteScript)
	for _, name := range siteAgents {
		s.addAgent(name, script)
	}
	programs.Online(t, s.client, siteAgents...)
	return s
}

// newNodes starts n nodes, each with a config of its own, and waits until they
// are ready.
func newNodes(t *testing.T, n int, configOf func(s *site, addr, name string) string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{
		t: t, dir: dir, balancer: newBalancer(t), http: &http.Client{Timeout: 5 * time.Second},
		runs: filepath.Join(dir, "runs"), replies: filepath.Join(dir, "replies"),
	}
	t.Cleanup(s.http.CloseIdleConnections)
	for i := range n {
		addr, name := throwaway.Address(t), "node-"+strconv.Itoa(i+1)
		s.config = filepath.Join(dir, name+".yaml")
		write(t, s.config, configOf(s, addr, name))
		server := programs.New(t, dir, name, "skadi", "serve", "-c", s.config)
		s.nodes = append(s.nodes, &node{Program: server, addr: addr})
		s.balancer.add(addr)
	}
	s.token = programs.Skadi(t, dir, "tokens", "create", "test", "--role", "admin", "-c", s.config)
	s.client = s.clientOf(s.balancer.addr())
	for _, node := range s.nodes {
		node.Start()
	}
	for _, node := range s.nodes {
		programs.Ready(t, node.addr)
	}
	return s
}

func (s *site) addAgent(name, script string) {
	s.t.Helper()
	home := s.newAgent(name)
	own := filepath.Join(home, "agentd.yaml")
	write(s.t, own, fmt.Sprintf(siteAgentConfig, s.balancer.addr(), filepath.Join(home, "state"), script, s.runs))
	programs.New(s.t, s.dir, name, "agentd", "run", "-c", own).Start()
}

// newAgent makes an agent known, and a folder for it with its token.
func (s *site) newAgent(name string) (home string) {
	s.t.Helper()
	home = filepath.Join(s.dir, name)
	programs.Must(s.t, os.Mkdir(home, 0o700))
	write(s.t, filepath.Join(home, "token"), programs.Skadi(s.t, s.dir, "agents", "create", name, "-c", s.config)+"\n")
	return home
}

// clientOf is a client with an admin's token of what listens at an address.
func (s *site) clientOf(addr string) *agentapi.Client {
	s.t.Helper()
	c, err := agentapi.NewClient(agentapi.ClientConfig{Server: "http://" + addr, Token: s.token})
	programs.Must(s.t, err)
	s.t.Cleanup(c.CloseIdle)
	return c
}

// killNode kills a node, as a power cut would; its clients see their
// connections end.
func (s *site) killNode(node *node) {
	s.t.Helper()
	node.Kill()
	s.balancer.takeOut(node.addr)
}

func (s *site) startNode(node *node) {
	s.t.Helper()
	node.Start()
	s.balancer.takeIn(node.addr)
}

// say sends a message into a conversation and reports whether it was
// acknowledged.
func (s *site) say(ctx context.Context, m room.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return s.call(ctx, http.MethodPost, s.balancer.addr(), "/adapters/room/", body)
}

func (s *site) call(ctx context.Context, method, addr, path string, body []byte) error {
	q, err := http.NewRequestWithContext(ctx, method, "http://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	a, err := s.http.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	text, _ := io.ReadAll(a.Body)
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, a.Status, text)
	}
	return nil
}

// jobs returns all jobs.
func (s *site) jobs() []agentapi.Job {
	s.t.Helper()
	return programs.Jobs(s.t, s.client)
}

// executions returns how often each job began to run.
func (s *site) executions() map[string]int {
	s.t.Helper()
	return programs.Executions(s.t, s.runs)
}

// told returns the replies in the order in which they were sent.
func (s *site) told() []room.Reply {
	s.t.Helper()
	data, err := os.ReadFile(s.replies)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	programs.Must(s.t, err)
	var all []room.Reply
	for line := range bytes.Lines(data) {
		var r room.Reply
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		programs.Must(s.t, json.Unmarshal(line, &r))
		all = append(all, r)
	}
	return all
}

// redisQueue is the queue block of the config for one Redis.
func redisQueue(r *throwaway.RedisServer) string { return "addrs: [" + strconv.Quote(r.Addr) + "]" }

func quoted(addrs []string) string {
	var list []string
	for _, a := range addrs {
		list = append(list, strconv.Quote(a))
	}
	return "addrs: [" + strings.Join(list, ", ") + "]"
}

func write(t *testing.T, path, text string) {
	t.Helper()
	programs.Must(t, os.WriteFile(path, []byte(text), 0o600))
}
