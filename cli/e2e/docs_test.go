//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"go/format"
	"go/parser"
	gotoken "go/token"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// root is the repository as this package sees it.
const root = "../.."

// documents are the ones whose blocks are run, in this order within each.
var documents = []string{
	"README.md", "docs/quickstart.md", "docs/agents.md", "docs/access.md", "docs/config.md",
	"docs/http-api.md", "docs/operations.md", "docs/nodes.md", "docs/mysql.md", "docs/events.md", "docs/exit-codes.md", "docs/states.md", "docs/writing-an-adapter.md",
	"docs/slack.md", "docs/teams.md", "docs/wechat.md", "docs/wechat.zh.md", "docs/email.md", "docs/ci.md", "docs/callbacks.md",
	"docs/metrics.md", "docs/security.md", "docs/troubleshooting.md",
}

// notRun are the command lines that no test runs, and why.
var notRun = map[string]string{
	"make build": "TestMain has built the programs",
	"make test":  "runs this test",
	"cd docs/example-adapter && go test ./... && go run . config schema": "TestExampleAdapter does so",
	"skadi jobs why CODE -c /etc/skadi/skadi.yaml":                       "needs the code of a job; TestServe runs it with one",
	"systemctl start skadi":                                              "needs systemd; the server need not run for what comes after",
	`sqlite3 /var/lib/skadi/skadi.db ".backup '/var/backups/skadi.db'"`:  "needs sqlite3, which nothing else does",
}

// services are commands that run until they are stopped, and what they say
// once they work. The rest of a line is up to the document.
var services = []struct{ prefix, says string }{
	{"go run . up", "skadi>"},
	{"./dist/skadi up", "skadi>"},
	{"./dist/agentd run", "online"},
	{"agentd run", "online"},
	{"skadi serve", "serving"},
}

// TestDocumentation runs every block of the documentation: commands by bash,
// configs by the check of their program, Go by the compiler.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	for _, doc := range documents {
		t.Run(doc, func(t *testing.T) {
			t.Parallel()
			n := newNewcomer(t)
			if doc == "docs/nodes.md" {
				n.withServers()
			}
			for _, b := range blocksOf(t, doc) {
				n.follow(b)
			}
		})
	}
}

func TestDocumentationIsComplete(t *testing.T) {
	t.Parallel()
	known := strings.Join(documents, " ")
	files, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name := "docs/" + filepath.Base(f)
		// The agent made with curl has a test of its own.
		if !strings.Contains(known, name) && name != "docs/agent-with-curl.md" {
			t.Errorf("%s is in no test", name)
		}
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, doc := range documents {
		for _, m := range link.FindAllStringSubmatch(readText(t, filepath.Join(root, doc)), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
	}
}

// block is a fenced block of a document.
type block struct {
	at, lang, text string
}

func blocksOf(t *testing.T, doc string) []block {
	t.Helper()
	var blocks []block
	var b *block
	for i, line := range strings.Split(readText(t, filepath.Join(root, doc)), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && b == nil:
			b = &block{at: fmt.Sprintf("%s:%d", doc, i+1), lang: fence}
		case isFence:
			blocks = append(blocks, *b)
			b = nil
		case b != nil:
			b.text += line + "\n"
		}
	}
	if b != nil {
		t.Fatalf("%s: the block is not closed", b.at)
	}
	return blocks
}

// newcomer follows a document in a folder of their own.
type newcomer struct {
	t   *testing.T
	dir string
	env []string
	// up is the server of the document, started when it is first needed.
	up       *terminal
	replacer *strings.Replacer
	// serving is the server that the document started by its config.
	serving *process
	// dsn and redis are the servers of the document, if it needs real ones.
	dsn, redis string
}

