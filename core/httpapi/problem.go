package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

const problemType = "application/problem+json"

// retrySoon is what a caller is told to wait when the fault is ours and
// should pass.
const retrySoon = 2 * time.Second

// problemKind is what is fixed about one type of problem.
type problemKind struct {
	Status int
	Title  string
	// Help says what to do about it; GET on the type shows it.
	Help string
}

// problemKinds are all the problems that this API answers with.
var problemKinds = map[string]problemKind{
	agentapi.ProblemBadJSON: {
		http.StatusBadRequest, "The body is not the JSON that this call takes",
		"Send one JSON object in UTF-8, with each name once and nothing after it. The detail says where it went wrong.",
	},
	agentapi.ProblemUnknownField: {
		http.StatusBadRequest, "The body has a field that this call does not know",
		"Check its spelling: names are compared exactly. A field that did nothing would hide a mistake, so it is refused.",
	},
	agentapi.ProblemBadParameter: {
		http.StatusBadRequest, "A parameter or header has a bad value",
		"The field names the query parameter or header, the detail what it takes.",
	},
	agentapi.ProblemBadRequest: {
		http.StatusBadRequest, "The request cannot be read",
		"The body broke off or the request is malformed. Send it again, whole.",
	},
	agentapi.ProblemInvalidValue: {
		http.StatusUnprocessableEntity, "A field has a value that cannot be accepted",
		"The field names the value at fault, the detail what it must be. Sending the same again does not help.",
	},
	agentapi.ProblemCallbacksOff: {
		http.StatusUnprocessableEntity, "This server delivers no callbacks",
		"Add a secret to callbacks.secrets of the config; or leave callback_url out, and wait with ?wait= or read GET /v1/events instead.",
	},
	agentapi.ProblemKeyReused: {
		http.StatusUnprocessableEntity, "The Idempotency-Key was used for a different request",
		"Take a new key for each new job; repeat a key only with the very same job.",
	},
	agentapi.ProblemNoToken: {
		http.StatusUnauthorized, "A token is needed",
		"Send the header Authorization: Bearer skd_…; skadi tokens create makes one.",
	},
	agentapi.ProblemBadToken: {
		http.StatusUnauthorized, "The token is unknown or was revoked",
		"Check that the whole token was copied; skadi tokens create makes another.",
	},
	agentapi.ProblemWrongRole: {
		http.StatusForbidden, "A token of this role may not make this call",
		"The detail says which roles may. skadi tokens create NAME --role makes a token of another role.",
	},
	agentapi.ProblemNotAllowed: {
		http.StatusForbidden, "No access rule allows this",
		"The rule says what would have to stand in access.rules of the config.",
	},
	agentapi.ProblemChannelNotAllowed: {
		http.StatusForbidden, "The agent may not speak in that channel",
		"An agent speaks in the conversations of its own jobs, and in the channels that list it: channels.NAME.agents of the config.",
	},
	agentapi.ProblemPlainHTTP: {
		http.StatusForbidden, "Unencrypted calls are taken from the trusted proxies alone",
		"Connect over https, or list the proxy in trusted_proxies of the config.",
	},
	agentapi.ProblemNotFound: {
		http.StatusNotFound, "There is nothing at this path",
		"GET /openapi.yaml lists every call.",
	},
	agentapi.ProblemMethodNotAllowed: {
		http.StatusMethodNotAllowed, "This path takes other methods",
		"The header Allow lists them.",
	},
	agentapi.ProblemUnknownAgent: {
		http.StatusNotFound, "There is no agent of that name",
		"GET /v1/agents lists the agents; skadi agents create adds one.",
	},
	agentapi.ProblemUnknownJob: {
		http.StatusNotFound, "There is no such job",
		"It was never made or is past its retention, or this token may not see it: a push token sees its own jobs and what the rules show it, an agent its own jobs.",
	},
	agentapi.ProblemBodyTimeout: {
		http.StatusRequestTimeout, "The body did not arrive in time",
		"Send it again over a better connection, or send less at once.",
	},
	agentapi.ProblemConflict: {
		http.StatusConflict, "The state of things does not allow this",
		"The detail says why; where a job is concerned, it is included as it stands.",
	},
	agentapi.ProblemJobFinal: {
		http.StatusConflict, "The job is final and never changes again",
		"The job is included as it stands. A late report is kept with it, in its late list.",
	},
	agentapi.ProblemWrongLease: {
		http.StatusConflict, "The lease is not the job's current one",
		"Only the holder of the current lease may start or report a job. An agent drops a job that it gets this for.",
	},
	agentapi.ProblemOutputGap: {
		http.StatusConflict, "A piece of output is missing before this one",
		"Send the piece whose sequence number is in expected, then go on from there.",
	},
	agentapi.ProblemBadConfig: {
		http.StatusConflict, "The config has errors, so nothing of it was applied",
		"The detail says where, by file, line and column. The server works on as before; mend the file and reload again.",
	},
	agentapi.ProblemAgentExists: {
		http.StatusConflict, "An agent of that name exists",
		"Take another name, remove that agent first, or ask for a new token: POST /v1/agents/{name}/token.",
	},
	agentapi.ProblemOtherInstance: {
		http.StatusConflict, "Another live process polls with this agent's token",
		"One process at a time serves an agent. Stop the other one, or make an agent of its own for this one.",
	},
	agentapi.ProblemJobGone: {
		http.StatusGone, "The job that this Idempotency-Key made is no longer kept",
		"It was made, and is past its retention. Take a new key to have it done once more.",
	},
	agentapi.ProblemAgentRemoved: {
		http.StatusGone, "This agent was removed",
		"Stop calling. Create the agent again and give it the new token if it should go on.",
	},
	agentapi.ProblemTooLarge: {
		http.StatusRequestEntityTooLarge, "The body is too large",
		"The detail says how much this call takes.",
	},
	agentapi.ProblemRateLimited: {
		http.StatusTooManyRequests, "Too many failed logins from this address, or messages of this agent",
		"Wait as long as Retry-After says; after failed logins, mend the token first.",
	},
	agentapi.ProblemInternal: {
		http.StatusInternalServerError, "The server made a mistake",
		"The server's log has the cause under the request_id. Trying again may help.",
	},
	agentapi.ProblemUnavailable: {
		http.StatusServiceUnavailable, "The server cannot do this at the moment",
		"Nothing is known to have been stored. Try again after Retry-After, with the same Idempotency-Key.",
	},
	agentapi.ProblemNotReady: {
		http.StatusServiceUnavailable, "The server is not ready",
		"The detail names the parts that do not work; the server's log has the causes.",
	},
	agentapi.ProblemDiskFull: {
		http.StatusInsufficientStorage, "The server's disk is full",
		"Nothing was stored. Free some space on the server, then try again.",
	},
}

