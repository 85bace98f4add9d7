package agentapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// stream answers with server-sent events.
func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		_, _ = io.WriteString(w, e+"\n\n")
	}
	_ = http.NewResponseController(w).Flush()
}

func piece(seq int, text string) string {
	return fmt.Sprintf("id: %d\nevent: output\ndata: {\"seq\":%d,\"text\":%q}", seq, seq, text)
}

func TestJobOutputResumes(t *testing.T) {
	t.Parallel()
	var from []string
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		from = append(from, r.Header.Get("Last-Event-ID"))
		switch len(from) {
		case 1:
			stream(w, ":", piece(1, "one "), piece(2, "two "))
			_, _ = io.WriteString(w, piece(3, "breaks off"))
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			stream(w, "retry: 1000", piece(2, "two again "), piece(3, "three "), "event: other\ndata: {}",
				`event: job`+"\n"+`data: {"id":"a","status":"succeeded"}`)
		}
	})
	var text strings.Builder
	job, err := c.JobOutput(t.Context(), "a", 0, func(p agentapi.OutputPiece) error {
		text.WriteString(p.Text)
		return nil
	})
	if err != nil || job.Status != "succeeded" || text.String() != "one two three " {
		t.Errorf("%+v, %v, %q", job, err, text.String())
	}
	if got := strings.Join(from, ","); got != ",2,2" {
		t.Errorf("asked from %q", got)
	}
}

func TestJobOutputEnds(t *testing.T) {
	t.Parallel()
	gone := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"type":"/problems/unknown-job","title":"none"}`)
	})
	each := func(agentapi.OutputPiece) error { return nil }
	var p *agentapi.Problem
	if _, err := gone.JobOutput(t.Context(), "a", 0, each); !errors.As(err, &p) || p.Type != agentapi.ProblemUnknownJob {
		t.Errorf("got %v", err)
	}

	page := setup(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if _, err := page.JobOutput(t.Context(), "a", 0, each); err == nil || !strings.Contains(err.Error(), "is not a stream of events") {
		t.Errorf("got %v", err)
	}

	open := setup(t, func(w http.ResponseWriter, r *http.Request) {
		stream(w, piece(1, "x"))
		<-r.Context().Done()
	})
	enough := errors.New("enough")
	if _, err := open.JobOutput(t.Context(), "a", 0, func(agentapi.OutputPiece) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := open.JobOutput(ctx, "a", 0, func(agentapi.OutputPiece) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
