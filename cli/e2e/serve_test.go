//go:build unix

package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

var served = regexp.MustCompile(`"address":"(http://[0-9.:]+)"`)

// startServe runs `skadi serve` with more lines of config, and returns where
// it serves and the config.
func startServe(t *testing.T, more string) (p *process, url, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "skadi.yaml")
	writeText(t, file, "listen: 127.0.0.1:0\nlog: {format: json}\n"+more)
	p, url = serveFile(t, file)
	return p, url, file
}

// serveFile runs `skadi serve` on a config file whose log is JSON.
func serveFile(t *testing.T, file string) (p *process, url string) {
	t.Helper()
	return serveUntil(t, file, `"msg":"serving"`, served)
}

// serveText is serveFile for a log of text.
func serveText(t *testing.T, file string) (p *process, url string) {
	t.Helper()
	return serveUntil(t, file, "msg=serving", regexp.MustCompile(`address=(http://[0-9.:]+)`))
}

func serveUntil(t *testing.T, file, serving string, address *regexp.Regexp) (p *process, url string) {
	t.Helper()
	p = start(t, nil, "skadi", "serve", "-c", file)
	m := address.FindStringSubmatch(p.sees(serving))
	if m == nil {
		t.Fatalf("no address in the log:\n%s", p.out.text())
	}
	return p, m[1]
}

func TestServe(t *testing.T) {
	t.Parallel()
	p, url, file := startServe(t, "access: {rules: [{who: [\"token:ci\"], agents: [web-1], may: [status]}]}\n")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml"} {
		if status := get(t, url+path, "none"); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	ci := token(t, "tokens", "create", "ci", "--role", "push", "-c", file)
	agent := token(t, "agents", "create", "web-1", "-c", file)
	if status := poll(t, url, agent); status != http.StatusOK {
		t.Fatalf("the agent's poll: %d", status)
	}
	push := func(message string) int {
		return call(t, http.MethodPost, url+"/v1/jobs", ci, `{"agent":"web-1","message":"`+message+`"}`)
	}
	if status := push("status"); status != http.StatusCreated {
		t.Errorf("what a rule allows: %d", status)
	}
	r := skadiIn(t, "", []string{"SKADI_SERVER=" + url, "SKADI_TOKEN=" + ci}, "push", "web-1", "reboot").expect(t, 2)
	code := regexp.MustCompile(`r-[0-9a-z]{8}`).FindString(r.stderr)
	contains(t, skadi(t, "jobs", "why", code, "-c", file).expect(t, 0).stdout, code, "token:ci", "refused")

	// What it does alone is told from outside as it tells it itself.
	eventually(t, "the list of nodes names its duties", func() bool {
		return strings.Contains(skadi(t, "nodes", "-c", file).expect(t, 0).stdout, "relay replies retention sweep")
	})

	// A poll that waits is answered when the server stops.
	polled := make(chan error, 1)
	go func() {
		client, err := agentapi.NewClient(agentapi.ClientConfig{Server: url, Token: agent})
		if err == nil {
			none := 0
			_, err = client.Poll(t.Context(), agentapi.PollRequest{Max: &none, WaitSeconds: 55, Version: "waiting"})
		}
		polled <- err
	}()
	eventually(t, "the poll has begun", func() bool {
		return strings.Contains(skadi(t, "agents", "-c", file).expect(t, 0).stdout, "waiting")
	})
	p.signal(syscall.SIGTERM)
	exit, log := p.ends()
	if exit != 0 {
		t.Errorf("exit code %d:\n%s", exit, log)
	}
	contains(t, log, "stopping: nothing new is taken in")
	if err := <-polled; err != nil {
		t.Errorf("the poll that waited: %v", err)
	}
	for _, secret := range []string{ci, agent} {
		if strings.Contains(log, secret) {
			t.Error("the log shows a token")
		}
	}
}

// TestJobsThatWaitForApproval: the commands say so as the chat does.
func TestJobsThatWaitForApproval(t *testing.T) {
	t.Parallel()
	_, url, file := startServe(t, "access: {rules: [{who: [\"token:ci\"], agents: [web-1], may: [deploy], approval: [\"work:T1/boss\"]}]}\n")
	ci := token(t, "tokens", "create", "ci", "--role", "push", "-c", file)
	agent := token(t, "agents", "create", "web-1", "-c", file)
	if status := poll(t, url, agent); status != http.StatusOK {
		t.Fatalf("the agent's poll: %d", status)
	}
	r := skadiIn(t, "", []string{"SKADI_SERVER=" + url, "SKADI_TOKEN=" + ci}, "push", "web-1", "deploy").expect(t, 0)
	code := strings.TrimSpace(r.stdout)
	waits := "It waits for somebody else's `approve " + code + "` until "
	contains(t, r.stderr, "#"+code+" needs an approval. "+waits)
	contains(t, skadi(t, "jobs", "-c", file).expect(t, 0).stdout, "queuing, waiting for approval")
	contains(t, skadi(t, "jobs", "show", code, "-c", file).expect(t, 0).stdout, "queuing, waiting for approval", waits)
	contains(t, skadi(t, "jobs", "why", code, "-c", file).expect(t, 0).stdout, "It needs an approval.", waits)
	contains(t, skadi(t, "jobs", "why", code, "--json", "-c", file).expect(t, 0).stdout, `"next": "`+waits)
}

