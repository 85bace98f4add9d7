//go:build unix

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// slackAPI is as much of Slack's Web API as two accounts need to log in and to
// answer: https://docs.slack.dev/apis/web-api
type slackAPI struct {
	*httptest.Server

	mu sync.Mutex
	// revoked are tokens that are refused.
	revoked map[string]bool
	// posted are the texts of messages, by the token that posted them.
	posted map[string][]string
	// logins counts auth.test by token.
	logins map[string]int
	// away ends each connection without an answer.
	away bool
}

func startSlackAPI(t *testing.T, revoked ...string) *slackAPI {
	t.Helper()
	s := &slackAPI{revoked: map[string]bool{}, posted: map[string][]string{}, logins: map[string]int{}}
	for _, token := range revoked {
		s.revoked[token] = true
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *slackAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		panic(http.ErrAbortHandler)
	}
	if err := r.ParseForm(); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.Form.Get("token")
	}
	answer := map[string]any{"ok": true, "team_id": "T0123", "user_id": "U0999", "bot_id": "B0999", "ts": "1700000000.000200", "channel": "C0123"}
	switch method := strings.TrimPrefix(r.URL.Path, "/api/"); {
	case s.revoked[token]:
		answer = map[string]any{"ok": false, "error": "token_revoked"}
	case method == "auth.test":
		s.logins[token]++
	case method == "chat.postMessage":
		s.posted[token] = append(s.posted[token], r.Form.Get("text")+r.Form.Get("blocks"))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// allow makes a token work again.
func (s *slackAPI) allow(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.revoked, token)
}

func (s *slackAPI) saidBy(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.posted[token], "\n")
}

// mention has Slack deliver a message that mentions the bot of an account.
func mention(t *testing.T, server, account, secret, id string) (status int, answer string) {
	t.Helper()
	return mentionBy(t, server, account, secret, id, "U0456")
}

// mentionBy is mention by a certain user.
func mentionBy(t *testing.T, server, account, secret, id, user string) (status int, answer string) {
	t.Helper()
	now := fmt.Sprint(time.Now().Unix())
	body := fmt.Sprintf(`{"type":"event_callback","team_id":"T0123","api_app_id":"A0123","event_id":"%s","event_time":%s,`+
		`"authorizations":[{"team_id":"T0123","user_id":"U0999","is_bot":true}],`+
		`"event":{"type":"app_mention","user":"%s","team":"T0123","text":"<@U0999> whoami","ts":"%s.000100","event_ts":"%s.000100","channel":"C0123"}}`,
		id, now, user, now, now)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/adapters/"+account+"/events", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, "v0:"+now+":"+body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Slack-Request-Timestamp", now)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// serveAccounts runs a server of these lines of config, and returns its address
// and the file of an admin's token. A test that fails shows its log.
func serveAccounts(t *testing.T, config string) (p *process, server, admin string) {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "skadi.yaml")
	writeText(t, file, "listen: 127.0.0.1:0\n"+config)
	p, server = serveText(t, file)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.out.text())
		}
	})
	admin = filepath.Join(folder, "admin.token")
	writeText(t, admin, token(t, "tokens", "create", "root", "--role", "admin", "-c", file))
	return p, server, admin
}

