package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// pushTo is a push to the server, as `skadi push --wait` makes it.
func pushTo(t *testing.T, f *fakeServer) (p *push, stderr *bytes.Buffer) {
	t.Helper()
	client, err := agentapi.NewClient(agentapi.ClientConfig{Server: f.URL, Token: "skd_x"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	stderr = &bytes.Buffer{}
	return &push{wait: true, timeout: defaultPushTimeout, client: client, out: &bytes.Buffer{}, err: stderr}, stderr
}

func TestPushCancels(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int  // of the answer to the cancel
		second bool // a second signal comes while it is on its way
		code   int
		stderr string
	}{
		{"taken in", http.StatusOK, false, exitCanceled, "canceled"},
		{"taken in, and left", http.StatusOK, true, exitNoAnswer, "#k7f3q2 is asked to stop"},
		{"refused, and left", http.StatusForbidden, true, exitNoAnswer, "#k7f3q2 may still run"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			first, interrupt := context.WithCancel(t.Context())
			second, leave := context.WithCancel(t.Context())
			defer interrupt()
			defer leave()
			f := newFakeServer(t)
			f.final.Status = "canceled"
			f.running = make(chan struct{})
			f.cancel = func(w http.ResponseWriter, _ *http.Request) {
				if tt.second {
					leave()
				} else {
					close(f.running)
				}
				if tt.status != http.StatusOK {
					problem(w, agentapi.Problem{Type: agentapi.ProblemNotAllowed, Title: "not allowed", Status: tt.status})
					return
				}
				answer(w, f.final)
			}
			p, stderr := pushTo(t, f)
			interrupt()
			err := p.follow(first, second, f.final)
			said := fmt.Sprint(stderr, err)
			if code, _ := codeOf(err); code != tt.code || !strings.Contains(said, tt.stderr) {
				t.Errorf("exit %d: %s", code, said)
			}
		})
	}
}

// TestPushCancelsWhatItSends has the signal come while the push is on its way.
func TestPushCancelsWhatItSends(t *testing.T) {
	t.Parallel()
	first, interrupt := context.WithCancel(t.Context())
	f := newFakeServer(t)
	f.pushed = interrupt
	p, _ := pushTo(t, f)
	if j, err := p.send(first, t.Context(), agentapi.Push{Agent: "web-1", Message: "status"}); err != nil || j.ID != "job-1" {
		t.Errorf("job %+v, %v", j, err)
	}
}
