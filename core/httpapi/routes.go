package httpapi

import (
	"net/http"

	"github.com/letserverrun/skadi/core/access"
)

const pathMetrics = "/metrics"

// route is one call of the API.
type route struct {
	method string
	path   string
	// roles are the tokens that may call; none means anybody, without one.
	roles  []access.Role
	handle func(*call) error
	// body is the largest body; nil for a call that takes none.
	body func(*API) int64
}

var (
	anybody    []access.Role
	admins     = []access.Role{access.RoleAdmin}
	pushers    = []access.Role{access.RoleAdmin, access.RolePush}
	readers    = []access.Role{access.RoleAdmin, access.RolePush, access.RoleRead}
	spaceWide  = []access.Role{access.RoleAdmin, access.RoleRead}
	agentsOnly = []access.Role{access.RoleAgent}
)

// routes are all the calls there are, but for the mounts of adapters.
var routes = []route{
	{http.MethodPost, "/v1/jobs", pushers, (*call).push, pushBody},
	{http.MethodPost, "/v1/jobs/batch", pushers, (*call).pushBatch, anyBody},
	{http.MethodGet, "/v1/jobs", readers, (*call).listJobs, nil},
	{http.MethodGet, "/v1/jobs/:id", readers, (*call).getJob, nil},
	{http.MethodPost, "/v1/jobs/:id/cancel", pushers, (*call).cancelJob, nil},
	{http.MethodGet, "/v1/jobs/:id/output", readers, (*call).streamOutput, nil},
	{http.MethodGet, "/v1/events", spaceWide, (*call).streamEvents, nil},

	{http.MethodGet, "/v1/agents", readers, (*call).listAgents, nil},
	{http.MethodPost, "/v1/agents", admins, (*call).createAgent, smallBody},
	{http.MethodDelete, "/v1/agents/:name", admins, (*call).removeAgent, nil},
	{http.MethodPost, "/v1/agents/:name/token", admins, (*call).rotateToken, nil},

	{http.MethodGet, "/v1/nodes", admins, (*call).listNodes, nil},
	{http.MethodGet, "/v1/accounts", admins, (*call).listAccounts, nil},
	{http.MethodPost, "/v1/reload", admins, (*call).reload, nil},

	{http.MethodPost, "/v1/agent/poll", agentsOnly, (*call).poll, pollBody},
	{http.MethodPost, "/v1/agent/starts", agentsOnly, (*call).start, pollBody},
	{http.MethodPost, "/v1/agent/jobs/:id/output", agentsOnly, (*call).output, outputBody},
	{http.MethodPost, "/v1/agent/jobs/:id/result", agentsOnly, (*call).result, reportBody},
	{http.MethodPost, "/v1/agent/results", agentsOnly, (*call).results, anyBody},
	{http.MethodPost, "/v1/agent/messages", agentsOnly, (*call).say, pushBody},

	{http.MethodGet, "/healthz", anybody, (*call).health, nil},
	{http.MethodGet, "/readyz", anybody, (*call).ready, nil},
	{http.MethodGet, pathMetrics, anybody, (*call).showMetrics, nil},
	{http.MethodGet, "/openapi.yaml", anybody, (*call).openAPI, nil},
	{http.MethodGet, "/problems/:problem", anybody, (*call).explainProblem, nil},
}

// unrouted answers what no route takes, and mount what adapters take.
var (
	unrouted = route{path: "other", handle: func(*call) error { return nil }}
	mount    = route{path: "/adapters/:account/*", handle: (*call).adapter, body: mountBody}
)

// The largest body that each call needs. A text may be all escapes.

func smallBody(*API) int64    { return 4 << 10 }
func pollBody(*API) int64     { return 1 << 20 }
func mountBody(*API) int64    { return 8 << 20 }
func anyBody(a *API) int64    { return a.body.Load() }
func pushBody(a *API) int64   { return jsonGrowth*int64(a.limits().MessageBytes) + smallBody(a) }
func outputBody(a *API) int64 { return jsonGrowth*int64(a.limits().LiveBytes) + smallBody(a) }
func reportBody(a *API) int64 { return jsonGrowth*int64(a.limits().OutputBytes) + smallBody(a) }

// limit is the largest body that the route takes.
func (rt *route) limit(a *API) int64 {
	if rt.body == nil {
		return 0
	}
	return min(rt.body(a), a.body.Load())
}
