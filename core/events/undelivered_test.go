package events

import (
	"context"
	"errors"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

func TestUndelivered(t *testing.T) {
	t.Parallel()
	id := job.Event{Subject: "01a2285f-cf1c-74b9-b9c1-4fb133bacb46", Version: 3}.ID()
	broken := errors.New("the disk is full")
	for name, c := range map[string]struct {
		id   string
		fail error
		want bool
	}{
		"an event": {id, nil, true}, "a part of it": {id + ".2", nil, true}, "its farewell": {id + ".done", nil, true},
		"live output": {"01a2285f.live.7", nil, false}, "what told no event": {"refused", nil, false}, "nothing": {"", nil, false},
		"a database that fails": {id, broken, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			called := false
			note := func(_ context.Context, space, subject string, version int64, why string) error {
				called = true
				if space != "default" || subject != "01a2285f-cf1c-74b9-b9c1-4fb133bacb46" || version != 3 || why != "it came back" {
					t.Errorf("noted is %s %s %d %s", space, subject, version, why)
				}
				return c.fail
			}
			if err := Undelivered("default", note)(t.Context(), c.id, "it came back"); !errors.Is(err, c.fail) {
				t.Errorf("the error is %v", err)
			}
			if called != c.want {
				t.Errorf("noted: %t, want %t", called, c.want)
			}
		})
	}
}
