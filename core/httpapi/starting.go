package httpapi

import (
	"net/http"
	"sync/atomic"

	"github.com/letserverrun/skadi/core/agentapi"
)

// Gate is a handler for a server that takes calls before it can serve them,
// while it waits for its database. Until it is opened it answers /healthz as
// usual, and everything else with 503 and the parts that are missing. The zero
// Gate is closed and names no part. Its methods may be called concurrently.
type Gate struct {
	inner   atomic.Pointer[http.Handler]
	missing atomic.Pointer[NotReadyError]
}

// Wait says for what the server waits.
func (g *Gate) Wait(missing *NotReadyError) { g.missing.Store(missing) }

// Open hands every call from now on to h.
func (g *Gate) Open(h http.Handler) { g.inner.Store(&h) }

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.inner.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/healthz" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
		return
	}
	f := fail(agentapi.ProblemNotReady, "the server starts")
	if missing := g.missing.Load(); missing != nil {
		f.problem.Detail = notWorking(missing)
	}
	f.headers(w.Header())
	writeProblem(w, &f.problem)
}
