package httpapi

import (
	"context"
	_ "embed"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// readyTime is how long a part of the server may take to say that it works.
const readyTime = 3 * time.Second

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI returns the description of the API as it is served.
func OpenAPI() []byte { return slices.Clone(openAPI) }

// NotReadyError names the parts of the server that do not work.
type NotReadyError struct {
	// Parts has what is wrong with each part, by its name. The names are
	// told to anybody, the errors only to the log.
	Parts map[string]error
}

func (e *NotReadyError) Error() string {
	parts := make([]string, 0, len(e.Parts))
	for _, name := range slices.Sorted(maps.Keys(e.Parts)) {
		parts = append(parts, name+": "+e.Parts[name].Error())
	}
	return strings.Join(parts, "; ")
}

// Checks makes a Config.Ready of one check for each part of the server, such
// as "database". The checks run at the same time and get three seconds.
func Checks(checks map[string]func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, readyTime)
		defer cancel()
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			broken = map[string]error{}
		)
		for name, check := range checks {
			wg.Go(func() {
				if err := check(ctx); err != nil {
					mu.Lock()
					defer mu.Unlock()
					broken[name] = err
				}
			})
		}
		wg.Wait()
		if len(broken) > 0 {
			return &NotReadyError{Parts: broken}
		}
		return nil
	}
}

type health struct {
	Status string `json:"status"`
	// Unhealthy names the accounts that do not work.
	Unhealthy []string `json:"unhealthy_accounts,omitempty"`
}

// health says that the process serves, and nothing more.
func (c *call) health() error { return c.json(http.StatusOK, health{Status: "ok"}) }

// ready says whether the server can do its work, or which part cannot. Parts
// that the caller excludes are not looked at. An account that does not work is
// no reason to send the calls of all others elsewhere.
func (c *call) ready() error {
	if c.api.cfg.Ready != nil {
		if err := except(c.api.cfg.Ready(c.context()), c.echo.QueryParams()["exclude"]); err != nil {
			return notReady(err)
		}
	}
	return c.json(http.StatusOK, health{Status: "ready", Unhealthy: c.unhealthy()})
}

// except leaves parts out of an error of Checks.
func except(err error, excluded []string) error {
	var parts *NotReadyError
	if len(excluded) == 0 || !errors.As(err, &parts) {
		return err
	}
	rest := maps.Clone(parts.Parts)
	maps.DeleteFunc(rest, func(name string, _ error) bool { return slices.Contains(excluded, name) })
	if len(rest) == 0 {
		return nil
	}
	return &NotReadyError{Parts: rest}
}

func notReady(err error) error {
	detail := "the server's log has the cause"
	if parts := (*NotReadyError)(nil); errors.As(err, &parts) {
		detail = notWorking(parts)
	}
	return fail(agentapi.ProblemNotReady, "%s", detail).because(err)
}

func notWorking(e *NotReadyError) string {
	return "not working: " + strings.Join(slices.Sorted(maps.Keys(e.Parts)), ", ")
}

func (c *call) openAPI() error {
	c.response().Header().Set("Content-Type", "application/yaml")
	c.begin(http.StatusOK)
	_, _ = c.response().Write(openAPI)
	return nil
}

// explainProblem says what a type of problem means.
func (c *call) explainProblem() error {
	kind, ok := problemKinds["/problems/"+c.echo.Param("problem")]
	if !ok {
		return fail(agentapi.ProblemNotFound, "there is no such type of problem")
	}
	c.response().Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.begin(http.StatusOK)
	_, _ = c.response().Write([]byte(kind.Title + ".\n\n" + kind.Help + "\n"))
	return nil
}
