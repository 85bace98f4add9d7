package main

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/agentd/settings"
)

// TestStopWithin: systemd does not cut off jobs that drain_timeout leaves time.
func TestStopWithin(t *testing.T) {
	t.Parallel()
	for drain, want := range map[time.Duration]int{0: 300, 30 * time.Second: 300, 4 * time.Minute: 310, time.Hour: 3670} {
		if got := stopWithin(&settings.Settings{DrainTimeout: drain, KillGrace: 10 * time.Second}); got != want {
			t.Errorf("drain_timeout %s: %d, want %d", drain, got, want)
		}
	}
}
