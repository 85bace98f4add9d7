package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// programs are the binaries that are measured.
type programs struct {
	skadi, agentd string
}

// build builds the programs as they are released.
func build(ctx context.Context, dir string) (programs, error) {
	p := programs{skadi: filepath.Join(dir, "skadi"), agentd: filepath.Join(dir, "agentd")}
	where := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/letserverrun/skadi")
	root, err := where.Output()
	if err != nil {
		return p, fmt.Errorf("looking for Skadi's sources (the bench runs in its own folder): %w", err)
	}
	for _, one := range []struct{ to, pkg string }{{p.skadi, "."}, {p.agentd, "./agentd"}} {
		c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", one.to, one.pkg) //nolint:gosec // our own sources
		c.Dir = strings.TrimSpace(string(root))
		if out, err := c.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go build %s: %w\n%s", one.pkg, err, out)
		}
	}
	return p, nil
}

// node is one `skadi serve` on a folder of its own.
type node struct {
	*process
	programs programs
	addr     string
	config   string
	admin    string // an admin's token
}

// newNode prepares a node in dir. backing is the part of the config that says
// where jobs and events are kept; there may be some already.
func newNode(ctx context.Context, p programs, dir, backing string) (*node, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	n := &node{programs: p, addr: addr, config: filepath.Join(dir, "skadi.yaml")}
	config := fmt.Sprintf("listen: %s\n%s\n", addr, backing)
	if err := os.WriteFile(n.config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	if n.admin, err = n.tool(ctx, "tokens", "create", fmt.Sprintf("bench-%d", time.Now().UnixNano()), "--role", "admin"); err != nil {
		return nil, err
	}
	return n, nil
}

const databaseName = "skadi.db"

// embedded is the backing of a node that keeps everything in dir.
func embedded(dir string) string {
	return fmt.Sprintf("store: {driver: sqlite, path: %q}", filepath.Join(dir, databaseName))
}

// tool runs one of skadi's commands on the node's database.
func (n *node) tool(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, n.programs.skadi, append(args, "-c", n.config)...) //nolint:gosec // our own program
	out, err := c.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("skadi %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// agent makes an agent and returns its token.
func (n *node) agent(ctx context.Context, name string) (token string, err error) {
	return n.tool(ctx, "agents", "create", name)
}

// serve starts the node and waits until it is ready.
func (n *node) serve(ctx context.Context) error {
	p, err := start(io.Discard, nil, n.programs.skadi, "serve", "-c", n.config)
	if err != nil {
		return err
	}
	n.process = p
	err = p.until(ctx, "skadi serve", func() error { return n.ready(ctx) })
	if err != nil {
		return errors.Join(err, p.stop())
	}
	return nil
}

func (n *node) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("not ready: status %d: %s", resp.StatusCode, text)
	}
	return nil
}

// benchAgent is the agent that jobs are pushed for.
const benchAgent = "bench"

// served is a node that serves with one agent.
type served struct {
	*node
	agentName, agentToken string
}

// serveNew starts a node with one agent that keeps everything in dir.
func serveNew(ctx context.Context, p programs, dir string) (*served, error) {
	return serveOn(ctx, p, dir, embedded(dir), benchAgent)
}

// serveOn starts a node with one agent on some backing.
func serveOn(ctx context.Context, p programs, dir, backing, agent string) (*served, error) {
	n, err := newNode(ctx, p, dir, backing)
	if err != nil {
		return nil, err
	}
	token, err := n.agent(ctx, agent)
	if err != nil {
		return nil, err
	}
	if err := n.serve(ctx); err != nil {
		return nil, err
	}
	return &served{node: n, agentName: agent, agentToken: token}, nil
}

// load describes a load on the node.
func (s *served) load(jobs, rate int, confirm bool, stateDir string) skadiLoad {
	return skadiLoad{
		Addr: s.addr, AgentAddr: s.addr, AdminToken: s.admin, AgentToken: s.agentToken, Agent: s.agentName,
		Jobs: jobs, Conns: 64, Rate: rate, Confirm: confirm, StateDir: stateDir,
		Pollers: plainPollers, PollMax: plainMax,
	}
}

// How a plain agent polls: one poll after the other, as many jobs as there are.
const (
	plainPollers = 1
	plainMax     = 500
)
