package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// answers are a server that is not on any network, so that its time may be a
// bubble's.
type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func answered(status int, body string, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// TestPushOutlastsARestart holds for how long, and how often, a push is tried.
func TestPushOutlastsARestart(t *testing.T) {
	t.Parallel()
	errAway := errors.New("connection refused")
	away := func() (*http.Response, error) { return nil, errAway }
	busy := func() (*http.Response, error) {
		return answered(http.StatusServiceUnavailable, "", "Retry-After", "2")
	}
	closed := func() (*http.Response, error) {
		return answered(http.StatusServiceUnavailable, "", "Retry-After", "60")
	}
	tests := []struct {
		name         string
		away         time.Duration // until the server is there
		answer       func() (*http.Response, error)
		timeout      time.Duration
		signal       time.Duration // when the first one comes; 0: none does
		sent         bool
		tries        int
		least, until time.Duration
	}{
		{"a restart", 3 * time.Second, away, time.Hour, 0, true, 5, 3 * time.Second, 5 * time.Second},
		{"a failover that asks for 2s", 9 * time.Second, busy, time.Hour, 0, true, 6, 9 * time.Second, 13 * time.Second},
		{"away", time.Hour, away, time.Hour, 0, false, 11, 26 * time.Second, 30 * time.Second},
		{"asks for longer than there is", time.Hour, closed, time.Hour, 0, false, 1, 0, 0},
		{"a short timeout", time.Hour, away, 2 * time.Second, 0, false, 3, 900 * time.Millisecond, 2 * time.Second},
		{"a signal", time.Hour, away, time.Hour, time.Second, false, 3, time.Second, time.Second},
		{"refused", time.Hour, func() (*http.Response, error) { return answered(http.StatusForbidden, "") }, time.Hour, 0, false, 1, 0, 0},
		{"a certificate that is not trusted", time.Hour, func() (*http.Response, error) {
			return nil, &tls.CertificateVerificationError{Err: errors.New("unknown authority")}
		}, time.Hour, 0, false, 1, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				keys := map[string]bool{}
				tries := 0
				server := answers(func(r *http.Request) (*http.Response, error) {
					tries++
					keys[r.Header.Get("Idempotency-Key")] = true
					if time.Since(begin) < tt.away {
						return tt.answer()
					}
					return answered(http.StatusCreated, `{"id":"job-1"}`)
				})
				first, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				if tt.signal > 0 {
					defer time.AfterFunc(tt.signal, interrupt).Stop()
				}
				var stderr bytes.Buffer
				p := &push{timeout: tt.timeout, key: "push-1", client: clientOf(t, server), err: &stderr}
				j, err := p.send(first, t.Context(), agentapi.Push{Agent: "web-1", Message: "status"})
				took := time.Since(begin)
				if sent := err == nil && j.ID == "job-1"; sent != tt.sent || tries != tt.tries || took < tt.least || took > tt.until {
					t.Errorf("sent %v (%v) in %d tries after %s", sent, err, tries, took)
				}
				if len(keys) != 1 || !keys["push-1"] {
					t.Errorf("the tries are of %d jobs", len(keys))
				}
				if said := strings.Count(stderr.String(), "trying again"); said != min(tries-1, 1) {
					t.Errorf("said %q", stderr.String())
				}
			})
		})
	}
}

func clientOf(t *testing.T, server http.RoundTripper) *agentapi.Client {
	t.Helper()
	c, err := agentapi.NewClient(agentapi.ClientConfig{
		Server: "https://skadi.example.com", Token: "skd_x", HTTP: &http.Client{Transport: server},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hung is a client of a server that never answers.
func hung(t *testing.T) *agentapi.Client {
	t.Helper()
	return clientOf(t, answers(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}))
}

// TestPushTimeoutWhileSending has a server that never answers.
func TestPushTimeoutWhileSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		p := &push{timeout: 3 * time.Second, client: hung(t), err: io.Discard}
		_, err := p.send(t.Context(), t.Context(), agentapi.Push{Agent: "web-1", Message: "status"})
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 3*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// TestPushLeavesAHungServer has a second signal come while the cancel of the
// first is not answered.
func TestPushLeavesAHungServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, interrupt := context.WithCancel(t.Context())
		second, leave := context.WithCancel(t.Context())
		interrupt()
		time.AfterFunc(time.Second, leave)
		var stderr bytes.Buffer
		begin := time.Now()
		p := &push{timeout: time.Hour, client: hung(t), out: io.Discard, err: &stderr}
		err := p.follow(first, second, agentapi.Job{ID: "job-1", Code: "k7f3q2", Status: "queuing"})
		if took := time.Since(begin); took > cancelPatience || !strings.Contains(err.Error(), "#k7f3q2 may still run") {
			t.Errorf("%v after %s", err, took)
		}
		if said := stderr.String(); !strings.Contains(said, "Ctrl-C again leaves within seconds") {
			t.Errorf("said %q", said)
		}
	})
}
