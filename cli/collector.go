package cli

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// roomyHeap is how far the heap of a server may grow, in bytes, before
	// garbage is collected. Go would collect at twice what is in use, which on
	// a busy server with little in use is many times a second, and takes a
	// sixth of its speed. Above half of this, Go's own pace holds.
	roomyHeap = 64 << 20
	// mostRoom bounds the garbage in percent of what is in use.
	mostRoom = 800
	// measureEvery is how often what is in use is looked at.
	measureEvery = time.Second
)

// collectLater sets the pace of the garbage collector by what is in use,
// until ctx ends. Who sets GOGC wants a pace of their own.
func collectLater(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(100)
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for set := 0; ; {
		if percent := gcPercent(inUse()); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// inUse returns what the last collection found to be in use: the heap, and
// what else counts for the pace of the next.
func inUse() (heap, rest uint64) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"},
	}
	metrics.Read(samples)
	of := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	return of(0), of(1) + of(2)
}

// gcPercent returns the GOGC with which the heap grows to roomyHeap, within
// Go's own 100 and mostRoom, in steps so that it is not set all the time.
func gcPercent(heap, rest uint64) int {
	const step = 50
	if heap >= roomyHeap {
		return 100
	}
	percent := (roomyHeap - heap) * 100 / max(heap+rest, 1)
	return int(min(max(percent/step*step, 100), mostRoom)) //nolint:gosec // bounded
}
