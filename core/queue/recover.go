package queue

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// Recovering returns a Handler that survives h's panics: Handle returns them
// as errors, and Lost logs them.
func Recovering(h Handler, log *slog.Logger) Handler { return recovering{h, log} }

type recovering struct {
	h   Handler
	log *slog.Logger
}

func (r recovering) Handle(ctx context.Context, batch []Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return r.h.Handle(ctx, batch)
}

func (r recovering) Lost(ctx context.Context) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("the handler panicked when told of a loss", "panic", v)
		}
	}()
	r.h.Lost(ctx)
}
