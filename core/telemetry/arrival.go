package telemetry

import (
	"context"
	"encoding/hex"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/letserverrun/skadi/core/chat"
)

// arrival is when a message came, and the trace of whoever sent it.
type arrival struct {
	at     time.Time
	caller trace.SpanContext
}

type arrivalKey struct{}

// Arrived notes in a context that a message came at that time, and the W3C
// traceparent that came with it; empty if none did.
func Arrived(ctx context.Context, at time.Time, traceparent string) context.Context {
	return context.WithValue(ctx, arrivalKey{}, arrival{at: at, caller: parseTraceparent(traceparent)})
}

func arrivalOf(ctx context.Context) arrival {
	a, _ := ctx.Value(arrivalKey{}).(arrival)
	return a
}

// parseTraceparent reads the header of W3C Trace Context, version 00 or what
// later ones have in common with it. What is no such header is none.
func parseTraceparent(h string) (sc trace.SpanContext) {
	const size = len("00-") + 32 + 1 + 16 + 1 + 2
	if len(h) < size || h[2] != '-' || h[35] != '-' || h[52] != '-' || h[:2] == "ff" || h[:2] == "00" && len(h) > size {
		return sc
	}
	var flags [1]byte
	traceID, err1 := trace.TraceIDFromHex(h[3:35])
	spanID, err2 := trace.SpanIDFromHex(h[36:52])
	_, err3 := hex.Decode(flags[:], []byte(h[53:55]))
	if err1 != nil || err2 != nil || err3 != nil {
		return sc
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	})
}

// Inbox returns the inbox of an account that notes how long it takes.
func (m *Metrics) Inbox(account string, to chat.Inbox) chat.Inbox {
	return &inbox{metrics: m, account: account, to: to}
}

type inbox struct {
	metrics *Metrics
	account string
	to      chat.Inbox
}

// Accept implements chat.Inbox.
func (b *inbox) Accept(ctx context.Context, m chat.Inbound) error {
	begin := b.metrics.clock()
	err := b.to.Accept(Arrived(ctx, begin, ""), m)
	b.metrics.Received(b.account, b.metrics.clock().Sub(begin), err)
	return err
}
