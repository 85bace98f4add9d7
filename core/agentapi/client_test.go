package agentapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "skd_0123456789abcdef"

// setup makes a client of a server with one handler.
func setup(t testing.TB, h http.HandlerFunc) *agentapi.Client {
	t.Helper()
	server := httptest.NewServer(h)
	c, err := agentapi.NewClient(agentapi.ClientConfig{Server: server.URL + "/base/", Token: token, UserAgent: "test/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseIdle(); server.Close() })
	return c
}

func TestCheckServer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want, err string }{
		{"https://skadi.example.com", "https://skadi.example.com", ""},
		{"https://skadi.example.com:8443/skadi/", "https://skadi.example.com:8443/skadi", ""},
		{"http://localhost:8080", "http://localhost:8080", ""},
		{"http://LocalHost", "http://LocalHost", ""},
		{"http://127.0.0.1:1", "http://127.0.0.1:1", ""},
		{"http://127.8.9.1", "http://127.8.9.1", ""},
		{"http://[::1]:8080", "http://[::1]:8080", ""},
		{"http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]", ""},
		{"http://skadi.example.com", "", "use https://"},
		{"http://10.0.0.1", "", "use https://"},
		{"http://0.0.0.0:8080", "", "use https://"},
		{"http://localhost.example.com", "", "use https://"},
		{"http://127.0.0.1.example.com", "", "use https://"},
		{"http://2130706433", "", "use https://"},
		{"", "", "is empty"},
		{"skadi.example.com", "", "must begin with https://"},
		{"ftp://skadi.example.com", "", "must begin with https://"},
		{"https://", "", "must begin with https://"},
		{"https://user:password@skadi.example.com", "", "no user or password"},
		{"https://skadi.example.com/?x=1", "", "must end after its path"},
		{"https://skadi.example.com/#x", "", "must end after its path"},
		{"https://[::1", "", "is not a URL"},
		{"http://127.0.0.1:8080/v1", "", "must end before /v1"},
		{"https://skadi.example.com/skadi/v1/", "", "must end before /v1"},
		{"https://skadi.example.com/v1/jobs", "", "must end before /v1"},
		{"https://gw.example.com/api/v1/skadi/v1/jobs/1", "", "must end before /v1"},
		{"https://gw.example.com/v1/v1/agent/poll", "", "must end before /v1"},
		{"https://gw.example.com/api/v1/skadi/", "https://gw.example.com/api/v1/skadi", ""},
		{"https://gw.example.com/v1/jobserver", "https://gw.example.com/v1/jobserver", ""},
		{"https://skadi.example.com/v1x", "https://skadi.example.com/v1x", ""},
	} {
		u, err := agentapi.CheckServer(tc.in)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "password@") {
				t.Errorf("%q: %v, want %q", tc.in, err, tc.err)
			}
			continue
		}
		if err != nil || u.String() != tc.want {
			t.Errorf("%q: %v, %v", tc.in, u, err)
		}
	}
	if _, err := agentapi.CheckServer("http://10.0.0.1"); !errors.Is(err, agentapi.ErrPlainHTTP) {
		t.Errorf("got %v", err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "skd_a\n", "skd_ä", `skd a`} {
		_, err := agentapi.NewClient(agentapi.ClientConfig{Server: "https://x.test", Token: bad})
		if err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	var got string
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusNoContent)
	})
	if err := c.SetToken("skd_new"); err != nil {
		t.Fatal(err)
	}
	if err := c.Message(t.Context(), agentapi.Message{Channel: "ops", Text: "hello"}); err != nil || got != "Bearer skd_new" {
		t.Errorf("%q, %v", got, err)
	}
}

// call is what a server got.
type call struct{ method, path, body, key, agent, auth string }

