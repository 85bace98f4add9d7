package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/letserverrun/skadi/core/chat"
)

// ExportConfig says where traces go.
type ExportConfig struct {
	// Endpoint is the base URL of an OTLP receiver that speaks HTTP, such as
	// http://127.0.0.1:4318; /v1/traces is added unless it has a path.
	Endpoint string
	// Headers are sent along, for receivers that want to know who it is.
	Headers map[string]chat.Secret
	// Node names this server.
	Node string
	// Ratio is the part of all jobs that are traced, from 0 to 1.
	Ratio float64
	Clock chat.Clock
}

// Export returns a tracer that sends its spans by OTLP, in the background and
// in batches. While the receiver is away spans are dropped; nothing waits for
// them.
func Export(ctx context.Context, c ExportConfig) (*Tracer, error) {
	at, err := tracesURL(c.Endpoint)
	if err != nil {
		return nil, err
	}
	headers := make(map[string]string, len(c.Headers))
	for name, value := range c.Headers {
		headers[name] = value.Reveal()
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(at), otlptracehttp.WithHeaders(headers))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return NewTracer(sdktrace.NewBatchSpanProcessor(exporter), c.Node, c.Ratio, c.Clock), nil
}

// tracesURL adds the path that receivers have by default.
func tracesURL(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", errors.New("tracing.endpoint is no URL") // which may hold a password
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	return u.String(), nil
}

func resourceOf(node string) *resource.Resource {
	return resource.NewSchemaless(
		attribute.String("service.name", "skadi"), attribute.String("service.instance.id", node),
	)
}
