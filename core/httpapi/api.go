// Package httpapi serves Skadi's HTTP API, version 1: jobs for people and CI
// systems, the agents' side, live output and events, and the mounts of
// adapters that receive over HTTP.
//
// openapi.yaml in this package describes every call; a test holds it against
// the routes and the wire types of core/agentapi.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue"
)

// Queue tells live what happens in a space.
type Queue interface {
	// Subscribe returns the events of the space from now on, all that there
	// are at a time. The channel is closed when ctx ends, and when the reader
	// falls too far behind.
	Subscribe(ctx context.Context, space string) (<-chan []queue.Message, error)
}

// Config is what an API works with. Jobs, Policy, Tokens and Auditor
// are required.
type Config struct {
	Jobs *job.Service
	// Policy returns the access rules that hold now.
	Policy func() *access.Policy
	Tokens *access.Tokens
	// Auditor keeps what was refused and what administrators did.
	Auditor *access.Auditor
	// Queue may be nil: then GET /v1/events answers 503.
	Queue Queue
	// Nodes may be nil: then GET /v1/nodes answers 503.
	Nodes *node.Registry
	// Accounts tells how the accounts do; nil means that there are none.
	Accounts *events.Accounts
	// Callback says why a callback_url may not be called, or nil; with
	// job.ErrCallbacksOff none may. nil: none may.
	Callback func(url string) error
	// Channels are where agents may speak of their own accord; nil: nowhere.
	Channels Channels
	Clock    chat.Clock
	Logger   *slog.Logger
	// BodyBytes is the largest body of any call; 0 means 16 MiB. See also
	// API.LimitBodies.
	BodyBytes int64
	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Mount returns the handler of an account's adapter, and false if it has
	// none now. It is called below /adapters/{account}/, which is cut off the
	// path that the handler sees. Nil means that there are none.
	Mount func(account string) (http.Handler, bool)
	// Reload reads the config again; nil means that this server cannot. An
	// error of the config is a *RefusedError.
	Reload func(ctx context.Context) (agentapi.Reloaded, error)
	// Ready says whether the server can do its work; see Checks. Nil means
	// that it always can.
	Ready func(ctx context.Context) error
	// Traceparent returns what the agent of a job hands on for the job's
	// trace, as W3C Trace Context writes it; empty if there is no trace. nil:
	// there are none.
	Traceparent func(id string, attempt int) string
	// Arrived notes in the context of a call when it came, and the
	// traceparent that came with it. nil: nobody wants to know.
	Arrived func(ctx context.Context, at time.Time, traceparent string) context.Context
	// MetricsElsewhere leaves /metrics out of Handler, for a server that
	// shows Metrics on an address of its own.
	MetricsElsewhere bool
}

const defaultBodyBytes = 16 << 20

// API is the HTTP API. Its methods may be called concurrently.
type API struct {
	cfg      Config
	log      *slog.Logger
	clock    chat.Clock
	body     atomic.Int64
	throttle *throttle
	proxied  chat.Rarely // that calls come by a proxy that is not known
	speech   *speech
	metrics  *metrics
	echo     *echo.Echo
	// Tests shorten these.
	keepAlive, bodyTime, parkAfter, streamWrite time.Duration
}

// New makes an API. It calls nothing yet.
func New(cfg Config) *API {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Traceparent == nil {
		cfg.Traceparent = func(string, int) string { return "" }
	}
	if cfg.Arrived == nil {
		cfg.Arrived = func(ctx context.Context, _ time.Time, _ string) context.Context { return ctx }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &API{
		cfg:       cfg,
		log:       cfg.Logger,
		clock:     cfg.Clock,
		throttle:  newThrottle(),
		speech:    newSpeech(),
		metrics:   newMetrics(),
		keepAlive: keepAlive, bodyTime: bodyTime, parkAfter: parkAfter, streamWrite: streamWrite,
	}
	if cfg.Nodes != nil {
		a.metrics.registry.MustRegister(nodeCollector{cfg.Nodes})
	}
	if cfg.Accounts != nil {
		a.metrics.registry.MustRegister(accountCollector{cfg.Accounts})
	}
	a.LimitBodies(cfg.BodyBytes)
	a.echo = a.router()
	return a
}

// LimitBodies sets the largest body of any call that comes from now on; 0
// means 16 MiB.
func (a *API) LimitBodies(bytes int64) {
	if bytes <= 0 {
		bytes = defaultBodyBytes
	}
	a.body.Store(bytes)
}

// limits are those that hold now.
func (a *API) limits() job.Limits { return a.cfg.Jobs.Limits() }

// Handler returns the handler of every call. Serve it with [Serve], which
// ends waiting calls when the server stops.
func (a *API) Handler() http.Handler { return a.echo }

// router registers every route. Echo's middlewares are not used: what all
// calls share is one function, call.serve, so that a waiting call keeps a
// small stack.
func (a *API) router() *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = ipExtractor(a.cfg.TrustedProxies)
	e.HTTPErrorHandler = func(err error, c echo.Context) { a.serve(c, &unrouted, err) }
	for i := range routes {
		rt := &routes[i]
		if rt.path == pathMetrics && a.cfg.MetricsElsewhere {
			continue
		}
		e.Add(rt.method, rt.path, func(c echo.Context) error {
			a.serve(c, rt, nil)
			return nil
		})
	}
	mounted := func(c echo.Context) error {
		a.serve(c, &mount, nil)
		return nil
	}
	for _, path := range []string{"/adapters/:account", "/adapters/:account/*"} {
		e.Any(path, mounted)
	}
	return e
}
