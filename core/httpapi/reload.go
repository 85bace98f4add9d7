package httpapi

import (
	"errors"
	"net/http"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
)

// RefusedError is a config that cannot be applied. Its text is told to whoever
// asked for it, so it must not show a secret.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the config.
func (e *RefusedError) Unwrap() error { return e.Err }

// reload has this server read its config again.
func (c *call) reload() error {
	if c.token.Space != job.DefaultSpace {
		return fail(agentapi.ProblemWrongRole, "an admin token of the space %s reloads the config", job.DefaultSpace)
	}
	if c.api.cfg.Reload == nil {
		return fail(agentapi.ProblemUnavailable, "this server does not read its config again; start it anew")
	}
	record := access.Record{
		Space: c.token.Space, Who: c.token.Principal(), Action: "config.reload", Target: "config", Allowed: true,
		Why: "an admin token",
	}
	if _, err := c.api.cfg.Auditor.Record(c.context(), record); err != nil {
		return err
	}
	done, err := c.api.cfg.Reload(c.context())
	if refused := (*RefusedError)(nil); errors.As(err, &refused) {
		return fail(agentapi.ProblemBadConfig, "%s", refused.Error())
	}
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, done)
}
