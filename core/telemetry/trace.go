package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// A job's trace is made of what every server can work out for itself, so that
// nothing has to be stored or carried along: the trace's ID is the job's, and
// the spans that others hang below have IDs made of it.
//
//	job            from accepted to final
//	├ accept       storing the message that asked for it
//	├ queue        until its agent took it
//	├ run          until its agent reported; the agent's own spans go below
//	└ tell         each status, until its conversation had it

// Tracer makes the spans of jobs. Its methods may be called concurrently. A nil Tracer makes none.
type Tracer struct {
	clock    chat.Clock
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	ratio    float64
}

// NewTracer returns a tracer that hands the spans of about ratio of all jobs
// to the processor.
func NewTracer(p sdktrace.SpanProcessor, node string, ratio float64, clock chat.Clock) *Tracer {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(p), sdktrace.WithResource(resourceOf(node)),
		sdktrace.WithIDGenerator(ids{}), sdktrace.WithSampler(sdktrace.AlwaysSample()), // sampled chooses
	)
	return &Tracer{
		clock: clock, provider: provider, ratio: ratio,
		tracer: provider.Tracer("github.com/letserverrun/skadi"),
	}
}

// Close hands over the spans that are not yet, until ctx ends.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Traceparent returns what a job's agent hands on, so that its own spans and
// those of what it runs belong to the job's trace (W3C Trace Context). It is
// empty if the job is not traced.
func (t *Tracer) Traceparent(id string, attempt int) string {
	if t == nil {
		return ""
	}
	traceID, ok := t.sampled(id)
	if !ok {
		return ""
	}
	span := spanOf(id, nameRun, attempt)
	return "00-" + traceID.String() + "-" + span.String() + "-01"
}

const (
	nameJob    = "job"
	nameAccept = "accept"
	nameQueue  = "queue"
	nameRun    = "run"
	nameTell   = "tell"
)

// Moved makes the spans that end with an arrow; see job.Observer.
func (t *Tracer) Moved(ctx context.Context, from job.Status, j *job.Job) {
	if t == nil {
		return
	}
	id, ok := t.sampled(j.ID)
	if !ok {
		return
	}
	root := spanOf(j.ID, nameJob, 0)
	if from == "" {
		t.accepted(ctx, id, root, j)
	}
	switch {
	case j.Status == job.Sent:
		t.span(span{trace: id, parent: root, name: nameQueue, from: j.CreatedAt, to: j.SentAt, about: about(j)})
	case j.Status.Final():
		if from == job.Sent {
			t.span(span{
				trace: id, parent: root, own: spanOf(j.ID, nameRun, j.Attempt), name: nameRun, kind: trace.SpanKindConsumer,
				from: j.SentAt, to: j.FinishedAt, about: about(j), failed: failure(j),
			})
		}
		t.span(span{
			trace: id, own: root, name: nameJob, kind: trace.SpanKindServer,
			from: j.CreatedAt, to: j.FinishedAt, about: about(j), failed: failure(j),
		})
	}
}

// accepted tells how long it took to store the message.
func (t *Tracer) accepted(ctx context.Context, id trace.TraceID, root trace.SpanID, j *job.Job) {
	a := arrivalOf(ctx)
	s := span{
		trace: id, parent: root, name: nameAccept, kind: trace.SpanKindServer,
		from: a.at, to: t.clock(), about: append(about(j), attribute.String("skadi.sender", j.Sender.Principal())),
	}
	if a.at.IsZero() {
		s.from = j.CreatedAt
	}
	if a.caller.IsValid() {
		s.links = []trace.Link{{SpanContext: a.caller}}
	}
	t.span(s)
}

// Told makes the spans of what was told; see events.Observer.
func (t *Tracer) Told(d events.Delivery) {
	if t == nil {
		return
	}
	now := t.clock()
	for i := range d.Events {
		e := &d.Events[i]
		if e.Kind != job.EventJobStatus || e.Conversation == nil {
			continue
		}
		id, ok := t.sampled(e.Subject)
		if !ok {
			continue
		}
		t.span(span{
			trace: id, parent: spanOf(e.Subject, nameJob, 0), name: nameTell, kind: trace.SpanKindProducer,
			from: e.At, to: now, failed: d.Dead,
			about: []attribute.KeyValue{
				attribute.String("skadi.status", string(e.Status)), attribute.String("skadi.account", e.Conversation.Account),
			},
		})
	}
}

// span is one span that is over.
type span struct {
	trace  trace.TraceID
	parent trace.SpanID // zero: it is the root
	own    trace.SpanID // zero: any
	name   string
	kind   trace.SpanKind
	from   time.Time
	to     time.Time
	about  []attribute.KeyValue
	links  []trace.Link
	failed string // why, if it did
}

func (t *Tracer) span(s span) {
	ctx := context.WithValue(context.Background(), idsKey{}, s)
	if s.parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: s.trace, SpanID: s.parent, TraceFlags: trace.FlagsSampled, Remote: true,
		}))
	}
	_, made := t.tracer.Start(ctx, s.name, trace.WithTimestamp(s.from), trace.WithSpanKind(s.kind),
		trace.WithAttributes(s.about...), trace.WithLinks(s.links...))
	if s.failed != "" {
		made.SetStatus(codes.Error, s.failed)
	}
	if s.to.Before(s.from) {
		s.to = s.from // two clocks
	}
	made.End(trace.WithTimestamp(s.to))
}

// sampled returns the trace of a job, and whether it is to be traced, which
// every server answers alike.
func (t *Tracer) sampled(id string) (trace.TraceID, bool) {
	u, err := uuid.Parse(id)
	if err != nil {
		return trace.TraceID{}, false // no job
	}
	if t.ratio < 1 {
		sum := sha256.Sum256(u[:])
		if float64(binary.BigEndian.Uint64(sum[:8]))/math.MaxUint64 >= t.ratio {
			return trace.TraceID{}, false
		}
	}
	return trace.TraceID(u), true
}

// spanOf is the ID of a job's span that others must be able to name.
func spanOf(id, name string, attempt int) (s trace.SpanID) {
	h := sha256.New()
	h.Write([]byte(name + "\x00" + id + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(attempt))) //nolint:gosec // small and not negative
	copy(s[:], h.Sum(nil))
	return s
}

// about is what every span of a job says. What was asked for and what came of
// it may hold what is not for everybody, and stays out.
func about(j *job.Job) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("skadi.job.code", j.Code()), attribute.String("skadi.agent", j.Agent),
		attribute.String("skadi.space", j.Space), attribute.String("skadi.account", j.Sender.Account),
		attribute.String("skadi.status", string(j.Status)),
	}
	if j.Reason != "" {
		all = append(all, attribute.String("skadi.reason", string(j.Reason)))
	}
	return all
}

// failure says in what way the job did not succeed; empty if it did.
func failure(j *job.Job) string {
	switch {
	case j.Status == job.Succeeded:
		return ""
	case j.Reason != "":
		return string(j.Status) + ": " + string(j.Reason)
	}
	return string(j.Status)
}

// ids hands out the IDs that a span was given, and others at random.
type ids struct{}

type idsKey struct{}

// NewIDs implements sdktrace.IDGenerator, for a root.
func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	s, _ := ctx.Value(idsKey{}).(span)
	return s.trace, s.own
}

// NewSpanID implements sdktrace.IDGenerator.
func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if s, _ := ctx.Value(idsKey{}).(span); s.own.IsValid() {
		return s.own
	}
	random := uuid.New()
	return trace.SpanID(random[8:])
}
