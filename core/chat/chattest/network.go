package chattest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// elsewhere is a host that is not the far side's.
const elsewhere = "elsewhere.invalid"

// network is the way from the adapter to its far side. Calls can be led to a
// server of the suite, over a real connection, so that any trouble can be made
// without the far side's help.
type network struct {
	*http.Transport

	mu    sync.Mutex
	calls int
	// to is where calls go, as scheme and host; empty is where they were meant
	// to go.
	to, scheme string
	// limit is how long a call may take; 0 is for ever.
	limit time.Duration
	// leaked is what was sent elsewhere: header and body of each call.
	leaked []string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{Transport: &http.Transport{}}
	t.Cleanup(n.CloseIdleConnections)
	return n
}

// RoundTrip implements http.RoundTripper.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Hostname() == elsewhere {
		return n.leak(r)
	}
	n.mu.Lock()
	n.calls++
	to, scheme, limit := n.to, n.scheme, n.limit
	n.mu.Unlock()
	if to == "" {
		return n.Transport.RoundTrip(r)
	}
	ctx, cancel := r.Context(), context.CancelFunc(func() {})
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	}
	led := r.Clone(ctx)
	if led.Host == "" {
		led.Host = r.URL.Host
	}
	led.URL.Scheme, led.URL.Host = scheme, to
	answer, err := n.Transport.RoundTrip(led)
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Request = r
	answer.Body = &body{answer.Body, cancel}
	return answer, nil
}

type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// leak takes down what is sent elsewhere.
func (n *network) leak(r *http.Request) (*http.Response, error) {
	var text bytes.Buffer
	_, _ = io.WriteString(&text, r.URL.String()+"\n")
	_ = r.Header.Write(&text)
	if r.Body != nil {
		_, _ = io.Copy(&text, r.Body)
		_ = r.Body.Close()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.leaked = append(n.leaked, text.String())
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(`{"ok":true,"id":"1"}`)),
	}, nil
}

// led leads every call to a place, and counts them from 0.
func (n *network) led(scheme, to string, limit time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.scheme, n.to, n.limit, n.calls = scheme, to, limit, 0
}

// mended lets calls reach the far side again.
func (n *network) mended() { n.led("", "", 0) }

func (n *network) called() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls
}

func (n *network) whatLeaked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.leaked...)
}

// answers has every call answered by h.
func (n *network) answers(t *testing.T, h http.HandlerFunc) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	n.led("http", srv.Listener.Addr().String(), 0)
}

// answersWith has every call answered with a status, as a server in between
// answers that knows nothing of the channel.
func (n *network) answersWith(t *testing.T, status int, header http.Header) {
	t.Helper()
	n.answers(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<html><h1>"+http.StatusText(status)+"</h1></html>")
	})
}

// refuses has every connection refused: nobody serves tcpmux, and no other
// test is given its port.
func (n *network) refuses() { n.led("http", "127.0.0.1:1", 0) }

// resets has every connection reset once the call is there.
func (n *network) resets(t *testing.T) {
	t.Helper()
	n.answers(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
}

// truncates has every answer end in its midst.
func (n *network) truncates(t *testing.T) {
	t.Helper()
	n.answers(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"ok": true, "id": "1`)
	})
}

// shortly is how long a call may take that is never answered.
const shortly = 50 * time.Millisecond

// holds has no call answered, and tells when one is there. Unless limit is 0,
// each is given up after it.
func (n *network) holds(t *testing.T, limit time.Duration) (arrived <-chan struct{}) {
	t.Helper()
	there, end := make(chan struct{}, 1), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case there <- struct{}{}:
		default:
		}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(end); srv.Close() })
	n.led("http", srv.Listener.Addr().String(), limit)
	return there
}

// isForged has every call reach a server whose certificate nobody trusts.
func (n *network) isForged(t *testing.T) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a call reached a server whose certificate nobody trusts")
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	n.led("https", srv.Listener.Addr().String(), 0)
}

// redirects has every call sent elsewhere.
func (n *network) redirects(t *testing.T, status int) {
	t.Helper()
	n.answers(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Location", "https://"+elsewhere+"/here")
		w.WriteHeader(status)
	})
}
