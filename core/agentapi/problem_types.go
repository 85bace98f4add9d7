package agentapi

// The types of Problem. They are stable: programs decide by them. Each is a
// reference that the server itself answers with an explanation.
const (
	// ProblemBadJSON: the body is not the JSON that the call takes.
	ProblemBadJSON = "/problems/bad-json"
	// ProblemUnknownField: the body has a field that the call does not know.
	ProblemUnknownField = "/problems/unknown-field"
	// ProblemBadParameter: a query parameter or header has a bad value.
	ProblemBadParameter = "/problems/bad-parameter"
	// ProblemBadRequest: the request is malformed in another way.
	ProblemBadRequest = "/problems/bad-request"
	// ProblemInvalidValue: a field has a value that can never be accepted.
	ProblemInvalidValue = "/problems/invalid-value"
	// ProblemCallbacksOff: the server delivers no callbacks.
	ProblemCallbacksOff = "/problems/callbacks-off"
	// ProblemKeyReused: the Idempotency-Key came before with another body.
	ProblemKeyReused = "/problems/idempotency-key-reused"
	// ProblemNoToken: the request carries no bearer token.
	ProblemNoToken = "/problems/no-token"
	// ProblemBadToken: the token is unknown or was revoked.
	ProblemBadToken = "/problems/bad-token"
	// ProblemWrongRole: the token's role may not make this call.
	ProblemWrongRole = "/problems/wrong-role"
	// ProblemNotAllowed: no access rule allows it.
	ProblemNotAllowed = "/problems/not-allowed"
	// ProblemChannelNotAllowed: the agent may not speak in that channel.
	ProblemChannelNotAllowed = "/problems/channel-not-allowed"
	// ProblemPlainHTTP: the call came unencrypted from an address that may not.
	ProblemPlainHTTP = "/problems/plain-http"
	// ProblemNotFound: there is nothing at this path.
	ProblemNotFound = "/problems/not-found"
	// ProblemMethodNotAllowed: the path takes other methods.
	ProblemMethodNotAllowed = "/problems/method-not-allowed"
	// ProblemUnknownAgent: there is no agent of that name.
	ProblemUnknownAgent = "/problems/unknown-agent"
	// ProblemUnknownJob: there is no such job, or none that the caller may see.
	ProblemUnknownJob = "/problems/unknown-job"
	// ProblemBodyTimeout: the body did not arrive in time.
	ProblemBodyTimeout = "/problems/body-timeout"
	// ProblemConflict: the state of the job or agent does not allow it.
	ProblemConflict = "/problems/conflict"
	// ProblemJobFinal: the job is final and never changes again.
	ProblemJobFinal = "/problems/job-final"
	// ProblemWrongLease: the lease is not the job's current one.
	ProblemWrongLease = "/problems/wrong-lease"
	// ProblemOutputGap: a piece of output is missing before this one.
	ProblemOutputGap = "/problems/output-gap"
	// ProblemBadConfig: the config has errors, and the one before stays.
	ProblemBadConfig = "/problems/bad-config"
	// ProblemAgentExists: an agent of that name exists.
	ProblemAgentExists = "/problems/agent-exists"
	// ProblemOtherInstance: another live process polls with this token.
	ProblemOtherInstance = "/problems/other-instance"
	// ProblemJobGone: the job that an Idempotency-Key made is no longer kept.
	ProblemJobGone = "/problems/job-gone"
	// ProblemAgentRemoved: the agent that calls was removed.
	ProblemAgentRemoved = "/problems/agent-removed"
	// ProblemTooLarge: the body is too large.
	ProblemTooLarge = "/problems/too-large"
	// ProblemRateLimited: too many failed logins from this address, or messages
	// of this agent.
	ProblemRateLimited = "/problems/rate-limited"
	// ProblemInternal: the server made a mistake; its log has the request ID.
	ProblemInternal = "/problems/internal"
	// ProblemUnavailable: the database cannot be reached at the moment.
	ProblemUnavailable = "/problems/unavailable"
	// ProblemNotReady: a part of the server does not work yet, or no longer.
	ProblemNotReady = "/problems/not-ready"
	// ProblemDiskFull: the server's disk is full.
	ProblemDiskFull = "/problems/disk-full"
)
