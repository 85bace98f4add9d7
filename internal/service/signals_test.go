package service

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestInterrupts(t *testing.T) {
	t.Parallel()
	type step struct {
		after         time.Duration
		signals       int
		first, second bool // whether they have ended then
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"one signal", []step{{0, 0, false, false}, {time.Hour, 1, true, false}, {time.Hour, 0, true, false}}},
		{"a signal that comes twice is one", []step{{0, 2, true, false}, {time.Hour, 0, true, false}, {0, 1, true, true}}},
		{"and so is one that comes a little later", []step{{0, 1, true, false}, {SameSignal / 2, 1, true, false}, {time.Hour, 0, true, false}}},
		{"a second one", []step{{0, 1, true, false}, {SameSignal + time.Millisecond, 1, true, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				signals := make(chan os.Signal)
				first, second, stop := interrupts(t.Context(), signals)
				defer stop()
				for i, s := range tt.steps {
					<-time.After(s.after)
					for range s.signals {
						signals <- syscall.SIGTERM
					}
					synctest.Wait()
					if f, s2 := first.Err() != nil, second.Err() != nil; f != s.first || s2 != s.second {
						t.Fatalf("step %d: the first has ended: %v, the second: %v", i, f, s2)
					}
				}
			})
		})
	}
}

func TestInterruptsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, end := context.WithCancel(t.Context())
		defer end()
		first, second, stop := interrupts(parent, nil)
		stop()
		if first.Err() == nil || second.Err() == nil {
			t.Error("stop leaves one open")
		}
		first, second, stop = interrupts(parent, nil)
		defer stop()
		end()
		synctest.Wait()
		if first.Err() == nil || second.Err() == nil {
			t.Error("the end of the parent leaves one open")
		}
	})
}
