package cli

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/telemetry"
)

// tracesGrace is how long a node that stops goes on handing over its traces.
const tracesGrace = 2 * time.Second

// openTraces returns what makes traces, or nil if the config wants none.
func openTraces(ctx context.Context, cfg config.Tracing, node string, log *slog.Logger) (*telemetry.Tracer, error) {
	if cfg.Endpoint == "" || cfg.Ratio == 0 {
		return nil, nil
	}
	// The exporter has no other place for its errors than this one.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces could not be sent; they are dropped", "err", err) }))
	return telemetry.Export(ctx, telemetry.ExportConfig{
		Endpoint: cfg.Endpoint, Headers: cfg.Headers, Node: node, Ratio: cfg.Ratio, Clock: time.Now,
	})
}

// closeTraces hands over what is left. What cannot be is no reason to fail.
func (n *node) closeTraces(hurry context.Context) {
	ctx, cancel := context.WithTimeout(hurry, tracesGrace)
	defer cancel()
	if err := n.traces.Close(ctx); err != nil {
		n.log.Warn("the last traces could not be sent", "err", err)
	}
}
