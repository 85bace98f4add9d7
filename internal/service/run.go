package service

import (
	"context"
	"io"
)

// Program is a program whose log and errors go to stderr. It ends in order when
// ctx does, and returns its exit code.
type Program func(ctx context.Context, stderr io.Writer) int

// outer is the key of the context that a service manager's stop does not end.
type outer struct{}

// Managed tells whether ctx is that of a program which the Service Control
// Manager of Windows has started. Others stop their services by a signal.
func Managed(ctx context.Context) bool { return ctx.Value(outer{}) != nil }

// Beyond returns ctx without the end that Windows gives it to have the service
// stop: what is begun may be finished by it.
func Beyond(ctx context.Context) context.Context {
	if o, ok := ctx.Value(outer{}).(context.Context); ok {
		return o
	}
	return ctx
}

// stoppable returns ctx as Managed and Beyond know it, and how to end it.
func stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithValue(ctx, outer{}, ctx))
}
