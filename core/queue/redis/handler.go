package redis

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/letserverrun/skadi/core/queue"
)

// callHandle turns a panic of the handler into an error.
func callHandle(ctx context.Context, h queue.Handler, batch []queue.Message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return h.Handle(ctx, batch)
}

func callLost(ctx context.Context, h queue.Handler, log *slog.Logger) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("the handler panicked when told of a loss", "panic", r)
		}
	}()
	h.Lost(ctx)
}
