package redis_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := throwaway.Redis(t)
	q := open(t, quick(r.Addr))
	registry := prometheus.NewRegistry()
	registry.MustRegister(q)
	h := newReader()
	consume(t, q, "replies", "one", h)
	publish(t, q, numbered("a", 3, 0)...)
	drain(t, h, "a.2")
	// The values of those that have one, and of all groups.
	expect := func(want map[string]float64) {
		t.Helper()
		until(t, fmt.Sprint(want), func() error {
			families, err := registry.Gather()
			if err != nil {
				return err
			}
			got := make(map[string]float64)
			for _, f := range families {
				for _, m := range f.GetMetric() {
					switch name := f.GetName(); name {
					case "skadi_redis_events_published_total":
						got[name] = m.GetCounter().GetValue()
					case "skadi_redis_up":
						got[name] = m.GetGauge().GetValue()
					case "skadi_redis_group_backlog":
						got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
					}
				}
			}
			if !maps.Equal(got, want) {
				return fmt.Errorf("it is %v", got)
			}
			return nil
		})
	}
	expect(map[string]float64{"skadi_redis_events_published_total": 3, "skadi_redis_up": 1, "replies": 0})
	r.Kill()
	expect(map[string]float64{"skadi_redis_events_published_total": 3, "skadi_redis_up": 0})
}
