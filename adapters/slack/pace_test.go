package slack

import (
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	var p pace
	for i := range liveAtOnce {
		if wait := p.wait(now); wait != 0 {
			t.Fatalf("update %d waits %s", i, wait)
		}
	}
	for range 3 { // asking costs nothing
		if wait := p.wait(now); wait != liveEvery {
			t.Errorf("one too many waits %s, want %s", wait, liveEvery)
		}
	}
	now = now.Add(liveEvery)
	if wait := p.wait(now); wait != 0 {
		t.Errorf("after a while it waits %s", wait)
	}
	if wait := p.wait(now); wait != liveEvery {
		t.Errorf("the next waits %s", wait)
	}
	now = now.Add(time.Hour)
	p.pause(now, time.Minute)
	if wait := p.wait(now); wait != time.Minute {
		t.Errorf("after a pause it waits %s", wait)
	}
	if wait := p.wait(now.Add(time.Minute)); wait != 0 {
		t.Errorf("once the pause is over it waits %s", wait)
	}
}

// TestLiveOutputWaits checks that live output leaves room for states.
func TestLiveOutputWaits(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	ref := b.must(t, about("m1", inThread(), job(chat.MarkWaiting, nil)))
	live := about("m2", inThread(), job(chat.MarkRunning, func(c *chat.Card) { c.Output = "more" }))
	live.Edit = &ref
	state := about("m3", inThread(), job(chat.MarkSucceeded, final("all")))
	state.Edit = &ref
	for range liveAtOnce {
		b.must(t, live)
	}
	waits := func() {
		t.Helper()
		_, err := b.Send(t.Context(), live)
		if se := chat.Classify(err); err == nil || se.Class != chat.RateLimited {
			t.Errorf("live output: %v, want that it waits", err)
		}
	}
	waits()
	b.made("")
	b.must(t, state)
	b.one(t, "chat.update")

	b.forward(time.Hour)
	b.answering("chat.update", "429", "")
	waits()
	b.one(t, "chat.update")
	waits()
	b.none(t, "chat.update")
	b.must(t, state)
}
