package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// examined runs `skadi doctor --json` on a config, which may begin with files
// in its folder.
func examined(t *testing.T, text string, files map[string]string) (code int, report diagnosis) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		mode := os.FileMode(0o600)
		if strings.HasPrefix(name, "open-") {
			mode = 0o644
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "skadi.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = Main(adapters.Factories(), []string{"doctor", "--json", "-c", file}, strings.NewReader(""), &out, &errs)
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	for _, secret := range []string{"hunter2", "xoxb-"} {
		if strings.Contains(out.String()+errs.String(), secret) {
			t.Errorf("a secret is shown:\n%s%s", out.String(), errs.String())
		}
	}
	if (code == 0) != report.OK {
		t.Errorf("exit code %d, and ok is %t", code, report.OK)
	}
	return code, report
}

// wantFinding fails the test unless a check found that, with advice if it is
// not fine.
func wantFinding(t *testing.T, r diagnosis, check string, level chat.Level, text string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check && f.Level == level && strings.Contains(f.Text, text) {
			return
		}
	}
	t.Errorf("no %s of %s with %q in:\n%+v", level, check, text, r.Findings)
}

func certificateFor(t *testing.T, host string, until time.Time) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", private)
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer xoxb-good-hunter2" {
			_, _ = w.Write([]byte(`{"ok":false,"error":"token_revoked"}`))
			return
		}
		_, _ = w.Write([]byte(`{"ok":true,"team":"Club","team_id":"T1","user_id":"U1"}`))
	}))
	t.Cleanup(far.Close)
	account := func(name, token string) string {
		return "  - {name: " + name + ", kind: slack, mode: http, bot_token: " + token + ", signing_secret: hunter2, api_url: '" + far.URL + "'}\n"
	}
	t.Run("all well", func(t *testing.T) {
		t.Parallel()
		code, r := examined(t, "store: {path: skadi.db}\nadapters:\n"+account("well", "'${file:token}'"), map[string]string{"token": "xoxb-good-hunter2\n"})
		// A test's folder may be in memory, which is an error for a database.
		if code != 0 && fragile(os.TempDir()) != inMemory {
			t.Errorf("exit code %d: %+v", code, r.Findings)
		}
		for check, text := range map[string]string{
			"version": "skadi", "config": "is fine", "clock": "no database yet", "database": "not there yet", "redis": "none", "certificate": "none",
			"secrets": "1 files", "public_url": "not set", "account": "the bot U1",
		} {
			wantFinding(t, r, check, chat.Fine, text)
		}
	})
	t.Run("much is wrong", func(t *testing.T) {
		t.Parallel()
		cert, key := certificateFor(t, "other.example.com", time.Now().Add(-time.Hour))
		_, r := examined(t, "listen: 127.0.0.1:0\npublic_url: https://localhost:1\ntls: {cert: cert.pem, key: open-key.pem}\nadapters:\n"+
			account("well", "'${file:open-token}'")+account("revoked", "xoxb-bad-hunter2"),
			map[string]string{"cert.pem": cert, "open-key.pem": key, "open-token": "xoxb-good-hunter2", "skadi.db": "no database, by far"})
		wantFinding(t, r, "certificate", chat.Wrong, "it ran out on")
		wantFinding(t, r, "certificate", chat.Wrong, "not for the host of public_url")
		wantFinding(t, r, "secrets", chat.Doubtful, "open-key.pem")
		wantFinding(t, r, "secrets", chat.Doubtful, "open-token")
		wantFinding(t, r, "account", chat.Wrong, "token_revoked")
		wantFinding(t, r, "account", chat.Fine, "the bot U1")
		wantFinding(t, r, "database", chat.Wrong, "not a SQLite database")
		wantFinding(t, r, "public_url", chat.Doubtful, "nothing answers")
		wantFinding(t, r, "config", chat.Doubtful, "a secret stands in the file")
	})
	t.Run("accounts of WeChat", func(t *testing.T) {
		t.Parallel()
		tencent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path != "/cgi-bin/stable_token" && r.URL.Path != "/cgi-bin/gettoken" {
				t.Errorf("%s is called, which may spend a token", r.URL.Path)
			}
			if body, _ := io.ReadAll(r.Body); strings.Contains(string(body)+r.URL.RawQuery, "bad-hunter2") {
				_, _ = w.Write([]byte(`{"errcode":40125,"errmsg":"invalid appsecret bad-hunter2"}`))
				return
			}
			_, _ = w.Write([]byte(`{"access_token":"token-hunter2","expires_in":7200}`))
		}))
		t.Cleanup(tencent.Close)
		key := "encoding_aes_key: " + strings.Repeat("hunter2", 6) + "A, token: hunter2, api_url: '" + tencent.URL + "'}\n"
		code, r := examined(t, "adapters:\n"+
			"  - {name: follow, kind: wechat, account: official, app_id: wx0123456789abcdef, app_secret: good-hunter2, "+key+
			"  - {name: stale, kind: wechat, account: official, app_id: wx0123456789abcdee, app_secret: bad-hunter2, "+key+
			"  - {name: corp, kind: wechat, account: wecom, corp_id: ww0123456789abcdef, agent_id: 7, secret: good-hunter2, "+key+
			"  - {name: robot, kind: wechat, account: robot, webhook_url: '"+tencent.URL+"/cgi-bin/webhook/send?key=hunter2'}\n"+
			"  - {name: builds, kind: webhook, provider: github, secrets: [hunter2-hunter2-hunter2-hunter2], rules: [{on: {event: push}, send: web-1 deploy}]}\n", nil)
		if code != 1 {
			t.Errorf("exit code %d", code)
		}
		wantFinding(t, r, "account", chat.Fine, "WeChat gives out an access token for wx0123456789abcdef")
		wantFinding(t, r, "account", chat.Wrong, "40125")
		wantFinding(t, r, "account", chat.Fine, "WeCom gives out an access token")
		wantFinding(t, r, "account", chat.Untried, "without a message in the robot's group")
		wantFinding(t, r, "account", chat.Untried, "kind webhook")
	})
	t.Run("no config", func(t *testing.T) {
		t.Parallel()
		_, r := examined(t, "listn: x\n", nil)
		wantFinding(t, r, "config", chat.Wrong, `"listen"`)
		wantFinding(t, r, "config", chat.Wrong, "skadi.yaml:1:")
		if len(r.Findings) != 2 {
			t.Errorf("%+v", r.Findings)
		}
	})
	t.Run("a folder that is not there", func(t *testing.T) {
		t.Parallel()
		_, r := examined(t, "store: {path: nowhere/skadi.db}\n", nil)
		wantFinding(t, r, "disk", chat.Wrong, "not there")
	})
}

