package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/letserverrun/skadi/internal/service"
)

// interrupts returns a context that ends with the first Ctrl-C (or SIGTERM),
// and one that ends with the second: the first asks to finish what was begun,
// the second not to wait for it. Windows stops a service as the first does. stop
// ends both and gives the signals back.
func interrupts(parent context.Context) (first, second context.Context, stop func()) {
	first, endFirst := context.WithCancel(parent)
	second, endSecond := context.WithCancel(service.Beyond(parent))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, end := range []context.CancelFunc{endFirst, endSecond} {
			select {
			case <-signals:
				end()
			case <-second.Done():
				return
			}
		}
	}()
	return first, second, func() {
		signal.Stop(signals)
		endFirst()
		endSecond()
		<-done
	}
}

// hangups returns the signals that ask for the config to be read again, and a
// function that gives them back. One that comes meanwhile is remembered.
func hangups() (c <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
