//go:build unix

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// receiver takes callbacks at an address of this machine that stands for one
// outside, and believes those that are signed.
type receiver struct {
	*httptest.Server
	secret string
	inside string // where it redirects /redirect

	mu     sync.Mutex
	fails  int // so many calls first
	bodies []string
	ids    []string
}

// outside is not what is refused, once the config lists it.
const outside = "127.0.0.2"

func startReceiver(t *testing.T, secret, inside string) *receiver {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", outside+":0")
	if err != nil {
		t.Skipf("this machine cannot listen at %s: %v", outside, err)
	}
	r := &receiver{secret: secret, inside: inside, fails: 1}
	r.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}}
	r.Start()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.URL.Path == "/redirect" {
		http.Redirect(w, q, r.inside, http.StatusTemporaryRedirect)
		return
	}
	body, _ := io.ReadAll(q.Body)
	id, at := q.Header.Get("Webhook-Id"), q.Header.Get("Webhook-Timestamp")
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, id)
	if r.fails > 0 {
		r.fails--
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if q.Header.Get("Webhook-Signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.bodies = append(r.bodies, string(body))
}

func (r *receiver) got() (bodies, ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.bodies...), append([]string{}, r.ids...)
}

// TestCallbacksReachNothingInside has a server told to call what only it can
// reach, in every disguise, and what it may call.
func TestCallbacksReachNothingInside(t *testing.T) {
	t.Parallel()
	const secret, hidden = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "hunter2"
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	_, port, err := net.SplitHostPort(inside.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far := startReceiver(t, secret, inside.URL+"/?token="+hidden)
	p, url, file := startServe(t, "callbacks: {secrets: [\""+secret+"\"], allow: ["+outside+"]}\n"+
		"access: {rules: [{who: [\"token:ci\"], agents: [web-1], may: [status]}]}\n")
	ci := token(t, "tokens", "create", "ci", "--role", "push", "-c", file)
	_ = token(t, "agents", "create", "web-1", "-c", file)
	client, err := agentapi.NewClient(agentapi.ClientConfig{Server: url, Token: ci})
	if err != nil {
		t.Fatal(err)
	}
	push := func(callback string) (agentapi.Job, error) {
		return client.Push(t.Context(), agentapi.Push{Agent: "web-1", Message: "status", CallbackURL: callback}, agentapi.PushOptions{})
	}

	attacks := []string{
		"https://169.254.169.254/latest/meta-data/", "http://169.254.169.254/", "https://[fd00:ec2::254]/",
		"https://localhost:" + port + "/", "http://localhost:" + port + "/", "https://127.0.0.1:" + port + "/", "http://127.0.0.1:" + port + "/",
		"https://[::1]:" + port + "/", "https://[::]:" + port + "/", "https://0.0.0.0:" + port + "/",
		"https://[::ffff:127.0.0.1]:" + port + "/", "http://[::ffff:7f00:1]:" + port + "/", "https://[64:ff9b::7f00:1]:" + port + "/",
		"https://2130706433:" + port + "/", "https://0177.0.0.1:" + port + "/", "https://0x7f000001:" + port + "/", "https://127.1:" + port + "/",
		"https://user:" + hidden + "@ci.example.com/", "http://ci.example.com/?token=" + hidden, "file:///etc/passwd", "gopher://127.0.0.1:" + port + "/",
	}
	for _, attack := range attacks {
		_, err := push(attack)
		var problem *agentapi.Problem
		if !errors.As(err, &problem) || problem.Type != agentapi.ProblemInvalidValue || problem.Field != "callback_url" || !strings.Contains(problem.Detail, "the audit log has this as r-") {
			t.Errorf("%s: %v", attack, err)
			continue
		}
		code := problem.Detail[strings.LastIndex(problem.Detail, " ")+1:]
		contains(t, skadi(t, "jobs", "why", code, "-c", file).expect(t, 0).stdout, code, "token:ci", "refused")
	}

	// The agent is offline, so that jobs end at once.
	for _, path := range []string{"/done?token=" + hidden, "/redirect"} {
		if j, err := push(far.URL + path); err != nil || j.Status != "expired" {
			t.Fatal(j.Status, err)
		}
	}
	eventually(t, "the callback has come, after a failure", func() bool { bodies, _ := far.got(); return len(bodies) == 1 })
	bodies, ids := far.got()
	if len(ids) != 2 || ids[0] != ids[1] || ids[0] == "" {
		t.Errorf("the tries have the IDs %q", ids)
	}
	var m struct {
		Type string       `json:"type"`
		Data agentapi.Job `json:"data"`
	}
	if err := json.Unmarshal([]byte(bodies[0]), &m); err != nil || m.Type != "job.expired" || m.Data.Reason != "agent_offline" || m.Data.Agent != "web-1" {
		t.Errorf("%v: %s", err, bodies[0])
	}
	eventually(t, "the redirect was given up", func() bool {
		list := skadi(t, "undelivered", "-c", file).expect(t, 0).stdout
		return strings.Contains(list, "redirects are not followed") && strings.Contains(list, "expired")
	})
	if n := reached.Load(); n != 0 {
		t.Errorf("what is inside was called %d times", n)
	}
	if log := p.out.text(); strings.Contains(log, hidden) || strings.Contains(log, secret) {
		t.Errorf("the log shows a secret:\n%s", log)
	} else {
		contains(t, log, "a callback_url was refused", "redirects are not followed")
	}
}

// TestAgentsSpeakFirst has agents speak where they may and where they may not,
// and watches a channel being told that one goes and comes back.
func TestAgentsSpeakFirst(t *testing.T) {
	t.Parallel()
	const bot = "xoxb-speaks-hunter2"
	slack := startSlackAPI(t)
	p, url, file := startServe(t, "times: {check_in: 500ms, offline: 2s}\nadapters:\n"+
		"  - {name: work, kind: slack, mode: http, bot_token: "+bot+", signing_secret: hunter2, api_url: \""+slack.URL+"/api\"}\n"+
		"channels:\n  ops: {account: work, channel: C0123, agents: [\"web-*\"]}\n  dba: {account: work, channel: C0456, agents: [\"db-*\"]}\n"+
		"alerts: {offline: ops}\n")
	agentd := func(name string) (config, secret string) {
		secret = token(t, "agents", "create", name, "-c", file)
		folder := t.TempDir()
		writeText(t, filepath.Join(folder, "token"), secret+"\n")
		config = filepath.Join(folder, "agentd.yaml")
		writeText(t, config, "server: "+url+"\ntoken_file: token\nstate_dir: state\nhandler: {argv: [cat]}\n")
		return config, secret
	}
	say := func(config string, args ...string) result {
		return programIn(t, "agentd", "", nil, append([]string{"say", "-c", config}, args...)...)
	}
	web, secret := agentd("web-1")
	db, _ := agentd("db-1")
	say(web, "ops", "the disk of", "<!channel>", "is full").expect(t, 0)
	eventually(t, "it was said", func() bool { return strings.Contains(slack.saidBy(bot), "the disk of") })
	said := slack.saidBy(bot)
	contains(t, said, "web-1: the disk of")
	if strings.Contains(said, "<!channel>") {
		t.Errorf("what the agent said notifies everybody: %s", said)
	}
	for _, r := range []result{say(web, "dba", "hello"), say(db, "ops", "hello"), say(web, "nowhere", "hello"), say(web, "C0456", "hello")} {
		contains(t, r.expect(t, 1).stderr, "is open to the agent", "the audit log has this as r-")
	}
	contains(t, p.out.text(), "an agent wanted to speak where it may not")

	eventually(t, "its outage was told", func() bool { return slack.messagesWith(bot, "web-1 is offline: it was last seen") == 1 })
	// It stays until that was noticed: who is back for a moment only is not.
	eventually(t, "its return was told", func() bool {
		if status := poll(t, url, secret); status != http.StatusOK {
			t.Fatal(status)
		}
		return slack.messagesWith(bot, "web-1 is online again, after") == 1
	})
	eventually(t, "the next outage was told", func() bool { return slack.messagesWith(bot, "web-1 is offline: it was last seen") == 2 })
	if strings.Contains(slack.saidBy(bot), "hello") {
		t.Error("something was said where it may not be")
	}
}

// messagesWith counts the messages that a token posted with a text.
func (s *slackAPI) messagesWith(token, text string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.posted[token] {
		if strings.Contains(m, text) {
			n++
		}
	}
	return n
}