// withServers gives the document a database and a Redis.
func (n *newcomer) withServers() {
	n.t.Helper()
	n.dsn = throwaway.MariaDB(n.t).Database(n.t)
	n.redis = throwaway.Redis(n.t, "--user", "skadi", "on", ">secret", "~skadi:*", "&skadi:*", "+@all").Addr
	n.env = append(n.env, "REDIS_PASSWORD=secret")
	n.replacer = strings.NewReplacer(n.places()...)
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{t: t, dir: t.TempDir()}
	if err := os.Symlink(programs.Dir(), filepath.Join(n.dir, "dist")); err != nil {
		t.Fatal(err)
	}
	n.env = environment(t, []string{
		"PATH=" + programs.Dir() + string(os.PathListSeparator) + os.Getenv("PATH"), "TERM=xterm-256color",
		"WECOM_SECRET=secret", "WECOM_TOKEN=secret", "WECOM_AES_KEY=jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
		"WECHAT_APP_SECRET=secret", "WECHAT_TOKEN=secret", "WECHAT_AES_KEY=jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
		"ROBOT_WEBHOOK=https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=secret",
		"TEAMS_APP_PASSWORD=secret", "SLACK_APP_TOKEN=xapp-1-A0123-1-secret", "SLACK_BOT_TOKEN=xoxb-secret", "SLACK_SIGNING_SECRET=secret",
		"GITHUB_WEBHOOK_SECRET=secret-of-github", "GITHUB_STATUS_TOKEN=ghp_secret", "BUILDS_SECRET=secret-of-builds",
		"SKADI_CALLBACK_SECRET=whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX",
		"INBOX_PASSWORD=secret", "INBOX_CLIENT_SECRET=secret", "GMAIL_CLIENT_SECRET=secret", "GMAIL_REFRESH_TOKEN=secret",
		"GOFLAGS=-buildvcs=false " + strings.Join(programs.BuildFlags, " "),
	})
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		n.env = append(n.env, name+"="+strings.TrimSpace(string(out)))
	}
	n.replacer = strings.NewReplacer(n.places()...)
	return n
}

// places are the paths of the documents as they are here.
func (n *newcomer) places() []string {
	in := func(name string) string { return filepath.Join(n.dir, name) }
	redis := n.redis
	if redis == "" {
		redis = "redis.example.com:6379"
	}
	return []string{
		"[redis.example.com:6379]", "[\"" + redis + "\"]",
		"https://skadi.example.com:8443", "https://localhost:8443",
		"/etc/skadi/skadi.yaml", in("skadi.yaml"),
		"/etc/skadi/web-1.token", in("web-1.token"),
		"/etc/skadi/tls/cert.pem", in("cert.pem"),
		"/etc/skadi/tls/key.pem", in("key.pem"),
		"/run/secrets/mysql_dsn", in("mysql_dsn"),
		"/var/lib/skadi/skadi.db", in("serve.db"),
		"/var/lib/agentd", in("agentd-state"),
		"/var/backups/skadi.db", in("backup.db"),
		"--data ./state", "--data " + in("state"),
		"0.0.0.0:8443", "127.0.0.1:0",
		`"wait_seconds": 50`, `"wait_seconds": 0`,
	}
}

// server starts `skadi up` for what the document does next, unless it did so
// itself, and makes the tokens that the document takes for granted.
func (n *newcomer) server() {
	n.t.Helper()
	if n.up != nil {
		return
	}
	file := filepath.Join(n.dir, "up.yaml")
	writeText(n.t, file, "store: {path: state/skadi.db}\n"+
		"access: {rules: [{who: [\"token:ci\"], agents: [\"*\"], may: [\"**\"]}]}\n")
	n.serve(startTTYIn(n.t, n.dir, n.env, programs.Path("skadi"),
		"up", "-c", file, "--data", filepath.Join(n.dir, "state"), "--listen", "127.0.0.1:0"))
}

func (n *newcomer) serve(up *terminal) {
	n.t.Helper()
	n.up = up
	m := listensOn.FindStringSubmatch(up.sees("opens it."))
	if m == nil {
		n.t.Fatalf("no address in the welcome:\n%s", up.out.text())
	}
	n.replacer = strings.NewReplacer(append(n.places(), "https://skadi.example.com", m[1], "http://127.0.0.1:8080", m[1])...)
	data := filepath.Join(n.dir, "state")
	n.env = append(n.env, "SKADI_SERVER="+m[1],
		"SKADI_TOKEN="+token(n.t, "tokens", "create", "everything", "--role", "admin", "--data", data),
		"AGENT_TOKEN="+token(n.t, "agents", "create", "web-7", "--data", data))
}

