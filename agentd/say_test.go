package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/letserverrun/skadi/agentd/agent/agenttest"
	"github.com/letserverrun/skadi/core/agentapi"
)

// listener takes what agents say; the first tries fail with these statuses.
type listener struct {
	mu    sync.Mutex
	fails []int
	said  []agentapi.Message
	keys  []string
}

func (l *listener) take(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/v1/agent/messages" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, r.Header.Get("Idempotency-Key"))
	if len(l.fails) > 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(l.fails[0])
		_ = json.NewEncoder(w).Encode(agentapi.Problem{Type: agentapi.ProblemChannelNotAllowed, Title: "no", Status: l.fails[0], Detail: "no channel is open"})
		l.fails = l.fails[1:]
		return true
	}
	var m agentapi.Message
	_ = json.NewDecoder(r.Body).Decode(&m)
	l.said = append(l.said, m)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(agentapi.Event{ID: "x.0"})
	return true
}

func TestSay(t *testing.T) {
	t.Parallel()
	l := &listener{fails: []int{503}}
	f := agenttest.New()
	f.Intercept(l.take)
	server := httptest.NewServer(f)
	defer server.Close()
	path := file(t, server.URL, echo)
	if _, _, err := execute(t.Context(), "say", "-c", path, "ops", "the", "token is "+agenttest.Token); err != nil {
		t.Fatal(err)
	}
	if len(l.said) != 1 || l.said[0].Channel != "ops" || l.said[0].Job != "" || !strings.HasPrefix(l.said[0].Text, "the token is ") || strings.Contains(l.said[0].Text, agenttest.Token) {
		t.Errorf("said %+v", l.said)
	}
	if len(l.keys) != 2 || l.keys[0] == "" || l.keys[0] != l.keys[1] {
		t.Errorf("the keys are %q: a repetition must say it once", l.keys)
	}

	root := newRoot()
	root.SetArgs([]string{"say", "-c", path, "ops", "-"})
	root.SetIn(strings.NewReader("two\nlines\n"))
	if err := root.ExecuteContext(t.Context()); err != nil || l.said[1].Text != "two\nlines" {
		t.Errorf("%v, %+v", err, l.said)
	}

	l.fails = []int{403}
	_, _, err := execute(t.Context(), "say", "-c", path, "other", "x")
	if err == nil || status(io.Discard, err) != exitFailed || !strings.Contains(err.Error(), "not said in other: no channel is open") || len(l.said) != 2 {
		t.Errorf("%v, %+v", err, l.said)
	}
	if _, _, err := execute(t.Context(), "say", "-c", path, "ops"); status(io.Discard, err) != exitUsage {
		t.Error(err)
	}
}
