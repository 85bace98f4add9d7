package chattest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Called is what a Far holds whose adapter, of type A, is called over HTTP: the
// adapter of the moment, which a restart replaces, and a server that passes
// calls on to it. The zero value holds none. It is safe for use by many
// goroutines.
type Called[A chat.Adapter] struct {
	mu   sync.Mutex
	now  A
	host *httptest.Server // nil: not yet
}

// Put makes a the adapter that is called from now on. The server ends with the
// test that put the first one.
func (c *Called[A]) Put(t *testing.T, a A) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = a
	if c.host != nil {
		return
	}
	c.host = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called, ok := c.Adapter().(chat.Pushed)
		if !ok {
			http.NotFound(w, r)
			return
		}
		called.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(c.host.Close)
}

// Now returns the adapter that was put last.
func (c *Called[A]) Now() A {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Adapter is Now, as Far has it.
func (c *Called[A]) Adapter() chat.Adapter { return c.Now() }

// Call makes a call to the adapter, whatever host r names, and returns the
// answer's status and body. The status is 0 if there was no whole answer within
// the time that the far side waits.
func (c *Called[A]) Call(r *http.Request, wait time.Duration) (status int, body []byte) {
	c.mu.Lock()
	addr := c.host.Listener.Addr().String()
	c.mu.Unlock()
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", addr, ""
	client := http.Client{Timeout: wait, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err = io.ReadAll(answer.Body); err != nil {
		return 0, nil
	}
	return answer.StatusCode, body
}
