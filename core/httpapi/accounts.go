package httpapi

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// MountPath is the path below which the adapter of an account is called.
func MountPath(account string) string { return "/adapters/" + account + "/" }

// adapter hands the call to an adapter that receives over HTTP. It sees the
// path below its mount, and the body as it comes, up to a limit.
func (c *call) adapter() error {
	account := c.echo.Param("account")
	var h http.Handler
	ok := false
	if c.api.cfg.Mount != nil {
		h, ok = c.api.cfg.Mount(account)
	}
	if !ok {
		return fail(agentapi.ProblemNotFound, "no adapter is mounted here; skadi config check prints the addresses of those that are")
	}
	if a := c.api.cfg.Accounts; a != nil && !a.Receiving(account) {
		return fail(agentapi.ProblemUnavailable, "this account does not work at the moment; it is started again by itself")
	}
	limit := c.route.limit(c.api)
	if c.request().ContentLength > limit {
		return c.tooLarge(limit)
	}
	// An adapter finishes what it began, also when the server stops.
	r := c.request().WithContext(c.context())
	c.response().Header()[echo.HeaderXRequestID] = []string{c.id}
	r.Body = http.MaxBytesReader(c.response(), r.Body, limit)
	http.StripPrefix(strings.TrimSuffix(MountPath(account), "/"), h).ServeHTTP(c.response(), r)
	return nil
}

// accounts are all there are.
func (a *API) accounts() []events.Health {
	if a.cfg.Accounts == nil {
		return nil
	}
	return a.cfg.Accounts.Health()
}

// unhealthy names the accounts that do not work. Why is told to administrators
// alone.
func (c *call) unhealthy() (names []string) {
	for _, h := range c.api.accounts() {
		if h.State == events.Unhealthy {
			names = append(names, h.Account)
		}
	}
	return names
}

// listAccounts shows how the accounts of this server do.
func (c *call) listAccounts() error {
	if c.token.Space != job.DefaultSpace {
		return fail(agentapi.ProblemWrongRole, "an admin token of the space %s sees the accounts", job.DefaultSpace)
	}
	all := c.api.accounts()
	list := agentapi.AccountList{Accounts: make([]agentapi.Account, len(all))}
	for i, h := range all {
		list.Accounts[i] = agentapi.Account{
			Name: h.Account, Kind: h.Kind, State: string(h.State), Since: h.Since.UTC(), Error: h.Err, Restarts: h.Restarts,
		}
	}
	return c.json(http.StatusOK, list)
}

var (
	accountHealthyDesc = prometheus.NewDesc("skadi_account_healthy",
		"Whether an account on a channel works.", []string{"account", "kind"}, nil)
	accountRestartsDesc = prometheus.NewDesc("skadi_account_restarts_total",
		"How often an account was started again after a failure.", []string{"account", "kind"}, nil)
)

// accountCollector shows the accounts in the metrics.
type accountCollector struct{ accounts *events.Accounts }

// Describe implements prometheus.Collector.
func (accountCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- accountHealthyDesc
	ch <- accountRestartsDesc
}

// Collect implements prometheus.Collector.
func (c accountCollector) Collect(ch chan<- prometheus.Metric) {
	for _, h := range c.accounts.Health() {
		ch <- prometheus.MustNewConstMetric(accountHealthyDesc, prometheus.GaugeValue, one(h.State != events.Unhealthy), h.Account, h.Kind)
		ch <- prometheus.MustNewConstMetric(accountRestartsDesc, prometheus.CounterValue, float64(h.Restarts), h.Account, h.Kind)
	}
}