// failure is an error that knows what the caller is told about it.
type failure struct {
	problem agentapi.Problem
	// retryAfter is sent as Retry-After unless it is 0.
	retryAfter time.Duration
	// cause is logged and not told.
	cause error
}

func (f *failure) Error() string {
	if f.cause != nil {
		return f.problem.Error() + ": " + f.cause.Error()
	}
	return f.problem.Error()
}

func (f *failure) Unwrap() error { return f.cause }

// fail makes a failure of one of the problemKinds.
func fail(kind, format string, args ...any) *failure {
	k := problemKinds[kind]
	f := &failure{problem: agentapi.Problem{Type: kind, Title: k.Title, Status: k.Status}}
	if len(args) == 0 {
		f.problem.Detail = format
	} else {
		f.problem.Detail = fmt.Sprintf(format, args...)
	}
	if k.Status == http.StatusServiceUnavailable {
		f.retryAfter = retrySoon
	}
	return f
}

// at names the field at fault.
func (f *failure) at(field string) *failure {
	f.problem.Field = field
	return f
}

// with shows the job as it stands.
func (f *failure) with(j job.Job) *failure {
	if j.ID != "" {
		w := wireJob(j)
		f.problem.Job = &w
	}
	return f
}

func (f *failure) because(cause error) *failure {
	f.cause = cause
	return f
}

