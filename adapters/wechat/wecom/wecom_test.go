package wecom

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// host is what an adapter gets: an inbox, values, and a clock that stands still
// until it is put forward.
type host struct {
	mu    sync.Mutex
	now   time.Time
	vals  map[string][]byte
	lease map[string]bool
	got   []chat.Inbound
	log   bytes.Buffer
}

func newHost() *host {
	return &host{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), vals: map[string][]byte{}, lease: map[string]bool{}}
}

func (h *host) Accept(_ context.Context, m chat.Inbound) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, m)
	return nil
}

func (h *host) Get(_ context.Context, key string) ([]byte, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.vals[key]
	return v, ok, nil
}

func (h *host) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vals[key] = value
	return nil
}

func (h *host) Delete(_ context.Context, key string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.vals, key)
	return nil
}

func (h *host) Acquire(_ context.Context, name string, _ time.Duration) (int64, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lease[name] {
		return 0, false, nil
	}
	h.lease[name] = true
	return 1, true, nil
}

func (h *host) Release(_ context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lease[name] = false
	return nil
}

func (h *host) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

func (h *host) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *host) forward(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (h *host) inbound() []chat.Inbound {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got
}

func (h *host) env(t *testing.T) chat.Env {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return chat.Env{
		Account: chattest.Account, Inbox: h, Clock: h.clock, KV: h, Lease: h,
		HTTP: &http.Client{Timeout: 20 * time.Second, Transport: transport}, Logger: slog.New(slog.NewTextHandler(h, nil)),
	}
}

// start starts a far side that needs no Run.
func start(t *testing.T, change ...func(f *weCom)) (*weCom, *host) {
	t.Helper()
	h := newHost()
	env := h.env(t)
	f := startWeCom(t, env)
	for _, c := range change {
		c(f)
	}
	f.Restart(t, env)
	close(f.loggedIn)
	f.tokens = 1
	return f, h
}

func to(user string) chat.ConversationRef { return conversation{User: user}.ref(chattest.Account) }

var (
	one = 1
	ada = chat.Sender{Account: chattest.Account, Workspace: farCorp, User: "ada.lovelace"}
)

// outbounds are messages of each kind.
var outbounds = map[string]chat.Outbound{
	"text": {ID: "1", Text: "Hello <a href=\"https://example.com\">you</a> & 你好\n"},
	"running": {ID: "2", Text: "▸ #k7f3q2 web-1 · deploy v1", Card: &chat.Card{
		Mark: chat.MarkRunning, Code: "k7f3q2", Agent: "web-1", Message: "deploy  v1\n", Asker: ada, Elapsed: 5 * time.Second,
		Buttons: []chat.Button{{Label: "Cancel", Command: "cancel k7f3q2", Danger: true}},
	}},
	"approval": {ID: "3", Text: "○ #k7f3q2 web-1 · deploy v1", Card: &chat.Card{
		Mark: chat.MarkWaiting, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1", Asker: ada, Note: "It waits for somebody to approve it.",
		Buttons: []chat.Button{{Label: "Approve", Command: "approve k7f3q2"}, {Label: "Deny", Command: "deny k7f3q2", Danger: true}},
	}},
	"failed": {ID: "4", Text: "✗ #k7f3q2 web-1 · deploy v1\nno such tag", Card: &chat.Card{
		Mark: chat.MarkFailed, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1", Asker: ada, Final: true, ExitCode: &one,
		Output: "no such tag\n", Elapsed: 1200 * time.Millisecond, Buttons: []chat.Button{{Label: "Run again", Command: "rerun k7f3q2"}},
	}},
	"long": {ID: "5", Text: "✓ #k7f3q2 web-1 · deploy v1\n" + strings.Repeat("a line\n", 40), Card: &chat.Card{
		Mark: chat.MarkSucceeded, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1", Asker: ada, Final: true,
		Output: strings.Repeat("a line\n", 40), Buttons: []chat.Button{{Label: "Run again", Command: "rerun k7f3q2"}},
	}},
	"no button": {ID: "6", Text: "✓ #k7f3q2 web-1 · deploy v1\nall is well", Card: &chat.Card{
		Mark: chat.MarkSucceeded, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1", Asker: ada, Final: true, Output: "all is well\n",
	}},
	"markup": {ID: "7", Text: "✓ #k7f3q2 web-1 · deploy v1\n[a](b)", Card: &chat.Card{
		Mark: chat.MarkSucceeded, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1", Asker: ada, Final: true, Output: "[a](b)",
	}},
}

var random = regexp.MustCompile(`skadi-[A-Z2-7]{26}`)

// golden compares what went over the wire with a file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "_")+".golden")
	got = random.ReplaceAll(got, []byte("skadi-RANDOM"))
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

func TestOnTheWire(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text", "markdown"} {
		for name, m := range outbounds {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				f, _ := start(t, func(f *weCom) { f.markdown = kind == "markdown" })
				m.To = to(farMember)
				ref, err := f.Now().Send(t.Context(), m)
				if err != nil || ref.ID != "msg-1" {
					t.Fatalf("Send: %+v, %v", ref, err)
				}
				var wire bytes.Buffer
				for _, p := range f.sent() {
					wire.Write(p.raw)
				}
				golden(t, "wire_"+kind+"_"+name, wire.Bytes())
			})
		}
	}
}