// TestCalls holds every method against the request that it must make.
func TestCalls(t *testing.T) {
	t.Parallel()
	var got call
	var reply string
	status := http.StatusOK
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = call{r.Method, r.URL.RequestURI(), string(body), r.Header.Get("Idempotency-Key"), r.UserAgent(), r.Header.Get("Authorization")}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	})
	ctx := t.Context()
	most := 3
	text := "out"
	for _, tc := range []struct {
		name         string
		reply        string
		do           func() (any, error)
		method, path string
		body, answer string
	}{
		{
			"poll", `{"jobs":[{"id":"a","message":"m"}],"cancel":[{"id":"b","lease":"l"}]}`,
			func() (any, error) {
				return c.Poll(ctx, agentapi.PollRequest{WaitSeconds: 50, Max: &most, Confirm: true})
			},
			"POST", "/base/v1/agent/poll", `{"wait_seconds":50,"max":3,"confirm":true}`, `"id":"a"`,
		},
		{
			"starts", `{"answers":[{"id":"a","status":200}]}`,
			func() (any, error) { return c.Starts(ctx, []agentapi.Hold{{ID: "a", Lease: "l"}}) },
			"POST", "/base/v1/agent/starts", `{"starts":[{"id":"a","lease":"l"}]}`, `"status":200`,
		},
		{
			"output", ``,
			func() (any, error) {
				return nil, c.Output(ctx, "a/b", agentapi.Output{Lease: "l", Seq: 2, Text: "x"})
			},
			"POST", "/base/v1/agent/jobs/a%2Fb/output", `{"lease":"l","seq":2,"text":"x"}`, `null`,
		},
		{
			"result", `{"id":"a","status":"succeeded"}`,
			func() (any, error) {
				return c.Result(ctx, "a", agentapi.Report{Lease: "l", Status: "succeeded", Output: &text})
			},
			"POST", "/base/v1/agent/jobs/a/result", `{"lease":"l","status":"succeeded","output":"out"}`, `"succeeded"`,
		},
		{
			"results", `{"answers":[]}`,
			func() (any, error) {
				return c.Results(ctx, []agentapi.IdentifiedReport{{ID: "a", Report: agentapi.Report{Lease: "l", Status: "failed"}}})
			},
			"POST", "/base/v1/agent/results", `{"results":[{"id":"a","lease":"l","status":"failed"}]}`, `[]`,
		},
		{
			"push", `{"id":"a"}`,
			func() (any, error) {
				return c.Push(ctx, agentapi.Push{Agent: "web", Message: "m"}, agentapi.PushOptions{Wait: 30 * time.Second, IdempotencyKey: "k"})
			},
			"POST", "/base/v1/jobs?wait=30s", `{"agent":"web","message":"m"}`, `"id":"a"`,
		},
		{
			"batch", `{"jobs":[{"job":{"id":"a"}},{"problem":{"status":404}}]}`,
			func() (any, error) { return c.PushBatch(ctx, []agentapi.Push{{Agent: "web", Message: "m"}}) },
			"POST", "/base/v1/jobs/batch", `{"jobs":[{"agent":"web","message":"m"}]}`, `"status":404`,
		},
		{
			"job", `{"id":"a"}`, func() (any, error) { return c.Job(ctx, "a", 1500*time.Millisecond) },
			"GET", "/base/v1/jobs/a?wait=1.5s", ``, `"id":"a"`,
		},
		{
			"jobs", `{"jobs":[],"next_cursor":"n"}`,
			func() (any, error) {
				return c.Jobs(ctx, agentapi.JobFilter{Agent: "web", Status: "sent", Limit: 5, Cursor: "c&"})
			},
			"GET", "/base/v1/jobs?agent=web&cursor=c%26&limit=5&status=sent", ``, `"next_cursor":"n"`,
		},
		{
			"agents", `{"agents":[{"name":"web"}]}`, func() (any, error) { return c.Agents(ctx) },
			"GET", "/base/v1/agents", ``, `"web"`,
		},
		{
			"create agent", `{"name":"web","token":"t"}`, func() (any, error) { return c.CreateAgent(ctx, "web") },
			"POST", "/base/v1/agents", `{"name":"web"}`, `"token":"t"`,
		},
		{
			"rotate", `{"name":"web","token":"t"}`, func() (any, error) { return c.RotateAgentToken(ctx, "web") },
			"POST", "/base/v1/agents/web/token", ``, `"token":"t"`,
		},
		{
			"remove", ``, func() (any, error) { return nil, c.RemoveAgent(ctx, "web") },
			"DELETE", "/base/v1/agents/web", ``, `null`,
		},
	} {
		reply = tc.reply
		status = http.StatusOK
		if reply == "" {
			status = http.StatusNoContent
		}
		answer, err := tc.do()
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		key := ""
		if tc.name == "push" {
			key = "k"
		}
		if want := (call{tc.method, tc.path, tc.body, key, "test/1", "Bearer " + token}); got != want {
			t.Errorf("%s: the server got\n%+v, want\n%+v", tc.name, got, want)
		}
		if shown, _ := json.Marshal(answer); !strings.Contains(string(shown), tc.answer) {
			t.Errorf("%s: answered %s, want %s", tc.name, shown, tc.answer)
		}
	}

	status, reply = http.StatusAccepted, `{"id":"a","status":"sent"}`
	if j, pending, err := c.Cancel(ctx, "a"); err != nil || !pending || j.Status != "sent" || got.path != "/base/v1/jobs/a/cancel" {
		t.Errorf("cancel: %+v, %v, %v", j, pending, err)
	}
	status, reply = http.StatusOK, `{"id":"a","status":"canceled"}`
	if _, pending, err := c.Cancel(ctx, "a"); err != nil || pending {
		t.Errorf("cancel: pending %v, %v", pending, err)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, kind, body string
		header           map[string]string
		status           int
		want             agentapi.Problem
	}{
		{
			"problem", "application/problem+json; charset=utf-8",
			`{"type":"/problems/output-gap","title":"A gap","status":409,"detail":"a piece is missing","expected":7,"job":{"id":"a"}}`,
			nil, 409,
			agentapi.Problem{Type: agentapi.ProblemOutputGap, Title: "A gap", Status: 409, Detail: "a piece is missing", Expected: 7, Job: &agentapi.Job{ID: "a"}},
		},
		{
			"page of a proxy", "text/html", "<h1>Bad Gateway</h1>", nil, 502,
			agentapi.Problem{Type: "about:blank", Title: "the server answered 502 Bad Gateway", Status: 502},
		},
		{
			"text", "text/plain", "no\n  upstream \x00",
			map[string]string{"Retry-After": "7"},
			503,
			agentapi.Problem{Type: "about:blank", Title: "the server answered 503 Service Unavailable", Status: 503, Detail: "no upstream \x00", RetryAfter: 7 * time.Second},
		},
		{
			"long text", "text/plain", strings.Repeat("é", 400), nil, 500,
			agentapi.Problem{Type: "about:blank", Title: "the server answered 500 Internal Server Error", Status: 500, Detail: strings.Repeat("é", 150) + " …"},
		},
		{
			"echo of the token", "text/plain", "Authorization: Bearer " + token, nil, 400,
			agentapi.Problem{Type: "about:blank", Title: "the server answered 400 Bad Request", Status: 400, Detail: "Authorization: Bearer <token>"},
		},
		{
			"problem that is no JSON", "application/problem+json", "{",
			map[string]string{"Retry-After": "soon"},
			429,
			agentapi.Problem{Type: "about:blank", Title: "the server answered 429 Too Many Requests", Status: 429},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tc.kind)
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			_, err := c.Agents(t.Context())
			var p *agentapi.Problem
			if !errors.As(err, &p) {
				t.Fatalf("got %v", err)
			}
			got, _ := json.Marshal(p)
			want, _ := json.Marshal(tc.want)
			if string(got) != string(want) || p.RetryAfter != tc.want.RetryAfter {
				t.Errorf("got %s (%v), want %s (%v)", got, p.RetryAfter, want, tc.want.RetryAfter)
			}
			if strings.Contains(err.Error(), token) {
				t.Errorf("the error shows the token: %v", err)
			}
		})
	}
}