func TestDoctorOfServers(t *testing.T) {
	t.Parallel()
	dsn := throwaway.MariaDB(t).Database(t)
	r := throwaway.Redis(t, "--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru", "--appendonly", "no", "--save", "")
	_, report := examined(t, "store: {driver: mysql, dsn: '${file:dsn}'}\nqueue: {driver: redis, addrs: ['"+r.Addr+"']}\n", map[string]string{"dsn": dsn})
	wantFinding(t, report, "database", chat.Fine, "brought from version 0")
	wantFinding(t, report, "redis", chat.Fine, "version ")
	wantFinding(t, report, "redis", chat.Doubtful, "allkeys-lru")
	wantFinding(t, report, "redis", chat.Doubtful, "nothing on disk")
	_, report = examined(t, "store: {driver: mysql, dsn: 'u:hunter2@tcp(127.0.0.1:1)/x'}\nqueue: {driver: redis, addrs: ['127.0.0.1:1'], password: hunter2}\n", nil)
	wantFinding(t, report, "database", chat.Wrong, "127.0.0.1:1")
	wantFinding(t, report, "redis", chat.Wrong, "127.0.0.1:1")
	wantFinding(t, report, "clock", chat.Doubtful, "not compared")
}

// TestChecksThatHang has one check never come back: it is told, and the
// others too.
func TestChecksThatHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		all := runChecks(t.Context(), []check{
			{name: "hangs", find: func(context.Context) []chat.Finding { <-release; return nil }},
			{name: "patient", find: func(ctx context.Context) []chat.Finding {
				<-ctx.Done()
				return []chat.Finding{found(chat.Wrong, "", "over")}
			}},
		}, time.Minute)
		if len(all[0]) != 1 || !strings.Contains(all[0][0].Text, "did not end") || all[1][0].Text != "over" {
			t.Errorf("%+v", all)
		}
		close(release)
	})
}

func TestConfigCheckLive(t *testing.T) {
	t.Parallel()
	far := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(far.Close)
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	text := "adapters: [{name: a, kind: slack, mode: http, bot_token: xoxb-hunter2, signing_secret: hunter2, api_url: '" + far.URL + "'}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"", "--json"} {
		var out, errs bytes.Buffer
		args := []string{"config", "check", "-c", file}
		if code := Main(adapters.Factories(), append(args, strings.Fields(more)...), strings.NewReader(""), &out, &errs); code != 0 {
			t.Errorf("without --live: %d %s", code, errs.String())
		}
		out.Reset()
		args = append(args, "--live")
		code := Main(adapters.Factories(), append(args, strings.Fields(more)...), strings.NewReader(""), &out, &errs)
		if code != exitFailed || !strings.Contains(out.String(), "bot_token") || strings.Contains(out.String(), "hunter2") {
			t.Errorf("with --live: %d %s %s", code, out.String(), errs.String())
		}
	}
}
