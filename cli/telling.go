package cli

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/core/events"
)

var (
	untoldDesc = prometheus.NewDesc("skadi_untold_events",
		"Events that are still to be told to their conversations, in the whole database.", nil, nil)
	untoldAgeDesc = prometheus.NewDesc("skadi_untold_oldest_seconds",
		"The age of the oldest event that is still to be told, in the whole database.", nil, nil)
)

// backlogTimeout bounds what a look at the metrics asks of the database.
const backlogTimeout = 2 * time.Second

// telling is the replier's store, and shows in the metrics how the replies do.
type telling struct {
	events.Store
	givenUp prometheus.Counter
}

func newTelling(s events.Store) *telling {
	return &telling{Store: s, givenUp: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "skadi_events_given_up_total",
		Help: "Events that this server could not tell to their conversation; skadi undelivered lists them.",
	})}
}

// Record implements events.Store.
func (t *telling) Record(ctx context.Context, d events.Delivery) error {
	err := t.Store.Record(ctx, d)
	if err == nil && d.Dead != "" {
		t.givenUp.Add(float64(len(d.Events)))
	}
	return err
}

// Describe implements prometheus.Collector.
func (t *telling) Describe(ch chan<- *prometheus.Desc) {
	t.givenUp.Describe(ch)
	ch <- untoldDesc
	ch <- untoldAgeDesc
}

// Collect implements prometheus.Collector. While the database is away there is
// nothing to say about it, and the other metrics are there.
func (t *telling) Collect(ch chan<- prometheus.Metric) {
	t.givenUp.Collect(ch)
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	open, oldest, err := t.Backlog(ctx)
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(untoldDesc, prometheus.GaugeValue, float64(open))
	ch <- prometheus.MustNewConstMetric(untoldAgeDesc, prometheus.GaugeValue, oldest.Seconds())
}