func TestServeShowsMetricsElsewhere(t *testing.T) {
	t.Parallel()
	p, url, _ := startServe(t, "metrics: {listen: \"127.0.0.1:0\"}\n")
	m := regexp.MustCompile(`"metrics":"(http://[0-9.:]+)"`).FindStringSubmatch(p.sees(`"msg":"serving"`))
	if m == nil {
		t.Fatalf("the log does not say where the metrics are:\n%s", p.out.text())
	}
	if status := get(t, url+"/metrics", "none"); status != http.StatusNotFound {
		t.Errorf("metrics on the main address: %d", status)
	}
	if status := get(t, m[1]+"/metrics", "none"); status != http.StatusOK {
		t.Errorf("metrics on their own address: %d", status)
	}
	p.signal(syscall.SIGINT)
	if code, log := p.ends(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, log)
	}
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	tests := []struct {
		name, config string
		stderr       []string
	}{
		{"an unknown key", "listn: 127.0.0.1:0\n", []string{"skadi.yaml:1:1", "listn", `"listen"`}},
		{"a missing secret", "listen: 127.0.0.1:0\nqueue: {driver: redis, addrs: [\"x:1\"], password: \"${env:NO_SUCH_SECRET}\"}\n", []string{"skadi.yaml:2:", "NO_SUCH_SECRET"}},
		{"all at once", "listen: nowhere\nretention: {jobs: soon}\n", []string{"skadi.yaml:1:", "skadi.yaml:2:"}},
		{"a rule that means nothing", "access: {rules: [{who: [\"group:nobody\"], agents: [\"*\"], may: [\"**\"]}]}\n", []string{"skadi.yaml:1:", "nobody"}},
		{"plain HTTP for all", "listen: 0.0.0.0:0\n", []string{"skadi.yaml:1:", "tls"}},
		{"a kind that is none", "listen: 127.0.0.1:0\nadapters: [{name: a, kind: termnal}]\n", []string{"skadi.yaml:2:", `"terminal"`}},
		{"an adapter's unknown key", "listen: 127.0.0.1:0\nadapters: [{name: a, kind: terminal, promt: x}]\n", []string{"skadi.yaml:2:", "promt", `"prompt"`}},
		{
			"an empty secret", "listen: 127.0.0.1:0\nadapters:\n  - {name: a, kind: slack, mode: http, bot_token: xoxb-1, signing_secret: \"\"}\n",
			[]string{"skadi.yaml:3:", "adapters[0].signing_secret: is empty"},
		},
		{
			"a name twice", "listen: 127.0.0.1:0\nadapters:\n  - {name: a, kind: terminal}\n  - {name: a, kind: terminal}\n",
			[]string{"skadi.yaml:4:", "is the name of adapters[0] too"},
		},
		{"a taken address", "listen: " + l.Addr().String() + "\n", []string{l.Addr().String(), "taken"}},
		{"a folder that is not there", "listen: 127.0.0.1:0\nstore: {path: nowhere/skadi.db}\n", []string{"nowhere"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "skadi.yaml")
			writeText(t, file, tt.config)
			contains(t, skadi(t, "serve", "-c", file).expect(t, 1).stderr, tt.stderr...)
		})
	}
	contains(t, skadi(t, "serve", "-c", "/nowhere/skadi.yaml").expect(t, 1).stderr, "/nowhere/skadi.yaml")
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	writeText(t, file, "listen: 127.0.0.1:0\naccess: {rules: [{who: [\"ghost:x\", \"token:ci\"], agents: [\"*\"], may: [\"run **\"]}]}\n")
	r := skadi(t, "config", "check", "-c", file).expect(t, 0)
	contains(t, r.stdout, "is fine", "1 access rule")
	contains(t, r.stderr, "warning:", "ghost")

	// An agent that hands text to a shell makes the wildcard worth a warning,
	// once the server has heard of it.
	_, url := serveText(t, file)
	agent := token(t, "agents", "create", "web-1", "-c", file)
	if status := call(t, http.MethodPost, url+"/v1/agent/poll", agent, `{"max":0,"commands":[{"name":"run","open":true}]}`); status != http.StatusOK {
		t.Fatalf("poll: %d", status)
	}
	r = skadi(t, "config", "check", "-c", file).expect(t, 0)
	contains(t, r.stderr, "rules[0].may[0]", "web-1", "shell")

	contains(t, skadi(t, "config", "check", "-c", filepath.Join(root, "skadi.yaml.example")).expect(t, 0).stdout, "is fine")

	writeText(t, file, "listn: 127.0.0.1:0\n")
	contains(t, skadi(t, "config", "check", "-c", file).expect(t, 1).stderr, file+":1:1")
}

func TestConfigSchema(t *testing.T) {
	t.Parallel()
	schema := skadi(t, "config", "schema").expect(t, 0).stdout
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	decode(t, schema, &s)
	if s.Properties["listen"] == nil || s.Properties["access"] == nil {
		t.Errorf("the schema lacks keys: %s", schema)
	}
	contains(t, schema, `"prompt"`) // a key of the terminal's own
}

func TestServeStandsByOnAFileThatIsInUse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "skadi.db")
	more := "store: {path: \"" + file + "\"}\n"
	first, _, _ := startServe(t, more)
	if log := first.out.text(); strings.Contains(log, "another server") {
		t.Errorf("the only one says:\n%s", log)
	}
	second, _, _ := startServe(t, more)
	contains(t, second.out.text(), `"level":"WARN"`, "another server works on this database", file)
}