// follow does what a block says.
func (n *newcomer) follow(b block) {
	n.t.Helper()
	switch b.lang {
	case "sh":
		text := strings.ReplaceAll(b.text, "\\\n", " ")
		for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
			n.command(b.at, line)
		}
	case "yaml":
		n.yaml(b)
	case "go":
		n.goCode(b)
	case "text", "ini", "json", "js", "dockerfile": // js is run by the tests of core/queue/redis
	default:
		n.t.Errorf("%s: no test knows blocks of %q", b.at, b.lang)
	}
}

func (n *newcomer) command(at, line string) {
	n.t.Helper()
	if _, skip := notRun[line]; skip || strings.HasPrefix(line, "#") {
		return
	}
	if line == "systemctl stop skadi" {
		n.serving.signal(syscall.SIGTERM)
		if code, out := n.serving.ends(); code != 0 {
			n.t.Fatalf("%s: exit code %d:\n%s", at, code, out)
		}
		return
	}
	if strings.HasPrefix(line, "skadi reload ") {
		n.reload(at, line)
		return
	}
	for _, s := range services {
		if strings.HasPrefix(line, s.prefix) {
			n.service(at, line, s.says)
			return
		}
	}
	if strings.Contains(line, "go run") {
		n.bash(at, "cd "+absolute(n.t, root)+" && "+n.replacer.Replace(line))
		return
	}
	if strings.Contains(line, "push") || strings.Contains(line, "curl") || strings.Contains(line, "tokens revoke") ||
		strings.Contains(line, "skadi health") {
		n.server()
	}
	n.prepare(line)
	n.bash(at, n.replacer.Replace(line))
}

// servesAt is in the log of `skadi serve`.
var servesAt = regexp.MustCompile(`msg=serving address=(\S+)`)

// reload asks the server that the document started by its config, as somebody
// with an admin token.
func (n *newcomer) reload(at, line string) {
	n.t.Helper()
	address := servesAt.FindStringSubmatch(n.serving.sees("msg=serving"))
	if address == nil {
		n.t.Fatalf("%s: no server of the document says where it serves", at)
	}
	secret := token(n.t, "tokens", "create", "reloads", "--role", "admin", "-c", filepath.Join(n.dir, "skadi.yaml"))
	writeText(n.t, filepath.Join(n.dir, "admin.token"), secret+"\n")
	n.bash(at, strings.ReplaceAll(line, "https://skadi.example.com", address[1]))
}

// prepare makes what the documents take for granted: a config, and the token
// that is revoked.
func (n *newcomer) prepare(line string) {
	n.t.Helper()
	file := filepath.Join(n.dir, "skadi.yaml")
	if _, err := os.Stat(file); err != nil && strings.Contains(n.replacer.Replace(line), "skadi.yaml") {
		writeText(n.t, file, "listen: 127.0.0.1:0\nstore: {path: serve.db}\n")
	}
	if strings.Contains(line, "store copy") {
		writeText(n.t, filepath.Join(n.dir, "file.yaml"), "store: {path: serve.db}\n")
		n.bash("before "+line, "skadi tokens create before --role read -c file.yaml")
	}
}

func (n *newcomer) bash(at, script string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = n.dir, n.env
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %s\n%v\n%s", at, script, err, out)
	}
}

// service starts what runs on, and has it do something.
func (n *newcomer) service(at, line, says string) {
	n.t.Helper()
	words := strings.Fields(n.replacer.Replace(line))
	switch {
	case strings.HasPrefix(line, "go run"):
		c := startTTYIn(n.t, absolute(n.t, root), append(n.env, "XDG_STATE_HOME="+n.dir), words[0], words[1:]...)
		c.sees(says)
		c.types("local hello Ada")
		c.sees("Hello, Ada!")
		c.presses(ctrlC)
		if code, out := c.ends(); code != 0 {
			n.t.Fatalf("%s: exit code %d:\n%s", at, code, out)
		}
	case strings.Contains(line, "skadi up"):
		// The document's address may be taken here.
		n.serve(startTTYIn(n.t, n.dir, n.env, programs.Path("skadi"), append(words[1:], "--listen", "127.0.0.1:0")...))
	case strings.Contains(line, "agentd run"):
		n.agentd(says)
	default:
		n.prepare(line)
		n.serving = startIn(n.t, n.dir, n.env, programs.Path(filepath.Base(words[0])), words[1:]...)
		n.serving.sees(says)
	}
}

