package main

import (
	"path/filepath"
	"runtime"
	"strings"
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

// TestServiceIsHeldAgainstItsConfig: the journal must stand where the unit lets
// agentd write.
func TestServiceIsHeldAgainstItsConfig(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the unit is systemd's")
	}
	path := file(t, "https://skadi.example.com", echo)
	state := filepath.Join(filepath.Dir(path), "state")
	unit, warnings, err := execute(t.Context(), "service", "install", "--print", "--program", "/usr/bin/agentd", "-c", path)
	if err != nil || !strings.Contains(unit, "ProtectSystem=strict") || !strings.Contains(warnings, "state_dir: the service may not write to "+state) {
		t.Errorf("%v, stderr %q\n%s", err, warnings, unit)
	}
	_, warnings, err = execute(t.Context(), "service", "install", "--print", "--user", "root", "--unconfined", "-c", path)
	if err != nil || warnings != "" {
		t.Errorf("%v, stderr %q", err, warnings)
	}
}
