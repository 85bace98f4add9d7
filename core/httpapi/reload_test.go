package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestReload(t *testing.T) {
	t.Parallel()
	var fault error
	e := setup(t, func(c *Config) {
		c.Reload = func(context.Context) (agentapi.Reloaded, error) {
			none := []string{}
			return agentapi.Reloaded{Node: "n", Applied: []string{"access"}, Restart: []string{"listen"}, Added: none, Changed: none, Removed: none}, fault
		}
	})
	reload := func(token string) answer { return e.call(t, http.MethodPost, "/v1/reload", token, "") }
	if done := as[agentapi.Reloaded](t, reload(e.admin), http.StatusOK); done.Applied[0] != "access" || done.Restart[0] != "listen" {
		t.Errorf("%+v", done)
	}
	reload(e.ci).problem(t, agentapi.ProblemWrongRole)
	reload(e.web1).problem(t, agentapi.ProblemWrongRole)
	fault = &RefusedError{errors.New("skadi.yaml:1:1: no")}
	if p := reload(e.admin).problem(t, agentapi.ProblemBadConfig); p.Detail != "skadi.yaml:1:1: no" {
		t.Errorf("%+v", p)
	}
	fault = errors.New("a secret of ours")
	if p := reload(e.admin).problem(t, agentapi.ProblemInternal); strings.Contains(p.Detail, "secret") {
		t.Errorf("%+v", p)
	}
	e = setup(t)
	e.call(t, http.MethodPost, "/v1/reload", e.admin, "").problem(t, agentapi.ProblemUnavailable)
}

func TestLimitsThatChange(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) { c.BodyBytes = 1000 })
	long := `{"agent":"web-1","message":"` + strings.Repeat("x", 2000) + `"}`
	e.call(t, http.MethodPost, "/v1/jobs", e.admin, long).problem(t, agentapi.ProblemTooLarge)
	e.api.LimitBodies(0)
	e.call(t, http.MethodPost, "/v1/jobs", e.admin, long).want(t, http.StatusCreated)
}
