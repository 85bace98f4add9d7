package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
)

// paths puts something into a route's parameters.
func examplePath(rt route) string {
	return strings.NewReplacer(":id", "k7f3q2", ":name", "web-9", ":problem", "x").Replace(rt.path)
}

func TestEveryRouteWantsItsRoles(t *testing.T) {
	t.Parallel()
	e := setup(t)
	tokens := map[access.Role]string{access.RoleAdmin: e.admin, access.RolePush: e.ci, access.RoleRead: e.reader, access.RoleAgent: e.web1}
	for _, rt := range routes {
		if len(rt.roles) == 0 {
			continue
		}
		a := e.call(t, rt.method, examplePath(rt), "", "")
		a.problem(t, agentapi.ProblemNoToken)
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: WWW-Authenticate is %q", a.what, a.header.Get("WWW-Authenticate"))
		}
		for role, token := range tokens {
			if slices.Contains(rt.roles, role) {
				continue
			}
			p := e.call(t, rt.method, examplePath(rt), token, "").problem(t, agentapi.ProblemWrongRole)
			if !strings.Contains(p.Detail, string(role)) || !strings.Contains(p.Detail, string(rt.roles[0])) {
				t.Errorf("%s %s: %q names no roles", rt.method, rt.path, p.Detail)
			}
		}
	}
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	e := setup(t)
	revoked := e.token(t, "old", access.RoleAdmin)
	if err := e.tokens.Revoke(t.Context(), "default", "old"); err != nil {
		t.Fatal(err)
	}
	wrong, _ := access.NewToken()
	for name, token := range map[string]string{
		"revoked": revoked, "unknown": wrong.Reveal(), "nonsense": "nonsense", "cut": e.admin[:20], "with more": e.admin + "a",
	} {
		a := e.call(t, http.MethodGet, "/v1/jobs", token, "")
		a.problem(t, agentapi.ProblemBadToken)
		if !strings.Contains(a.header.Get("WWW-Authenticate"), "invalid_token") {
			t.Errorf("%s: WWW-Authenticate is %q", name, a.header.Get("WWW-Authenticate"))
		}
	}
	for _, header := range []string{"Basic " + e.admin, "Bearer", "Bearer ", e.admin} {
		e.call(t, http.MethodGet, "/v1/jobs", "", "", "Authorization", header).problem(t, agentapi.ProblemNoToken)
	}
	e.call(t, http.MethodGet, "/v1/jobs", e.admin, "", "Authorization", "Bearer x").problem(t, agentapi.ProblemNoToken)
	e.call(t, http.MethodGet, "/v1/jobs", "", "", "Authorization", "bearer  "+e.admin).want(t, http.StatusOK)
	if strings.Contains(e.logged.String(), e.admin) || strings.Contains(e.logged.String(), revoked) {
		t.Error("the log has a token")
	}
}

func TestFailedLoginsAreLimited(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	from := func(addr, token string) answer {
		return e.call(t, http.MethodGet, "/v1/agents", token, "", "X-Forwarded-For", addr)
	}
	from("192.0.2.1", e.ci).want(t, http.StatusOK)
	for range failedBurst {
		from("192.0.2.1", "skd_guess").problem(t, agentapi.ProblemBadToken)
	}
	a := from("192.0.2.1", "skd_guess")
	a.problem(t, agentapi.ProblemRateLimited)
	if a.header.Get("Retry-After") != "6" {
		t.Errorf("Retry-After is %q; want 6", a.header.Get("Retry-After"))
	}
	from("192.0.2.1", e.ops).problem(t, agentapi.ProblemRateLimited) // not known to be good
	from("192.0.2.1", e.ci).want(t, http.StatusOK)                   // was good before
	from("192.0.2.2", e.ops).want(t, http.StatusOK)                  // elsewhere
	e.clock.advance(failedEvery)
	from("192.0.2.1", "skd_guess").problem(t, agentapi.ProblemBadToken)
	from("192.0.2.1", "skd_guess").problem(t, agentapi.ProblemRateLimited)
}

func TestCallersBehindAnUnknownProxyAreNotShutOut(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for range 2 * failedBurst {
		e.call(t, http.MethodGet, "/v1/agents", "skd_guess", "", "X-Forwarded-For", "192.0.2.1").problem(t, agentapi.ProblemBadToken)
	}
	e.call(t, http.MethodGet, "/v1/agents", e.ops, "", "X-Forwarded-For", "192.0.2.2").want(t, http.StatusOK)
	if n := strings.Count(e.logged.String(), "trusted_proxies"); n != 1 {
		t.Errorf("the log says %d times what to do", n)
	}
}
