package redis

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metricsTimeout bounds what a look at the metrics waits for Redis.
const metricsTimeout = 500 * time.Millisecond

var (
	publishedDesc = prometheus.NewDesc("skadi_redis_events_published_total",
		"Events that this server wrote to Redis.", nil, nil)
	publishErrorsDesc = prometheus.NewDesc("skadi_redis_publish_errors_total",
		"Batches of events that Redis did not take; they are tried again.", nil, nil)
	claimedDesc = prometheus.NewDesc("skadi_redis_events_claimed_total",
		"Events taken over from a server that did not finish them.", nil, nil)
	deadDesc = prometheus.NewDesc("skadi_redis_dead_letters_total",
		"Events given up and kept as dead letters.", nil, nil)
	lostDesc = prometheus.NewDesc("skadi_redis_losses_total",
		"How often this server looked in the database, at its start and because Redis may have lost events.", nil, nil)
	trimmedDesc = prometheus.NewDesc("skadi_redis_events_trimmed_total",
		"Events that this server removed from Redis, those dropped unread included.", nil, nil)
	unreadDesc = prometheus.NewDesc("skadi_redis_events_dropped_unread_total",
		"Events removed though some consumer group had not read them.", nil, nil)
	wakesDesc = prometheus.NewDesc("skadi_redis_wakes_total",
		"Messages between servers, and the keys that could not be sent.", []string{"what"}, nil)
	backlogDesc = prometheus.NewDesc("skadi_redis_group_backlog",
		"Events that a consumer group has not read or not acknowledged.", []string{"group"}, nil)
	upDesc = prometheus.NewDesc("skadi_redis_up",
		"Whether Redis answers this server.", nil, nil)
)

// Describe implements prometheus.Collector.
func (q *Queue) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		publishedDesc, publishErrorsDesc, claimedDesc, deadDesc, lostDesc,
		trimmedDesc, unreadDesc, wakesDesc, backlogDesc, upDesc,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What Redis has to be asked for is
// left out while it is away.
func (q *Queue) Collect(ch chan<- prometheus.Metric) {
	s := q.Stats()
	count := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	count(publishedDesc, s.Published)
	count(publishErrorsDesc, s.PublishErrors)
	count(claimedDesc, s.Claimed)
	count(deadDesc, s.Dead)
	count(lostDesc, s.Lost)
	count(trimmedDesc, s.Trimmed)
	count(unreadDesc, s.DroppedUnread)
	count(wakesDesc, s.WakesSent, "sent")
	count(wakesDesc, s.WakesReceived, "received")
	count(wakesDesc, s.WakesDropped, "dropped")

	ctx, cancel := context.WithTimeout(q.ctx, metricsTimeout)
	defer cancel()
	backlog, err := q.Backlog(ctx)
	up := 1.0
	if err != nil {
		up = 0
	}
	ch <- prometheus.MustNewConstMetric(upDesc, prometheus.GaugeValue, up)
	for group, n := range backlog {
		ch <- prometheus.MustNewConstMetric(backlogDesc, prometheus.GaugeValue, float64(n), group)
	}
}