// TestSplit sends what grows beyond one message, fails in the middle, and goes
// on where it failed.
func TestSplit(t *testing.T) {
	t.Parallel()
	f, h := start(t)
	m := chat.Outbound{ID: "long", To: to(farMember), Text: strings.Repeat("\x01世", 500)} // 4 and 3 bytes
	good := map[string]any{"errcode": 0, "errmsg": "ok", "msgid": "first"}
	f.answersWith(good, fault(-1, "system busy"))
	if _, err := f.Now().Send(t.Context(), m); chat.Classify(err).Class != chat.Temporary {
		t.Fatalf("Send: %v", err)
	}
	ref, err := f.Now().Send(t.Context(), m)
	if err != nil || ref.ID != "first" {
		t.Fatalf("the second try: %+v, %v", ref, err)
	}
	var rest string
	for _, p := range f.sent() {
		rest += p.words()
	}
	all := strings.Repeat(`\x01世`, 500)
	if !strings.HasSuffix(all, rest) || len(rest) >= len(all) || len(rest) < len(all)-2048 {
		t.Errorf("after the first part came %d of %d bytes", len(rest), len(all))
	}
	if _, err := f.Now().Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	if n := len(f.sent()); n != 1 {
		t.Errorf("%d parts came, want the one that was left", n)
	}
	_ = h
}

