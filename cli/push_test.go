package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// fakeServer answers pushes as a test says.
type fakeServer struct {
	*httptest.Server
	// final is the job that the output stream ends with.
	final  agentapi.Job
	pieces []string
	// taken is the answer to a push, unless it is nil.
	taken *agentapi.Job
	// failures is how many pushes are answered 503 first.
	failures int
	// hang keeps the output stream open, and running until it is closed.
	hang    bool
	running chan struct{}
	// pushed is called when a push has come in, cancel answers a cancel.
	pushed func()
	cancel http.HandlerFunc

	mu     sync.Mutex
	pushes []agentapi.Push
	keys   []string
	tokens []string
}

func newFakeServer(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{final: agentapi.Job{ID: "job-1", Code: "k7f3q2", Agent: "web-1", Status: "succeeded"}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/jobs", f.push)
	mux.HandleFunc("GET /v1/jobs/{id}/output", f.output)
	mux.HandleFunc("POST /v1/jobs/{id}/cancel", func(w http.ResponseWriter, r *http.Request) { f.cancel(w, r) })
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) push(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var p agentapi.Push
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f.pushed != nil {
		f.pushed()
	}
	f.pushes = append(f.pushes, p)
	f.keys = append(f.keys, r.Header.Get("Idempotency-Key"))
	f.tokens = append(f.tokens, r.Header.Get("Authorization"))
	switch {
	case len(f.pushes) <= f.failures:
		problem(w, agentapi.Problem{Type: agentapi.ProblemUnavailable, Title: "unavailable", Status: http.StatusServiceUnavailable})
	case p.Agent == "nobody":
		problem(w, agentapi.Problem{Type: agentapi.ProblemUnknownAgent, Title: "there is no agent \"nobody\"", Status: http.StatusNotFound})
	case p.Agent == "secret":
		problem(w, agentapi.Problem{Type: agentapi.ProblemNotAllowed, Title: "not allowed", Status: http.StatusForbidden, Rule: "may: [deploy *]"})
	case p.Agent == "asleep":
		answer(w, agentapi.Job{ID: "job-1", Code: "k7f3q2", Agent: "asleep", Status: "expired", Reason: "agent_offline"})
	case f.taken != nil:
		answer(w, *f.taken)
	default:
		answer(w, agentapi.Job{ID: "job-1", Code: "k7f3q2", Agent: p.Agent, Status: "queuing"})
	}
}

func (f *fakeServer) output(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i, text := range f.pieces {
		data, _ := json.Marshal(agentapi.OutputPiece{Seq: int64(i + 1), Text: text})
		fmt.Fprintf(w, "event: output\nid: %d\ndata: %s\n\n", i+1, data)
	}
	if f.hang || f.running != nil {
		w.(http.Flusher).Flush()
		select {
		case <-f.running:
		case <-r.Context().Done():
			return
		}
	}
	data, _ := json.Marshal(f.final)
	fmt.Fprintf(w, "event: job\ndata: %s\n\n", data)
}

func answer(w http.ResponseWriter, j agentapi.Job) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(j)
}

func problem(w http.ResponseWriter, p agentapi.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// skadi runs the command line in this process.
func skadi(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = Main(adapters.Factories(), args, strings.NewReader(""), &out, &err)
	return code, out.String(), err.String()
}

func TestPushExitCodes(t *testing.T) {
	one := 1
	long := strings.Repeat("-", overlap) + "\n"
	tests := []struct {
		name           string
		status         agentapi.Job
		pieces         []string
		agent          string
		flags          []string
		code           int
		stdout, stderr string
	}{
		{name: "succeeded", status: agentapi.Job{Status: "succeeded"}, pieces: []string{"one\n", "two"}, code: 0, stdout: "one\ntwo\n", stderr: "#k7f3q2 succeeded"},
		{name: "failed", status: agentapi.Job{Status: "failed", Result: &agentapi.Result{ExitCode: &one, Output: "no such file\n"}}, code: 1, stdout: "no such file\n", stderr: "failed, exit code 1"},
		{name: "the last words come with the result", status: agentapi.Job{Status: "succeeded", Result: &agentapi.Result{Output: "one\ntwo\nthree\n"}}, pieces: []string{"one\n", "two\n"}, stdout: "one\ntwo\nthree\n"},
		{name: "the middle was dropped", status: agentapi.Job{Status: "succeeded", Result: &agentapi.Result{Output: "[…]" + long + "three\n"}}, pieces: []string{"one\n", "two" + long}, stdout: "one\ntwo" + long + "three\n"},
		{name: "another output", status: agentapi.Job{Status: "succeeded", Result: &agentapi.Result{Output: "42\n"}}, pieces: []string{"thinking"}, stdout: "thinking\n42\n"},
		{name: "expired", status: agentapi.Job{Status: "expired", Reason: "no_result"}, code: 3, stderr: "expired (no_result)"},
		{name: "canceled", status: agentapi.Job{Status: "canceled"}, code: 4, stderr: "canceled"},
		{name: "unknown agent", agent: "nobody", code: 2, stderr: "refused: there is no agent"},
		{name: "not allowed", agent: "secret", code: 2, stderr: "may: [deploy *]"},
		{name: "offline, unwatched", agent: "asleep", flags: []string{"--wait=false"}, code: 3, stdout: "k7f3q2\n", stderr: "expired (agent_offline): asleep is offline\n"},
		{name: "unwatched", flags: []string{"--wait=false"}, code: 0, stdout: "k7f3q2\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeServer(t)
			f.pieces = tt.pieces
			f.final.Status, f.final.Reason, f.final.Result = tt.status.Status, tt.status.Reason, tt.status.Result
			t.Setenv("SKADI_TOKEN", "skd_x")
			agent := tt.agent
			if agent == "" {
				agent = "web-1"
			}
			args := append([]string{"push", "--wait", "--server", f.URL}, tt.flags...)
			code, stdout, stderr := skadi(t, append(args, agent, "deploy", "v1")...)
			if code != tt.code || stdout != tt.stdout || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if f.pushes[0] != (agentapi.Push{Agent: agent, Message: "deploy v1"}) {
				t.Errorf("pushed %+v", f.pushes[0])
			}
		})
	}
}