// TestAddressesThatAreNotRight wants the error to say how to mend it.
func TestAddressesThatAreNotRight(t *testing.T) {
	t.Parallel()
	nowhere := http.NewServeMux()
	nowhere.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"type":"/problems/not-found","title":"There is nothing at this path","status":404,"detail":"GET /openapi.yaml lists every call"}`)
	})
	plain, secure := httptest.NewServer(nowhere), httptest.NewUnstartedServer(nowhere)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	https := secure.URL
	for name, tc := range map[string]struct{ server, want string }{
		"https is spoken there":  {strings.Replace(https, "https", "http", 1), "speaks https: write " + https},
		"http is spoken there":   {strings.Replace(plain.URL, "http", "https", 1) + "/api", "speaks http: write " + plain.URL + "/api"},
		"nothing is there":       {plain.URL + "/api", "404 Not Found to GET " + plain.URL + "/api/v1/jobs: is its address right?"},
		"somebody else is there": {plain.URL + "/else", "404 Not Found to GET " + plain.URL + "/else/v1/jobs: is its address right?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := agentapi.NewClient(agentapi.ClientConfig{Server: tc.server, Token: token})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.CloseIdle)
			_, err = c.Jobs(t.Context(), agentapi.JobFilter{Agent: "web-1"})
			if p := (*agentapi.Problem)(nil); !errors.As(err, &p) || p.Temporary() || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nlacks %q", err, tc.want)
			}
		})
	}
}

// TestPlainHTTPElsewhere has a server that may not be called with http:// either.
func TestPlainHTTPElsewhere(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, plain.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := agentapi.NewClient(agentapi.ClientConfig{
		Server: "https://skadi.example.com", Token: token, HTTP: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = "the server at https://skadi.example.com speaks http: it needs a certificate"
	if _, err := c.Agents(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nlacks %q", err, want)
	}
	if _, err := c.JobOutput(t.Context(), "job-1", 0, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nlacks %q", err, want)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
	})
	_, err := c.Poll(t.Context(), agentapi.PollRequest{})
	var p *agentapi.Problem
	if !errors.As(err, &p) || !strings.Contains(err.Error(), "redirects (308)") {
		t.Errorf("got %v", err)
	}
	if reached {
		t.Error("the redirect was followed")
	}
}

func TestAnswersThatAreNotRight(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<html>":                "is not the JSON expected",
		"":                      "is not the JSON expected",
		`{"agents":"everyone"}`: "is not the JSON expected",
	} {
		c := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		if _, err := c.Agents(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", body, err, want)
		}
	}
	endless := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"agents":[{"name":"`)
		piece := strings.Repeat("x", 1<<20)
		for range 80 {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
	})
	if _, err := endless.Agents(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Errorf("got %v", err)
	}
}
