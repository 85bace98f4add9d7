package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	testApp      = "11111111-2222-3333-4444-555555555555"
	testTenant   = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	testPassword = "the~secret&of/the+app=%"
	testPerson   = "99999999-8888-7777-6666-555555555555"
)

// received is a request as it came in.
type received struct {
	Method string
	Path   string // escaped
	Auth   string
	Body   []byte
}

// service stands for Microsoft: it hands out tokens and takes activities.
type service struct {
	*httptest.Server

	mu     sync.Mutex
	tokens int        // how many were handed out
	calls  []received // of the Bot Connector
	// answer, if it is set, answers the calls of the Bot Connector.
	answer http.HandlerFunc
	// grant, if it is set, answers requests for a token.
	grant http.HandlerFunc
	log   bytes.Buffer
	now   time.Time
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if text := s.log.String(); strings.Contains(text, testPassword) || strings.Contains(text, "token-") {
			t.Errorf("a secret is in the log: %s", text)
		}
	})
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	var n int
	answer := s.answer
	if r.URL.Path == "/token" {
		s.tokens++
		answer, n = s.grant, s.tokens
	} else {
		s.calls = append(s.calls, received{r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"), body})
		n = len(s.calls)
	}
	s.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == "/token":
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"ext_expires_in":3600,"access_token":"token-%d"}`, n)
	default:
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":"1:message-%d"}`, n)
	}
}

// answers has every call of the Bot Connector answered like this from now on.
func (s *service) answers(status int, body string, header ...string) {
	s.set(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}, nil)
}

// set replaces how calls of the Bot Connector and requests for tokens are
// answered; nil is as usual.
func (s *service) set(answer, grant http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.grant = answer, grant
}

// got returns the calls of the Bot Connector so far.
func (s *service) got() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.calls...)
}

func (s *service) granted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

func (s *service) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *service) forward(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// Write is the log of the adapter.
func (s *service) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *service) host() string { return strings.TrimPrefix(s.URL, "http://") }

func (s *service) config() Config {
	return Config{
		AppID: testApp, AppPassword: testPassword, TenantID: testTenant,
		TokenURL: s.URL + "/token", ServiceHosts: []string{s.host()}, AllowHTTPLoopback: true,
	}
}

func (s *service) env() chat.Env {
	return chat.Env{
		Account: "work", Clock: s.clock, HTTP: &http.Client{Timeout: time.Minute},
		Logger: slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (s *service) sender(t *testing.T) *sender {
	t.Helper()
	cfg := s.config()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return newSender(cfg, s.env())
}

// place is a conversation of the service.
func (s *service) place(change ...func(*conversation)) chat.ConversationRef {
	c := conversation{
		ServiceURL: s.URL + "/amer/", ID: "a:1conversation", Type: personal, ChannelID: "msteams", Tenant: testTenant,
		Bot:   account{ID: "28:" + testApp, Name: "Skadi"},
		User:  account{ID: "29:1person", Object: testPerson, Name: "Ada Lovelace"},
		Asked: "1700000000001",
	}
	for _, f := range change {
		f(&c)
	}
	return c.ref("work")
}

// send sends m and checks that no secret is in its error.
func send(ctx context.Context, t *testing.T, s *sender, m chat.Outbound) (chat.MessageRef, error) {
	t.Helper()
	ref, err := s.Send(ctx, m)
	if err != nil && (strings.Contains(err.Error(), testPassword) || strings.Contains(err.Error(), "token-")) {
		t.Errorf("a secret is in the error %v", err)
	}
	return ref, err
}

// mustSend sends what must get through, and returns its reference as it is
// after it was stored.
func mustSend(t *testing.T, s *sender, m chat.Outbound) (ref chat.MessageRef) {
	t.Helper()
	ref, err := send(t.Context(), t, s, m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	stored, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	ref = chat.MessageRef{}
	if err := json.Unmarshal(stored, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// isClass checks the class of an error.
func isClass(t *testing.T, err error, class chat.Class, after time.Duration) {
	t.Helper()
	if err == nil {
		t.Fatalf("it worked, want %s", class)
	}
	if se := chat.Classify(err); se.Class != class || se.RetryAfter != after {
		t.Errorf("it is %s after %s, want %s after %s (%v)", se.Class, se.RetryAfter, class, after, err)
	}
}

// jobCard is the card of a running job.
func jobCard() *chat.Card {
	return &chat.Card{
		Mark: chat.MarkRunning, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1.2.3",
		Asker: chat.Sender{Account: "work", Workspace: testTenant, User: testPerson, Name: "Ada Lovelace"},
	}
}
