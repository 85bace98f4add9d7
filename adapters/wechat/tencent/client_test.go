package tencent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"
	"github.com/silenceper/wechat/v2/officialaccount/message"
	"github.com/silenceper/wechat/v2/util"
	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	origin   = "https://api.weixin.qq.com"
	sendPath = "/cgi-bin/message/custom/send"
	secret   = "s3cret-0f-the-app"
)

// shop is the far side.
type shop struct {
	*httptest.Server
	mu        sync.Mutex
	tokens    int // given
	calls     int
	expiresIn int
	// reply answers a call in place of success.
	reply func(w http.ResponseWriter, r *http.Request) bool
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{expiresIn: 7200}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) token() string { return fmt.Sprintf("t0ken-%d", s.tokens) }

func (s *shop) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	if r.URL.Path == "/gateway/cgi-bin/token" {
		if q.Get("secret") != secret {
			_, _ = fmt.Fprint(w, `{"errcode":40125,"errmsg":"invalid appsecret"}`)
			return
		}
		s.tokens++
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": s.token(), "expires_in": s.expiresIn})
		return
	}
	s.calls++
	switch {
	case s.reply != nil && s.reply(w, r):
	case q.Get("access_token") != s.token():
		_, _ = fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest"}`)
	default:
		_, _ = fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

func (s *shop) given() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

// expire makes the newest token bad.
func (s *shop) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens++
}

func (s *shop) replies(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = f
}

// cluster is what nodes share.
type cluster struct {
	mu      sync.Mutex
	vals    map[string][]byte
	ttls    map[string]time.Duration
	holder  map[string]int
	kvFails error
}

func newCluster() *cluster {
	return &cluster{vals: map[string][]byte{}, ttls: map[string]time.Duration{}, holder: map[string]int{}}
}

func (c *cluster) Get(ctx context.Context, key string) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.vals[key]
	return v, ok, errors.Join(c.kvFails, ctx.Err())
}

func (c *cluster) Set(ctx context.Context, key string, v []byte, ttl time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.vals[key], c.ttls[key] = v, ttl
	return errors.Join(c.kvFails, ctx.Err())
}

func (c *cluster) Delete(_ context.Context, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.vals, key)
	return nil
}

// seat is a node's leases.
type seat struct {
	*cluster
	id int
}

func (s seat) Acquire(ctx context.Context, name string, _ time.Duration) (int64, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.holder[name]; h != 0 && h != s.id {
		return 0, false, ctx.Err()
	}
	s.holder[name] = s.id
	return 1, true, ctx.Err()
}

func (s seat) Release(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder[name] == s.id {
		delete(s.holder, name)
	}
	return nil
}

// node makes the client of one node.
func (c *cluster) node(t *testing.T, s *shop, id int, word chat.Secret, now func() time.Time) *Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return New(Config{
		Origin: origin, Base: s.URL + "/gateway/", Identity: "wx1", Secret: word,
		Classes: map[int64]chat.Class{45015: chat.Shut},
		Grant: func(kept cache.Cache) credential.AccessTokenContextHandle {
			return credential.NewDefaultAccessToken("wx1", word.Reveal(), "p", kept)
		},
	}, chat.Env{KV: c, Lease: seat{c, id}, Clock: now, HTTP: &http.Client{Transport: transport, Timeout: 20 * time.Second}})
}

func say(ctx context.Context, c *Client) error {
	return c.Post(ctx, sendPath, message.NewCustomerTextMessage("o1", "hello"), nil)
}

func TestOneTokenForAllNodes(t *testing.T) {
	t.Parallel()
	s, shared := newShop(t), newCluster()
	nodes := []*Client{shared.node(t, s, 1, secret, time.Now), shared.node(t, s, 2, secret, time.Now)}
	everybody := func(when string, want int) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				if err := say(t.Context(), nodes[i%2]); err != nil {
					t.Errorf("%s: %v", when, err)
				}
			})
		}
		wg.Wait()
		if n := s.given(); n != want {
			t.Errorf("%s: %d tokens were given, want %d", when, n, want)
		}
	}
	everybody("at first", 1)
	everybody("later", 1)
	s.expire()
	everybody("once it has run out", 3)
	for _, v := range shared.vals {
		if strings.Contains(string(v), "t0ken") {
			t.Error("the token can be read in the database")
		}
	}
	for key, ttl := range shared.ttls {
		if ttl < 5750*time.Second || ttl > 5760*time.Second {
			t.Errorf("%s is kept for %s", key, ttl)
		}
	}
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	for seconds, good := range map[int]time.Duration{7200: 5760 * time.Second, 600: 480 * time.Second, 1600: 1280 * time.Second} {
		s, shared := newShop(t), newCluster()
		s.expiresIn = seconds
		now := time.Now()
		c := shared.node(t, s, 1, secret, func() time.Time { return now })
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {good - time.Second, 1}, {2 * time.Second, 2}} {
			now = now.Add(step.after)
			if err := say(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if n := s.given(); n != step.want {
				t.Errorf("expires_in %d: %d tokens, want %d", seconds, n, step.want)
			}
		}
	}
}

