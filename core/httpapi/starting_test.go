package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

func TestGate(t *testing.T) {
	t.Parallel()
	g := &Gate{}
	call := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := call("/healthz"); w.Code != http.StatusOK || w.Body.String() != "{\"status\":\"ok\"}\n" {
		t.Errorf("healthz: %d %s", w.Code, w.Body)
	}
	g.Wait(&NotReadyError{Parts: map[string]error{"database": errors.New("refused, password hunter2")}})
	for _, path := range []string{"/readyz", "/v1/jobs"} {
		w := call(path)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" ||
			!strings.Contains(w.Body.String(), agentapi.ProblemNotReady) || !strings.Contains(w.Body.String(), "not working: database") {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "hunter2") {
			t.Error("the cause is told to anybody")
		}
	}
	g.Open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	if w := call("/healthz"); w.Code != http.StatusTeapot {
		t.Errorf("once open: %d", w.Code)
	}
}

func TestReadyLeavesPartsOut(t *testing.T) {
	t.Parallel()
	broken := Checks(map[string]func(context.Context) error{
		"queue":    func(context.Context) error { return errors.New("away") },
		"database": func(context.Context) error { return nil },
	})
	e := setup(t, func(c *Config) { c.Ready = broken })
	e.call(t, http.MethodGet, "/readyz", "", "").problem(t, agentapi.ProblemNotReady)
	e.call(t, http.MethodGet, "/readyz?exclude=database", "", "").problem(t, agentapi.ProblemNotReady)
	e.call(t, http.MethodGet, "/readyz?exclude=database&exclude=queue", "", "").want(t, http.StatusOK)
}
