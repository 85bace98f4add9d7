package official

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// journal is a log in memory.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) lines(part string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.b.String()) {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// idle makes an account that is not run, with its log.
func idle(t *testing.T, now func() time.Time, change func(*Config)) (*Adapter, *journal) {
	t.Helper()
	log := &journal{}
	cfg := Config{AppID: farApp, AppSecret: farSecret, Token: farWord, EncodingAESKey: farKey}
	if change != nil {
		change(&cfg)
	}
	a, err := New(cfg, chat.Env{
		Account: chattest.Account, Clock: now, Logger: slog.New(slog.NewTextHandler(log, nil)), KV: &memory{}, Lease: &memory{},
		Inbox: inbox(func(chat.Inbound) error { return errors.New("nothing is to be stored") }),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, log
}

// Whoever calls without a right to fills no log, and what they say stays out of
// it.
func TestStrangersFillNoLog(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, log := idle(t, func() time.Time { return now }, nil)
	call := func(method, target, body string, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
		if w.Code != want || strings.Contains(w.Body.String(), "echo") {
			t.Errorf("%s %.40s was answered with %d %s", method, target, w.Code, w.Body)
		}
	}
	for range 100 {
		call(http.MethodPost, "/callback?timestamp=1&nonce=2&msg_signature=3", "<xml><Encrypt>x</Encrypt></xml>", http.StatusForbidden)
		call(http.MethodGet, "/callback?timestamp=1&nonce=2&signature=3&echostr=echo", "", http.StatusForbidden)
		call(http.MethodPost, "/callback", "not XML", http.StatusBadRequest)
	}
	if n := log.lines("a call was refused"); n != 1 {
		t.Errorf("the log has %d lines of it", n)
	}
	now = now.Add(2 * time.Minute)
	call(http.MethodPost, "/callback", "", http.StatusBadRequest)
	if n := log.lines("a call was refused"); n != 2 {
		t.Errorf("two minutes later the log has %d lines of it", n)
	}
}

// A signed test of the address whose echo is a page is not shown to a browser.
func TestEcho(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a, _ := idle(t, func() time.Time { return now }, nil)
	f := &weChat{clock: func() time.Time { return now }}
	for echo, want := range map[string]int{
		"5838479218127813673": http.StatusOK, "a_B-9": http.StatusOK,
		"": http.StatusBadRequest, "%3Cscript%3E": http.StatusBadRequest, "1&echostr=2": http.StatusBadRequest,
		strings.Repeat("1", 129): http.StatusBadRequest,
	} {
		r := f.request("")
		r.Method, r.URL.RawQuery = http.MethodGet, r.URL.RawQuery+"&echostr="+echo
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		if w.Code != want || want == http.StatusOK && w.Body.String() != echo {
			t.Errorf("%.30q was answered with %d %s", echo, w.Code, w.Body)
		}
	}
}

// An account in plain mode says so, and takes nothing that is forged or comes
// with another text under the same signature.
func TestPlainMode(t *testing.T) {
	t.Parallel()
	a, log := idle(t, time.Now, func(c *Config) { c.Plain, c.EncodingAESKey = true, "" })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil || log.lines("not encrypted") != 1 {
		t.Errorf("Run: %v; the log says %s", err, log.b.String())
	}
	f := &weChat{clock: time.Now, plain: true, said: map[chattest.Message]string{}}
	at := time.Now().Unix()
	first := f.signed(f.event("VIEW", "1"), strconv.FormatInt(at, 10), "17", farWord)
	second := f.signed(f.event("VIEW", "2"), strconv.FormatInt(at, 10), "17", farWord)
	forged := f.signed(f.event("VIEW", "1"), strconv.FormatInt(at, 10), "18", "another")
	for i, c := range []struct {
		r    *http.Request
		want int
	}{{first, http.StatusOK}, {second, http.StatusForbidden}, {forged, http.StatusForbidden}} {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, c.r)
		if w.Code != c.want {
			t.Errorf("%d: it was answered with %d, want %d", i, w.Code, c.want)
		}
	}
	// Whatever a call says of itself, an account with a key takes no plain text.
	safe, _ := idle(t, time.Now, nil)
	w := httptest.NewRecorder()
	safe.Handler().ServeHTTP(w, f.request(f.event("VIEW", "1")))
	if w.Code != http.StatusBadRequest {
		t.Errorf("plain text was answered with %d", w.Code)
	}
}