// TestPace keeps below what WeCom throws away.
func TestPace(t *testing.T) {
	t.Parallel()
	f, h := start(t)
	send := func(id string) error {
		_, err := f.Now().Send(t.Context(), chat.Outbound{ID: id, To: to(farMember), Text: "hello"})
		return err
	}
	for range 30 {
		if err := send("a"); err != nil {
			t.Fatal(err)
		}
		h.forward(time.Second)
	}
	se := chat.Classify(send("b"))
	if se.Class != chat.RateLimited || se.RetryAfter <= 30*time.Second || se.RetryAfter > 40*time.Second {
		t.Fatalf("the 31st message: %v after %s", se, se.RetryAfter)
	}
	// Capitals in an ID make no other member.
	if _, err := f.Now().Send(t.Context(), chat.Outbound{To: to(strings.ToUpper(farMember)), Text: "hello"}); chat.Classify(err).Class != chat.RateLimited {
		t.Errorf("the same member in capitals: %v", err)
	}
	if _, err := f.Now().Send(t.Context(), chat.Outbound{To: to("somebody"), Text: "hello"}); chat.Classify(err).Class != chat.Gone {
		t.Errorf("somebody else: %v", err)
	}
	h.forward(se.RetryAfter)
	if err := send("b"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestReferencesOfOthers(t *testing.T) {
	t.Parallel()
	f, _ := start(t)
	for _, data := range []string{"", "null", "{}", `{"user":"@all"}`, `{"user":"ada|bob"}`, `{"user":"ada bob"}`, `{"user":7}`} {
		m := chat.Outbound{ID: "a", To: chat.ConversationRef{Data: []byte(data)}, Text: "hello"}
		if _, err := f.Now().Send(t.Context(), m); chat.Classify(err).Class != chat.Permanent {
			t.Errorf("%s: %v", data, err)
		}
	}
	if _, err := f.Now().Send(t.Context(), chat.Outbound{ID: "a", To: to(farMember), Text: "\n"}); chat.Classify(err).Class != chat.Permanent {
		t.Errorf("an empty message: %v", err)
	}
	if n := len(f.sent()); n != 0 {
		t.Errorf("%d messages went out", n)
	}
}

// TestTokenIsRenewedOnce has two nodes meet a token that ran out.
func TestTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	f, h := start(t)
	first := f.Now()
	f.Restart(t, h.env(t))
	nodes := []*Adapter{first, f.Now()}
	if _, err := first.Send(t.Context(), chat.Outbound{ID: "a", To: to(farMember), Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	before := f.given()
	f.expire()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := nodes[i%2].Send(t.Context(), chat.Outbound{To: to(farMember), Text: "hello"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := f.given() - before - 1; n != 1 {
		t.Errorf("%d tokens were given, want one", n)
	}
	for key, value := range h.vals {
		if bytes.Contains(value, []byte("t0ken-")) {
			t.Errorf("the token is readable at %s", key)
		}
	}
}

func TestGreetedOnce(t *testing.T) {
	t.Parallel()
	f, h := start(t)
	for range 3 {
		f.Join(t, 0)
		h.forward(24 * time.Hour)
	}
	got := h.inbound()
	if len(got) != 1 || !got[0].Joined || !got[0].Direct || got[0].Sender.Principal() != "work:"+farCorp+"/ada.lovelace" {
		t.Errorf("%d greetings: %+v", len(got), got)
	}
}

// TestClick shows what a click on a card is answered with, and that it counts
// once, also when it comes again.
func TestClick(t *testing.T) {
	t.Parallel()
	f, h := start(t)
	m := outbounds["approval"]
	m.To = to(farMember)
	if _, err := f.Now().Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := f.Click(t, "Deny", 0); !r.Taken {
			t.Fatal("the click was not taken")
		}
		h.forward(time.Second)
	}
	got := h.inbound()
	if len(got) != 2 || got[0].ID != got[1].ID || got[0].Text != "deny k7f3q2" {
		t.Errorf("it came as %+v", got)
	}
	if f.replaced[0] != "✓ deny" {
		t.Errorf("the button shows %q", f.replaced[0])
	}
}

// TestAddressIsTested has WeCom test the address as the console does.
func TestAddressIsTested(t *testing.T) {
	t.Parallel()
	f, h := start(t)
	echo := far.Seal("1616140317555161061")
	q := f.signed(echo, farWord, 0)
	q.Set("echostr", echo)
	get := func(q url.Values) (int, string) {
		w := httptest.NewRecorder()
		f.Now().Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/callback?"+q.Encode(), http.NoBody))
		body, _ := io.ReadAll(w.Body)
		return w.Code, string(body)
	}
	if status, body := get(q); status != http.StatusOK || body != "1616140317555161061" {
		t.Errorf("it is answered with %d %q", status, body)
	}
	for name, change := range map[string]func(q url.Values){
		"forged":  func(q url.Values) { q.Set("msg_signature", strings.Repeat("0", 40)) },
		"changed": func(q url.Values) { q.Set("echostr", far.Seal("2")) },
		"old": func(q url.Values) {
			for k, v := range f.signed(echo, farWord, -time.Hour) {
				q[k] = v
			}
		},
	} {
		bad := f.signed(echo, farWord, 0)
		bad.Set("echostr", echo)
		change(bad)
		if status, body := get(bad); status != http.StatusForbidden || strings.Contains(body, "1616") {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, secret := range []string{farWord, farKey, farSecret} {
		if strings.Contains(h.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	if n := strings.Count(h.log.String(), "a call was refused"); n != 1 {
		t.Errorf("strangers filled the log with %d lines, want one", n)
	}
}

// TestErrorsSayHowToMend checks the hints, and that no error shows a secret.
func TestErrorsSayHowToMend(t *testing.T) {
	t.Parallel()
	for code, hint := range hints {
		f, _ := start(t)
		// A gateway may repeat the call.
		says := func(token string) map[string]any { return fault(int(code), strings.Repeat("x", 195)+" "+token) }
		f.answersWith(says("t0ken-2"), says("t0ken-3"))
		_, err := f.Now().Send(t.Context(), chat.Outbound{ID: "a", To: to(farMember), Text: "hello"})
		var se *chat.SendError
		if !errors.As(err, &se) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%d: %v", code, err)
		}
		if strings.Contains(err.Error(), "t0k") {
			t.Errorf("%d: a secret is in %v", code, err)
		}
	}
}
