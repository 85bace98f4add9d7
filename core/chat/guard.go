package chat

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Guard calls f. A panic of f becomes an error, is logged with its stack, and
// is counted by e.Panicked. what says what was being done.
//
// An adapter has f handle one message in each goroutine of its own, since a
// panic there would otherwise end the process, with all other accounts in it.
// What Run and Handler do in the goroutine that they were called in is guarded
// by the host.
func (e Env) Guard(ctx context.Context, what string, f func() error) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		log := e.Logger
		if log == nil {
			log = slog.Default()
		}
		log.ErrorContext(ctx, "an adapter panicked", "account", e.Account, "while", what, "panic", p, "stack", string(debug.Stack()))
		if e.Panicked != nil {
			e.Panicked()
		}
		err = fmt.Errorf("panic while %s: %v", what, p)
	}()
	return f()
}