// A token that is refused twice is no reason to get ever more of them.
func TestATokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	for _, code := range []int{40001, 40014, 42001} {
		s, shared := newShop(t), newCluster()
		s.replies(func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = fmt.Fprintf(w, `{"errcode":%d,"errmsg":"no"}`, code)
			return true
		})
		err := say(t.Context(), shared.node(t, s, 1, secret, time.Now))
		if se := chat.Classify(err); err == nil || se.Class != chat.Auth {
			t.Errorf("%d: %v", code, err)
		}
		if s.given() != 2 || s.calls != 2 {
			t.Errorf("%d: %d tokens and %d calls", code, s.given(), s.calls)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	answers := func(body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = fmt.Fprint(w, body)
			return true
		}
	}
	code := func(n int) string { return fmt.Sprintf(`{"errcode":%d,"errmsg":"some\ntext"}`, n) }
	for body, want := range map[string]chat.Class{
		code(-1): chat.Temporary, code(45009): chat.RateLimited, code(45011): chat.RateLimited, code(45015): chat.Shut,
		code(48001): chat.Auth, code(40013): chat.Auth, code(40125): chat.Auth, code(40164): chat.Auth, code(99999): chat.Permanent,
		"": chat.Temporary, "<html>": chat.Temporary, "[]": chat.Temporary, `{"errcode":"x"}`: chat.Temporary,
		strings.Repeat(" ", maxAnswer+1) + "{}": chat.Temporary,
	} {
		s, shared := newShop(t), newCluster()
		s.replies(answers(body))
		err := say(t.Context(), shared.node(t, s, 1, secret, time.Now))
		var se *chat.SendError
		if !errors.As(err, &se) || se.Class != want {
			t.Errorf("%.60q: %v, want %s", body, err, want)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("%.60q: an error of several lines: %v", body, err)
		}
	}
}

func TestNoSecretIsInAnError(t *testing.T) {
	t.Parallel()
	s, shared := newShop(t), newCluster()
	c := shared.node(t, s, 1, secret, time.Now)
	wrong := newCluster().node(t, s, 1, "an0ther-secret", time.Now)
	if err := wrong.LogIn(t.Context()); chat.Classify(err).Class != chat.Auth || strings.Contains(err.Error(), "an0ther") {
		t.Errorf("a wrong secret: %v", err)
	}
	if err := c.LogIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.replies(func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = fmt.Fprint(w, r.URL.String())
		return true
	})
	errs := []error{say(t.Context(), c)}
	s.replies(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
	errs = append(errs, say(t.Context(), c), c.PostWith(t.Context(), "/cgi-bin/webhook/send", map[string][]string{"key": {secret}}, "x", nil))
	s.Close()
	errs = append(errs, say(t.Context(), c), newCluster().node(t, s, 1, secret, time.Now).LogIn(t.Context()))
	for _, err := range errs {
		if err == nil || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), secret) || chat.Classify(err).Class != chat.Temporary {
			t.Errorf("an error says %v", err)
		}
	}
}

func TestWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s, shared := newShop(t), newCluster()
	c := shared.node(t, s, 1, secret, time.Now)
	if err := say(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	shared.mu.Lock()
	shared.kvFails = errors.New("the database is away")
	shared.mu.Unlock()
	if err := say(t.Context(), c); err != nil {
		t.Errorf("a token that is known is not used: %v", err)
	}
	s.expire()
	if err := say(t.Context(), c); err == nil || chat.Classify(err).Class != chat.Temporary {
		t.Errorf("without a database and a token: %v", err)
	}
}

// A node that got no token and holds the lease does not stop the others for ever.
func TestAnotherNodeHasTheLease(t *testing.T) {
	t.Parallel()
	s, shared := newShop(t), newCluster()
	_, _, _ = seat{shared, 2}.Acquire(t.Context(), "wechat/token/wx1", time.Minute)
	c := shared.node(t, s, 1, secret, time.Now)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := say(ctx, c); err == nil || chat.Classify(err).Class != chat.Temporary || !strings.Contains(err.Error(), "another node") {
		t.Errorf("while another node gets a token: %v", err)
	}
	_ = seat{shared, 2}.Release(t.Context(), "wechat/token/wx1")
	if err := say(t.Context(), c); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// What was kept with another secret is nothing.
func TestAnotherSecret(t *testing.T) {
	t.Parallel()
	s, shared := newShop(t), newCluster()
	if err := say(t.Context(), shared.node(t, s, 1, secret, time.Now)); err != nil {
		t.Fatal(err)
	}
	err := say(t.Context(), shared.node(t, s, 1, "an0ther-secret", time.Now))
	if chat.Classify(err).Class != chat.Auth {
		t.Errorf("with another secret: %v", err)
	}
}

// Calls of the library that belong to no account, or lead elsewhere, go nowhere.
func TestTheLibraryCallsNobodyByItself(t *testing.T) {
	t.Parallel()
	if _, err := util.HTTPGetContext(t.Context(), origin+"/cgi-bin/token"); err == nil || !strings.Contains(err.Error(), "belongs to no account") {
		t.Errorf("a call of no account: %v", err)
	}
	c := newCluster().node(t, newShop(t), 1, secret, time.Now)
	if _, err := util.HTTPGetContext(c.with(t.Context()), "https://example.com/"); err == nil || !strings.Contains(err.Error(), "is not where") {
		t.Errorf("a call to elsewhere: %v", err)
	}
}