// agentd runs the document's agent and has it deploy something.
func (n *newcomer) agentd(says string) {
	n.t.Helper()
	n.server()
	n.writeAgentd()
	p := startIn(n.t, n.dir, n.env, programs.Path("agentd"), "run", "-c", filepath.Join(n.dir, "agentd.yaml"))
	p.sees(says)
	n.up.types("web-1 deploy v1.2.3")
	n.up.sees("  deploying v1.2.3")
	n.up.types("web-1 deploy everything")
	n.up.sees("✗")
}

// writeAgentd writes the config anew, since the server's address is known now.
func (n *newcomer) writeAgentd() {
	n.t.Helper()
	file := filepath.Join(n.dir, "agentd.yaml")
	writeText(n.t, file, n.replacer.Replace(readText(n.t, file)))
}

func (n *newcomer) yaml(b block) {
	n.t.Helper()
	if strings.HasPrefix(b.text, "display_information:") {
		return // of a Slack app: the tests of adapters/slack read it
	}
	if isPipeline(b.text) {
		n.pipeline(b)
		return
	}
	if strings.Contains(b.text, "server:") {
		writeText(n.t, filepath.Join(n.dir, "agentd.yaml"), n.replacer.Replace(b.text))
		if _, err := os.Stat(filepath.Join(n.dir, "web-1.token")); err != nil {
			writeText(n.t, filepath.Join(n.dir, "web-1.token"), "skd_none\n")
		}
		n.bash(b.at, programs.Path("agentd")+" check -c agentd.yaml")
		return
	}
	writeCertificate(n.t, n.dir)
	if n.dsn == "" {
		n.dsn = "skadi:password@tcp(db.example.com:3306)/skadi?tls=true"
	}
	writeText(n.t, filepath.Join(n.dir, "mysql_dsn"), n.dsn+"\n")
	file := "skadi.yaml"
	if strings.HasPrefix(b.text, "queue:") {
		file = "other.yaml" // an alternative, of which the next commands do not know
	}
	writeText(n.t, filepath.Join(n.dir, file), n.replacer.Replace(b.text))
	n.bash(b.at, programs.Path("skadi")+" config check -c "+file)
}

// goCode builds a whole program, and reads a piece of one.
func (n *newcomer) goCode(b block) {
	n.t.Helper()
	if !strings.HasPrefix(b.text, "package") {
		if _, err := parser.ParseFile(gotoken.NewFileSet(), "", "package x\n"+b.text, 0); err != nil {
			n.t.Errorf("%s: %v", b.at, err)
		}
		return
	}
	if formatted, err := format.Source([]byte(b.text)); err != nil || !bytes.Equal(formatted, []byte(b.text)) {
		n.t.Errorf("%s: not formatted (%v); want:\n%s", b.at, err, formatted)
	}
	dir := filepath.Join(n.dir, "program")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		n.t.Fatal(err)
	}
	sys := regexp.MustCompile(`golang.org/x/sys v\S+`).FindString(readText(n.t, filepath.Join(root, "go.mod")))
	writeText(n.t, filepath.Join(dir, "main.go"), b.text)
	writeText(n.t, filepath.Join(dir, "go.sum"), readText(n.t, filepath.Join(root, "go.sum")))
	writeText(n.t, filepath.Join(dir, "go.mod"), "module example.com/program\n\ngo 1.26\n\n"+
		"require github.com/letserverrun/skadi v0.0.0\n\nrequire "+sys+" // indirect\n\n"+
		"replace github.com/letserverrun/skadi => "+absolute(n.t, root)+"\n")
	n.bash(b.at, "cd program && go build -mod=mod -o /dev/null .")
}

func readText(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeText(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// writeCertificate writes cert.pem and key.pem, for this machine alone.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private},
	} {
		writeText(t, filepath.Join(dir, name), string(pem.EncodeToMemory(b)))
	}
}
