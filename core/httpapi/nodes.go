package httpapi

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
)

// listNodes shows the servers that share the database. They serve every
// space, so only the administrators of the first one see them.
func (c *call) listNodes() error {
	if c.token.Space != job.DefaultSpace {
		return fail(agentapi.ProblemWrongRole, "nodes belong to no space; an admin token of the space %s sees them", job.DefaultSpace)
	}
	nodes := c.api.cfg.Nodes
	if nodes == nil {
		return fail(agentapi.ProblemUnavailable, "this server does not know of others")
	}
	all, err := nodes.List(c.context())
	if err != nil {
		return err
	}
	list := agentapi.NodeList{Nodes: make([]agentapi.Node, len(all))}
	for i, n := range all {
		list.Nodes[i] = WireNode(n)
		list.Nodes[i].Self = n.ID == nodes.Self().ID
	}
	return c.json(http.StatusOK, list)
}

// WireNode is the node as the API shows it.
func WireNode(n node.Status) agentapi.Node {
	w := agentapi.Node{
		ID: n.ID, Host: n.Host, Addr: n.Addr, Version: n.Version,
		StartedAt: n.StartedAt.UTC(), SeenAt: n.SeenAt.UTC(), Alive: n.Alive, Duties: n.Duties,
	}
	if w.Duties == nil {
		w.Duties = []string{}
	}
	return w
}

var (
	nodesDesc = prometheus.NewDesc("skadi_nodes",
		"Servers on the database, as this one knows them.", []string{"state"}, nil)
	nodeInfoDesc = prometheus.NewDesc("skadi_node_info",
		"This server.", []string{"id", "host", "addr", "version"}, nil)
	nodeAliveDesc = prometheus.NewDesc("skadi_node_alive",
		"Whether a server on the database was heard of in the last 20 seconds, as this one knows.", []string{"id", "host"}, nil)
	dutyDesc = prometheus.NewDesc("skadi_duty_held",
		"Whether this server holds the lease of something that one server at a time does.", []string{"duty"}, nil)
)

// nodeCollector shows the nodes in the metrics. It does not ask the database,
// so that metrics are there when it is not.
type nodeCollector struct{ nodes *node.Registry }

// Describe implements prometheus.Collector.
func (nodeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodesDesc, nodeInfoDesc, nodeAliveDesc, dutyDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c nodeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	self := c.nodes.Self()
	gauge(nodeInfoDesc, 1, self.ID, self.Host, self.Addr, self.Version)
	var alive, gone float64
	for _, n := range c.nodes.Known() {
		if n.Alive {
			alive++
		} else {
			gone++
		}
		gauge(nodeAliveDesc, one(n.Alive), n.ID, n.Host)
	}
	gauge(nodesDesc, alive, "alive")
	gauge(nodesDesc, gone, "gone")
	for duty, held := range c.nodes.Duties() {
		gauge(dutyDesc, one(held), duty)
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
