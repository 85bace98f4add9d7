package service

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// SameSignal is how long after a signal to stop another one is taken for the
// same. GNU timeout signals its child and then the child's process group, and
// others that hand a Ctrl-C on double it too.
const SameSignal = time.Second

// Interrupts returns a context that ends with the first Ctrl-C (or SIGTERM),
// and one that ends with the second: the first asks to finish what was begun,
// the second not to wait for it. What comes within SameSignal of the first is
// no second. Windows stops a service as the first does. stop ends both and
// gives the signals back.
func Interrupts(parent context.Context) (first, second context.Context, stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	first, second, end := interrupts(parent, signals)
	return first, second, func() {
		signal.Stop(signals)
		end()
	}
}

func interrupts(parent context.Context, signals <-chan os.Signal) (first, second context.Context, stop func()) {
	first, endFirst := context.WithCancel(parent)
	second, endSecond := context.WithCancel(Beyond(parent))
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-signals:
			endFirst()
		case <-second.Done():
			return
		}
		same := time.NewTimer(SameSignal)
		defer same.Stop()
		for another := false; ; {
			select {
			case <-signals:
				if another {
					endSecond()
					return
				}
			case <-same.C:
				another = true
			case <-second.Done():
				return
			}
		}
	}()
	return first, second, func() {
		endFirst()
		endSecond()
		<-done
	}
}
