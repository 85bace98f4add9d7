package httpapi

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the API's own, on a registry that others may add theirs to.
type metrics struct {
	registry     *prometheus.Registry
	requests     *prometheus.CounterVec
	failedLogins prometheus.Counter
	panics       prometheus.Counter
	handler      http.Handler
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skadi_http_requests_total", Help: "Requests answered, by route and status.",
		}, []string{"method", "route", "status"}),
		failedLogins: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skadi_http_failed_logins_total", Help: "Requests with a token that is unknown or was revoked.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skadi_http_panics_total", Help: "Requests that ended in a panic. Each is a bug: the log has it.",
		}),
	}
	m.registry.MustRegister(m.requests, m.failedLogins, m.panics,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) count(rt *route, method string, status int) {
	if rt.method == "" {
		method = "" // anybody may make up methods
	}
	m.requests.WithLabelValues(method, rt.path, strconv.Itoa(status)).Inc()
}

// Registry is where the metrics are; other parts may register theirs too.
func (a *API) Registry() prometheus.Registerer { return a.metrics.registry }

// Metrics returns the handler that shows the metrics.
func (a *API) Metrics() http.Handler { return a.metrics.handler }

func (c *call) showMetrics() error {
	c.api.metrics.handler.ServeHTTP(c.response(), c.request())
	return nil
}
