package telemetry

import (
	"context"

	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// Both observes for metrics and traces. It is a job.Observer and an
// events.Observer.
type Both struct {
	*Metrics
	Traces *Tracer
}

// Moved implements job.Observer.
func (b Both) Moved(ctx context.Context, from job.Status, j *job.Job) {
	b.Metrics.Moved(ctx, from, j)
	b.Traces.Moved(ctx, from, j)
}

// Told implements events.Observer.
func (b Both) Told(d events.Delivery) {
	b.Metrics.Told(d)
	b.Traces.Told(d)
}

// Guards that each implements what it says.
var (
	_ job.Observer    = Both{}
	_ events.Observer = Both{}
)