// failureOf says what a caller is told about err.
func failureOf(err error) *failure {
	var (
		known   *failure
		invalid *job.InvalidError
		gap     *job.GapError
		routing *echo.HTTPError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &invalid):
		return fail(agentapi.ProblemInvalidValue, "%s", err.Error()).at(invalid.Field)
	case errors.As(err, &gap):
		f := fail(agentapi.ProblemOutputGap, "%s", err.Error())
		f.problem.Expected = gap.Expected
		return f
	case errors.As(err, &routing):
		return routingFailure(routing)
	}
	for _, m := range jobFailures {
		if errors.Is(err, m.err) {
			detail := m.own
			if detail == "" {
				detail = err.Error()
			}
			return fail(m.kind, "%s", detail).because(err)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fail(agentapi.ProblemUnavailable, "it took too long and was given up").because(err)
	}
	return fail(agentapi.ProblemInternal, "the server's log has the cause under this request_id").because(err)
}

// jobFailures are the errors of core/job and what they are told as, the
// special ones before the general.
var jobFailures = []struct {
	err  error
	kind string
	// own is told instead of the error's text, where that may say too much.
	own string
}{
	{err: job.ErrFull, kind: agentapi.ProblemDiskFull, own: "there is no room to store this"},
	{err: job.ErrUnavailable, kind: agentapi.ProblemUnavailable, own: "the database cannot be reached"},
	{err: job.ErrNotFound, kind: agentapi.ProblemUnknownJob, own: "there is no such job, or none that this token may see"},
	{err: job.ErrUnknownAgent, kind: agentapi.ProblemUnknownAgent},
	{err: job.ErrAgentRemoved, kind: agentapi.ProblemAgentRemoved},
	{err: job.ErrExists, kind: agentapi.ProblemAgentExists},
	{err: job.ErrKeyReused, kind: agentapi.ProblemKeyReused},
	{err: job.ErrInstance, kind: agentapi.ProblemOtherInstance},
	{err: job.ErrFinal, kind: agentapi.ProblemJobFinal},
	{err: job.ErrLease, kind: agentapi.ProblemWrongLease},
	{err: job.ErrConflict, kind: agentapi.ProblemConflict},
}

// routingFailure translates what echo itself answers.
func routingFailure(e *echo.HTTPError) *failure {
	switch e.Code {
	case http.StatusNotFound:
		return fail(agentapi.ProblemNotFound, "GET /openapi.yaml lists every call")
	case http.StatusMethodNotAllowed:
		return fail(agentapi.ProblemMethodNotAllowed, "the header Allow lists the methods that this path takes")
	}
	if e.Code >= 400 && e.Code < 500 {
		return fail(agentapi.ProblemBadRequest, "the request is malformed").because(e)
	}
	return fail(agentapi.ProblemInternal, "the server's log has the cause under this request_id").because(e)
}

// headers sets what goes with the problem's status.
func (f *failure) headers(h http.Header) {
	switch f.problem.Type {
	case agentapi.ProblemNoToken:
		h.Set("WWW-Authenticate", `Bearer realm="skadi"`)
	case agentapi.ProblemBadToken:
		h.Set("WWW-Authenticate", `Bearer realm="skadi", error="invalid_token"`)
	}
	if f.retryAfter > 0 {
		seconds := int64((f.retryAfter + time.Second - 1) / time.Second)
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
}

// writeProblem answers where there is no call yet.
func writeProblem(w http.ResponseWriter, p *agentapi.Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}
