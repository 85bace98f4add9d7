package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// hangups returns the signals that ask for the config to be read again, and a
// function that gives them back. One that comes meanwhile is remembered.
func hangups() (c <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	return signals, func() { signal.Stop(signals) }
}
