package chat_test

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func TestRarely(t *testing.T) {
	t.Parallel()
	var r chat.Rarely
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {chat.StrangersEvery - 1, false}, {1, true}, {-time.Hour, true}} {
		now = now.Add(step.after)
		if got := r.Tell(now); got != step.want {
			t.Errorf("%v later: %t, want %t", step.after, got, step.want)
		}
	}
}
