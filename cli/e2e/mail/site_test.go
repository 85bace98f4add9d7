//go:build unix

package mail

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// site is mail servers, nodes of Skadi that read a mailbox there, and one agent.
type site struct {
	t       *testing.T
	dir     string
	keys    keys
	dovecot *throwaway.DovecotServer
	postfix *throwaway.PostfixServer
	nodes   []*node
	agentd  *programs.Program
	client  *agentapi.Client // of the last node, with an admin's token
}

type node struct {
	*programs.Program
	addr, config string
}

const nodeConfig = `listen: %s
node: {name: %s}
log: {level: debug}
times: {offer: 2s} # so that a killed server's offers are soon made again
store: %s
adapters:
  - name: job-inbox
    kind: email
    address: %s
    imap: {host: 127.0.0.1, port: %s, ca_file: %q, password: %q}
    smtp: {host: 127.0.0.1, port: %s, ca_file: %q}
    dns: %s
    rate: 100000
access: {rules: [{who: ["job-inbox:ada@example.org"], agents: [web-1], may: ["**"]}]}
`

// script is what the agent runs. It notes its job before anything else.
const script = `printf '%s\n' "$SKADI_JOB_ID" >>"$1/runs"
printf 'done %s\n' "$2"
`

const agentConfig = `server: http://%s
token_file: token
state_dir: %q
concurrency: 8
commands:
  - name: run
    help: notes that it ran, and prints "done KEY"
    argv: [sh, %[3]q, %[4]q, "{key}"]
    args:
      - {name: key, pattern: "[a-z0-9-]+"}
`

// newSite starts the mail servers and prepares so many nodes on a store. The
// agent is the last node's.
func newSite(t *testing.T, nodes int, store string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), keys: newKeys(t)}
	s.dovecot = throwaway.Dovecot(t, inbox, ada, eve)
	s.postfix = throwaway.Postfix(t, s.dovecot, inbox, ada, eve)
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i+1)
		n := &node{addr: throwaway.Address(t), config: filepath.Join(s.dir, name+".yaml")}
		where := store
		if where == "" {
			where = fmt.Sprintf("{driver: sqlite, path: %q}", filepath.Join(s.dir, "skadi.db"))
		}
		s.write(name+".yaml", fmt.Sprintf(nodeConfig, n.addr, name, where, inbox,
			portOf(s.dovecot.Addr), s.dovecot.CAFile, s.dovecot.Password(inbox), portOf(s.postfix.Submission), s.postfix.CAFile, s.keys.dns))
		n.Program = programs.New(t, s.dir, name, "skadi", "serve", "-c", n.config)
		s.nodes = append(s.nodes, n)
	}
	last := s.nodes[nodes-1]
	client, err := agentapi.NewClient(agentapi.ClientConfig{
		Server: "http://" + last.addr, Token: programs.Skadi(t, s.dir, "tokens", "create", "test", "--role", "admin", "-c", last.config),
	})
	programs.Must(t, err)
	t.Cleanup(client.CloseIdle)
	s.client = client
	s.write("token", programs.Skadi(t, s.dir, "agents", "create", "web-1", "-c", last.config))
	s.write("run.sh", script)
	s.write("agentd.yaml", fmt.Sprintf(agentConfig, last.addr, filepath.Join(s.dir, "agentd"), filepath.Join(s.dir, "run.sh"), s.dir))
	s.agentd = programs.New(t, s.dir, "agentd", "agentd", "run", "-c", filepath.Join(s.dir, "agentd.yaml"))
	return s
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func (s *site) write(name, text string) {
	s.t.Helper()
	programs.Must(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

// serve starts a node and waits until it serves.
func (s *site) serve(n *node) {
	s.t.Helper()
	n.Start()
	programs.Ready(s.t, n.addr)
}

// online waits until the agent is.
func (s *site) online() {
	s.t.Helper()
	programs.Online(s.t, s.client, "web-1")
}

// reads waits until a node reads the mailbox.
func (s *site) reads(n *node) {
	s.t.Helper()
	programs.Eventually(s.t, n.Name+" to read", func(context.Context) error {
		if !strings.Contains(n.Printed(), "reading mail") {
			return fmt.Errorf("it does not")
		}
		return nil
	})
}

// swaks sends a mail by that program to the mail server of the world, byte for
// byte. It has no line that begins with a dot.
func (s *site) swaks(raw []byte) {
	s.t.Helper()
	program := throwaway.Program(s.t, "swaks", "swaks")
	file := filepath.Join(s.t.TempDir(), "mail.eml")
	programs.Must(s.t, os.WriteFile(file, append(raw, ".\r\n"...), 0o600))
	cmd := exec.Command(program, "--server", s.postfix.Addr, "--from", ada, "--to", inbox, "--data", "@"+file, "--no-data-fixup", "--timeout", "30")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("swaks: %v\n%s", err, out)
	}
}

// send sends many mails there.
func (s *site) send(mails [][]byte) {
	s.t.Helper()
	c, err := smtp.Dial(s.postfix.Addr)
	programs.Must(s.t, err)
	defer func() { _ = c.Close() }()
	for _, raw := range mails {
		programs.Must(s.t, c.Mail(ada))
		programs.Must(s.t, c.Rcpt(inbox))
		w, err := c.Data()
		programs.Must(s.t, err)
		_, err = w.Write(raw)
		programs.Must(s.t, err)
		programs.Must(s.t, w.Close())
	}
	programs.Must(s.t, c.Quit())
}

// answers returns the mails that came to Ada, by the Message-ID that they
// answer.
func (s *site) answers() map[string][]*mail.Message {
	s.t.Helper()
	by := map[string][]*mail.Message{}
	for _, m := range arrived(s.t, s.dovecot.Maildir(ada)) {
		to := bare(m.Header.Get("In-Reply-To"))
		by[to] = append(by[to], m)
	}
	return by
}

// answered waits for the answer to a mail and returns it.
func (s *site) answered(id string, limit time.Duration) *mail.Message {
	s.t.Helper()
	var got *mail.Message
	programs.Within(s.t, limit, "the answer to "+id, func(context.Context) error {
		found := s.answers()[id]
		if len(found) == 0 {
			return fmt.Errorf("there is none")
		}
		got = found[0]
		return nil
	})
	return got
}

// textOf is the body of a mail, as it came.
func textOf(t *testing.T, m *mail.Message) string {
	t.Helper()
	all, err := io.ReadAll(m.Body)
	programs.Must(t, err)
	return string(all)
}

// runs is how often each job began to run, by its ID.
func (s *site) runs() map[string]int {
	s.t.Helper()
	return programs.Executions(s.t, filepath.Join(s.dir, "runs"))
}

// jobs returns all jobs, the newest first.
func (s *site) jobs() []agentapi.Job {
	s.t.Helper()
	return programs.Jobs(s.t, s.client)
}
