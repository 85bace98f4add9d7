package httpapi

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
)

// writeTime is how long an answer may take to be written.
const writeTime = 30 * time.Second

// call is one request while it is served.
type call struct {
	api   *API
	route *route
	echo  echo.Context
	// token is who calls; zero on a route that takes anybody.
	token access.Token
	// id is the request ID, which answers and logs carry.
	id    string
	begun time.Time
	// parked says that the call is answered later, and not from here.
	parked bool
}

func (c *call) request() *http.Request   { return c.echo.Request() }
func (c *call) response() *echo.Response { return c.echo.Response() }

// serve does what all calls share: request ID, deadlines, authentication,
// answering errors, and surviving a panic. A routing error is answered as err.
func (a *API) serve(ec echo.Context, rt *route, err error) {
	c := &call{api: a, route: rt, echo: ec, begun: time.Now()}
	defer c.done()
	c.identify()
	c.setWriteDeadline(c.begun.Add(writeTime))
	if r := c.request(); r.Body != nil && r.Body != http.NoBody {
		c.setReadDeadline(c.begun.Add(a.bodyTime))
	}
	if err == nil {
		err = c.authenticate()
	}
	if err == nil {
		err = rt.handle(c)
	}
	if err != nil {
		c.problem(err)
	}
}

// done ends a call, also one that panicked.
func (c *call) done() {
	if p := recover(); p != nil {
		c.panicked(p)
	}
	if !c.parked {
		c.finished().log(c.request().Context(), c.response().Status)
	}
}

// finished is what metrics and the log show of a call.
type finished struct {
	api                *API
	route              *route
	begun              time.Time
	method, path, from string
	token, id          string
}

func (c *call) finished() finished {
	f := finished{api: c.api, route: c.route, begun: c.begun, method: c.request().Method}
	f.path, f.token, f.id = c.request().URL.Path, c.token.Name, c.id
	if c.api.log.Enabled(c.request().Context(), slog.LevelDebug) {
		f.from = c.echo.RealIP()
	}
	return f
}

func (f finished) log(ctx context.Context, status int) {
	f.api.metrics.count(f.route, f.method, status)
	if !f.api.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	f.api.log.LogAttrs(ctx, slog.LevelDebug, "request",
		slog.String("method", f.method), slog.String("path", f.path), slog.Int("status", status),
		slog.Duration("took", time.Since(f.begun)), slog.String("from", f.from),
		slog.String("token", f.token), slog.String("request_id", f.id))
}

// panicked answers 500 if nothing was answered yet, and else breaks the
// connection off, so that nobody takes half an answer for a whole one.
func (c *call) panicked(p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	c.api.metrics.panics.Inc()
	c.api.log.Error("a request panicked", "method", c.request().Method, "path", c.request().URL.Path,
		"request_id", c.id, "panic", p, "stack", string(debug.Stack()))
	if c.response().Committed {
		panic(http.ErrAbortHandler)
	}
	c.problem(fail(agentapi.ProblemInternal, "the server's log has the cause under this request_id"))
}

// identify takes over the caller's request ID if it is a sane one.
func (c *call) identify() {
	if ids := c.request().Header[echo.HeaderXRequestID]; len(ids) == 1 && saneID(ids[0]) {
		c.id = ids[0]
	} else {
		c.id = newID()
	}
}

// begin answers with a status. The headers are the caller's to set before it.
func (c *call) begin(status int) {
	c.response().Header()[echo.HeaderXRequestID] = []string{c.id}
	c.response().WriteHeader(status)
}

func saneID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, b := range []byte(id) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-', b == '_', b == '.':
		default:
			return false
		}
	}
	return true
}

// newID returns a request ID. It need not be hard to guess.
func newID() string {
	var raw [8]byte
	n := rand.Uint64() //nolint:gosec // a name, not a secret
	for i := range raw {
		raw[i] = byte(n >> (8 * i)) //nolint:gosec // the low byte is meant
	}
	return hex.EncodeToString(raw[:])
}

// Deadlines are set per request, since some answer after a minute and others
// never end. A writer that has none, as in tests, goes without.

func (c *call) setReadDeadline(at time.Time) {
	_ = http.NewResponseController(c.response().Writer).SetReadDeadline(at)
}

func (c *call) setWriteDeadline(at time.Time) {
	_ = http.NewResponseController(c.response().Writer).SetWriteDeadline(at)
}

// context returns the context of what is done at once. It does not end early:
// who goes away after asking for a job has asked for it, and a server that
// stops lets calls finish.
func (c *call) context() context.Context { return context.WithoutCancel(c.request().Context()) }

// waiting returns the context of a call that may wait that long, or stream. It
// ends when the caller goes away and when the server stops.
func (c *call) waiting(wait time.Duration) context.Context {
	c.setWriteDeadline(time.Now().Add(wait + writeTime))
	return c.request().Context()
}

// left reports whether the caller went away.
func (c *call) left() bool { return c.request().Context().Err() != nil && !c.stopping() }

// stopping reports whether the server stops.
func (c *call) stopping() bool {
	l := c.lot()
	return l != nil && l.stopping.Err() != nil
}

// lot is where the server parks calls that wait; nil on a server of others.
func (c *call) lot() *lot {
	l, _ := c.request().Context().Value(lotKey{}).(*lot)
	return l
}

// release lets go of what a call that waits needs no longer. Nothing reads a
// request's header after its handler has begun.
func (c *call) release() {
	r := c.request()
	forwarded := r.Header[echo.HeaderXForwardedFor] // for the log
	r.Header = nil
	if forwarded != nil {
		r.Header = http.Header{echo.HeaderXForwardedFor: forwarded}
	}
}

// json answers with a value.
func (c *call) json(status int, v any) error { return c.write(status, "application/json", v) }

func (c *call) noContent() error {
	c.begin(http.StatusNoContent)
	return nil
}

func (c *call) write(status int, contentType string, v any) error {
	b := bodies.Get().(*bytes.Buffer)
	defer releaseBody(b)
	if err := encodeJSON(b, v); err != nil {
		return err
	}
	h := c.response().Header()
	h["Content-Type"] = []string{contentType}
	h["Cache-Control"] = noStore
	c.begin(status)
	// An error means that the caller is gone, and there is nobody to tell.
	_, _ = c.response().Write(b.Bytes())
	return nil
}

func encodeJSON(b *bytes.Buffer, v any) error {
	if self, ok := v.(interface{ AppendJSON(b []byte) []byte }); ok {
		b.Write(append(self.AppendJSON(b.AvailableBuffer()), '\n'))
		return nil
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

var noStore = []string{"no-store"}

// problem answers with what err is to the caller, and logs what is our fault.
func (c *call) problem(err error) {
	f := failureOf(err)
	if f.problem.Status >= 500 && c.left() {
		// What the caller caused by going away need not be told.
		c.response().Status = statusClientGone
		return
	}
	p := f.tell(c.finished(), err)
	if c.response().Committed {
		return // a stream that broke off
	}
	f.headers(c.response().Header())
	if err := c.write(p.Status, problemType, p); err != nil {
		c.begin(http.StatusInternalServerError)
	}
}

// tell returns what the caller is told, and logs what is our fault.
func (f *failure) tell(of finished, err error) *agentapi.Problem {
	if f.problem.Status >= 500 {
		of.api.log.Error("a request failed", "method", of.method, "path", of.path,
			"status", f.problem.Status, "request_id", of.id, "err", err)
	}
	p := f.problem
	p.RequestID, p.Instance = of.id, of.path
	return &p
}

// statusClientGone is what logs and metrics show for a caller that went away.
const statusClientGone = 499