// TestOneAccountWithABadToken runs a server with two accounts, of which one's
// token was revoked: the other works, everybody can see which one does not and
// why, no secret is shown, and it recovers when its token works again.
func TestOneAccountWithABadToken(t *testing.T) {
	t.Parallel()
	const good, bad, secret = "xoxb-good-hunter2", "xoxb-bad-hunter2", "signing-hunter2"
	far := startSlackAPI(t, bad)
	account := func(name, token string) string {
		return fmt.Sprintf("  - {name: %s, kind: slack, mode: http, bot_token: %s, signing_secret: %s, api_url: '%s/api/'}\n", name, token, secret, far.URL)
	}
	p, server, admin := serveAccounts(t, "log: {level: debug}\nadapters:\n"+account("well", good)+account("revoked", bad)+
		"access: {rules: [{who: ['well:*', 'revoked:*'], agents: ['*'], see: true}]}\n")
	accounts := func(code int) map[string]agentapi.Account {
		t.Helper()
		var list agentapi.AccountList
		decode(t, skadi(t, "accounts", "--json", "--server", server, "--token-file", admin).expect(t, code).stdout, &list)
		byName := map[string]agentapi.Account{}
		for _, a := range list.Accounts {
			byName[a.Name] = a
		}
		return byName
	}
	unready := func() string {
		_, text := fetch(t, server+"/readyz")
		return text
	}

	eventually(t, "the account is found out", func() bool { return strings.Contains(unready(), `"unhealthy_accounts":["revoked"]`) })
	if status, _ := fetch(t, server+"/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d", status)
	}
	eventually(t, "the other account logs in", func() bool { return accounts(1)["well"].State == "healthy" })
	all := accounts(1)
	if a := all["revoked"]; a.State != "unhealthy" || !strings.Contains(a.Error, "token_revoked") || !strings.Contains(a.Error, "bot_token") {
		t.Errorf("%+v", a)
	}
	if a := all["well"]; a.State != "healthy" || a.Error != "" {
		t.Errorf("%+v", a)
	}
	table := skadi(t, "accounts", "--server", server, "--token-file", admin).expect(t, 1).stdout
	contains(t, table, "NAME", "revoked", "unhealthy", "token_revoked", "well", "healthy")

	// The other account takes messages and answers.
	if status, answer := mention(t, server, "well", secret, "Ev1"); status != http.StatusOK {
		t.Fatalf("the account that works answered %d %s", status, answer)
	}
	eventually(t, "the answer is posted", func() bool { return strings.Contains(far.saidBy(good), "U0456") })

	// The one that does not is clear about it, until it does.
	eventually(t, "the account refuses", func() bool {
		status, _ := mention(t, server, "revoked", secret, "Ev2")
		return status == http.StatusServiceUnavailable
	})
	far.allow(bad)
	eventually(t, "the account recovers", func() bool { return !strings.Contains(unready(), "unhealthy") })
	if a := accounts(0)["revoked"]; a.State != "healthy" || a.Restarts == 0 {
		t.Errorf("%+v", a)
	}
	if status, answer := mention(t, server, "revoked", secret, "Ev2"); status != http.StatusOK {
		t.Errorf("the account that recovered answered %d %s", status, answer)
	}
	eventually(t, "the answer is posted", func() bool { return strings.Contains(far.saidBy(bad), "U0456") })
	contains(t, p.out.text(), "account=revoked", "token_revoked")
	if log := p.out.text() + table + unready(); strings.Contains(log, "hunter2") {
		t.Errorf("a secret is shown:\n%s", log)
	}
}

// TestAccountsOutOfReach runs a server with two accounts that never connected:
// Slack does not answer, and the mail server's port speaks no TLS. Everybody can
// see that they do not work, and the one works by itself once it can.
func TestAccountsOutOfReach(t *testing.T) {
	t.Parallel()
	far := startSlackAPI(t)
	far.away = true
	port := speechless(t)
	p, server, admin := serveAccounts(t, fmt.Sprintf(`adapters:
  - {name: chat, kind: slack, mode: http, bot_token: xoxb-hunter2, signing_secret: signing-hunter2, api_url: '%s/api/'}
  - {name: inbox, kind: email, address: skadi@example.com,
     imap: {host: 127.0.0.1, port: %s, username: skadi, password: hunter2},
     smtp: {host: 127.0.0.1, port: %s, username: skadi, password: hunter2}}
access: {rules: [{who: ['chat:*'], agents: ['*'], see: true}]}
`, far.URL, port, port))
	ready := func() string {
		_, text := fetch(t, server+"/readyz")
		return text
	}
	eventually(t, "both are found out", func() bool { return strings.Contains(ready(), `"unhealthy_accounts":["chat","inbox"]`) })
	table := skadi(t, "accounts", "--server", server, "--token-file", admin).expect(t, 1).stdout
	for name, why := range map[string]string{"chat": "EOF", "inbox": "TLS"} {
		if !regexp.MustCompile(name + ` .*unhealthy .*` + why).MatchString(table) {
			t.Errorf("it does not say why %s does not work:\n%s", name, table)
		}
	}
	_, metrics := fetch(t, server+"/metrics")
	contains(t, metrics, `skadi_account_healthy{account="chat",kind="slack"} 0`, `skadi_account_healthy{account="inbox",kind="email"} 0`)
	far.mu.Lock()
	far.away = false
	far.mu.Unlock()
	eventually(t, "the one recovers", func() bool { return strings.Contains(ready(), `"unhealthy_accounts":["inbox"]`) })
	log := p.out.text()
	if n := strings.Count(log, "the account does not work"); n != 2 {
		t.Errorf("the log says %d times that an account does not work, want it once for each", n)
	}
	contains(t, log, "the account works again")
	if strings.Contains(log+table+ready(), "hunter2") {
		t.Error("a secret is shown")
	}
}

// speechless is the port of a server that says what nobody understands.
func speechless(t *testing.T) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "what?\r\n")
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// fetch gets a page that needs no token.
func fetch(t *testing.T, url string) (status int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(body)
}
