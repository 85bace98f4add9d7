//go:build unix

package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/letserverrun/skadi/core/agentapi"
)

// collected is an OTLP receiver.
type collected struct {
	mu    sync.Mutex
	spans map[string]string // by name, in hexadecimal: the trace and the span
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var batch collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &batch)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range batch.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans[s.GetName()] = trace.TraceID(s.GetTraceId()).String() + "-" + trace.SpanID(s.GetSpanId()).String()
			}
		}
	}
}

// TestTraceThroughTheAgent follows a job from the call that asked for it to
// what its agent runs.
func TestTraceThroughTheAgent(t *testing.T) {
	t.Parallel()
	c := &collected{spans: map[string]string{}}
	far := httptest.NewServer(c)
	defer far.Close()
	p, url, file := startServe(t, "tracing: {endpoint: \""+far.URL+"\"}\n")
	admin := token(t, "tokens", "create", "ops", "--role", "admin", "-c", file)
	agent := token(t, "agents", "create", "web-1", "-c", file)
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "token"), agent)
	writeText(t, filepath.Join(dir, "agentd.yaml"), "server: "+url+`
token_file: token
state_dir: state
commands:
  - {name: parent, shell: true, script: 'echo "$TRACEPARENT"'}
`)
	start(t, nil, "agentd", "run", "-c", filepath.Join(dir, "agentd.yaml")).sees("online")

	var j agentapi.Job
	decode(t, skadiIn(t, "", []string{"SKADI_SERVER=" + url, "SKADI_TOKEN=" + admin},
		"push", "--wait", "--json", "web-1", "parent").expect(t, 0).stdout, &j)
	p.signal(syscall.SIGTERM) // what is left of the traces is handed over
	p.ends()

	c.mu.Lock()
	defer c.mu.Unlock()
	id := strings.ReplaceAll(j.ID, "-", "")
	for _, name := range []string{"job", "accept", "queue", "run"} {
		if !strings.HasPrefix(c.spans[name], id) {
			t.Errorf("%s is %q, in no trace %s", name, c.spans[name], id)
		}
	}
	if got, want := strings.TrimSpace(j.Result.Output), "00-"+c.spans["run"]+"-01"; got != want {
		t.Errorf("the command was told %q, want %q", got, want)
	}
}