func TestPushSaysWhatIsWaitedFor(t *testing.T) {
	due := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	code := job.EncodeCode(7)
	tests := []struct {
		name      string
		job       agentapi.Job
		watched   string // with --wait
		unwatched string
	}{
		{"the agent", agentapi.Job{Status: "queuing", DeadlineAt: &due}, "#" + code + " queued for web-1\n", ""},
		{
			"an approval",
			agentapi.Job{Status: "queuing", Approval: "waiting", DeadlineAt: &due},
			"#" + code + " needs an approval. It waits for somebody else's `approve " + code + "` until 2026-05-04 03:02:01 UTC.\n",
			"#" + code + " needs an approval. It waits for somebody else's `approve " + code + "` until 2026-05-04 03:02:01 UTC.\n",
		},
		{"an approval that was given", agentapi.Job{Status: "queuing", Approval: "granted"}, "#" + code + " queued for web-1\n", ""},
		{"its end", agentapi.Job{Status: "sent", Approval: "granted"}, "#" + code + " sent to web-1\n", ""},
		{"nothing", agentapi.Job{Status: "succeeded"}, "", "#" + code + " succeeded\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeServer(t)
			tt.job.ID, tt.job.Code, tt.job.Agent = "job-1", code, "web-1"
			f.taken, f.final.Code = &tt.job, code
			t.Setenv("SKADI_TOKEN", "skd_x")
			_, _, stderr := skadi(t, "push", "--wait", "--server", f.URL, "web-1", "status")
			if want := tt.watched + "#" + code + " succeeded\n"; stderr != want {
				t.Errorf("with --wait %q, want %q", stderr, want)
			}
			if _, _, stderr := skadi(t, "push", "--server", f.URL, "web-1", "status"); stderr != tt.unwatched {
				t.Errorf("without --wait %q, want %q", stderr, tt.unwatched)
			}
		})
	}
}

func TestPushTriesAgain(t *testing.T) {
	f := newFakeServer(t)
	f.failures = 2
	t.Setenv("SKADI_TOKEN", "skd_x")
	t.Setenv("SKADI_SERVER", f.URL)
	if code, _, stderr := skadi(t, "push", "web-1", "status"); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if len(f.keys) != 3 || f.keys[0] == "" || f.keys[0] != f.keys[2] {
		t.Errorf("idempotency keys %q", f.keys)
	}
}

func TestPushTimeout(t *testing.T) {
	t.Parallel()
	f := newFakeServer(t)
	f.hang = true
	p, _ := pushTo(t, f)
	p.timeout = 50 * time.Millisecond
	err := p.follow(t.Context(), t.Context(), f.final)
	if code, _ := codeOf(err); code != exitNoAnswer || !strings.Contains(err.Error(), "not final after 50ms") {
		t.Errorf("exit %d: %v", code, err)
	}
}

func TestPushTokenFile(t *testing.T) {
	f := newFakeServer(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("skd_from_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SKADI_TOKEN", "skd_env")
	id := file + ".id"
	code, _, stderr := skadi(t, "push", "--server", f.URL, "--token-file", file, "--idempotency-key", "build-7", "--id-file", id, "web-1", "--", "deploy", "--force")
	if code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if got, err := os.ReadFile(id); err != nil || string(got) != "job-1\n" {
		t.Errorf("the ID is %q, %v", got, err)
	}
	if f.tokens[0] != "Bearer skd_from_file" || f.keys[0] != "build-7" || f.pushes[0].Message != "deploy --force" {
		t.Errorf("%q, %q, %+v", f.tokens, f.keys, f.pushes)
	}
}

func TestPushUsage(t *testing.T) {
	tests := []struct {
		name   string
		args   []string
		token  string
		code   int
		stderr string
	}{
		{"no message", []string{"--server", "https://x", "web-1"}, "skd_x", 2, "MESSAGE is missing"},
		{"no server", []string{"web-1", "status"}, "skd_x", 2, "SKADI_SERVER"},
		{"no token", []string{"--server", "https://x", "web-1", "status"}, "", 2, "SKADI_TOKEN"},
		{"no token file", []string{"--server", "https://x", "--token-file", "/nowhere", "web-1", "status"}, "", 2, "/nowhere"},
		{"http off loopback", []string{"--server", "http://skadi.example.com", "web-1", "status"}, "skd_x", 2, "https://"},
		{"a flag of the message", []string{"--server", "https://x", "web-1", "deploy", "--force"}, "skd_x", 2, "put -- before"},
		{"bad timeout", []string{"--server", "https://x", "--timeout", "-1s", "web-1", "status"}, "skd_x", 2, "--timeout"},
		{"out of reach", []string{"--timeout", "50ms", "--server", "http://127.0.0.1:1", "web-1", "status"}, "skd_x", exitNoAnswer, "did not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SKADI_TOKEN", tt.token)
			t.Setenv("SKADI_SERVER", "")
			code, stdout, stderr := skadi(t, append([]string{"push"}, tt.args...)...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if strings.Contains(stderr, "skd_x") {
				t.Errorf("the token is printed: %s", stderr)
			}
		})
	}
}
