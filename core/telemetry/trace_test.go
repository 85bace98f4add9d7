package telemetry_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/telemetry"
)

func byName(spans tracetest.SpanStubs) map[string]tracetest.SpanStub {
	all := map[string]tracetest.SpanStub{}
	for _, s := range spans {
		all[s.Name] = s
	}
	return all
}

func TestTraceOfALife(t *testing.T) {
	t.Parallel()
	w := setup(t, 1)
	j := w.life()
	spans := w.spans.GetSpans()
	all := byName(spans)
	require.Len(t, all, 5, "accept, queue, run, job, tell")
	root := all["job"]
	assert.False(t, root.Parent.IsValid())
	assert.Equal(t, 32*time.Second, root.EndTime.Sub(root.StartTime))
	assert.Equal(t, 2*time.Second, all["queue"].EndTime.Sub(all["queue"].StartTime))
	assert.Equal(t, 30*time.Second, all["run"].EndTime.Sub(all["run"].StartTime))
	for _, s := range spans {
		assert.Equal(t, trace.TraceID(uuid.MustParse(j.ID)), s.SpanContext.TraceID(), s.Name)
		if s.Name != "job" {
			assert.Equal(t, root.SpanContext.SpanID(), s.Parent.SpanID(), s.Name)
		}
	}
	require.Len(t, all["accept"].Links, 1)
	assert.Equal(t, "0af7651916cd43dd8448eb211c80319c", all["accept"].Links[0].SpanContext.TraceID().String())

	// What the agent is told is the span that its own belong below.
	parent := w.both.Traces.Traceparent(j.ID, j.Attempt)
	assert.Equal(t, "00-"+root.SpanContext.TraceID().String()+"-"+all["run"].SpanContext.SpanID().String()+"-01", parent)

	text, err := json.Marshal(spans)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "the-secret", "what was asked for is not for everybody")
}

func TestTraceSaysWhatFailed(t *testing.T) {
	t.Parallel()
	w := setup(t, 1)
	w.push(t.Context())
	w.report(w.take(), job.Failed, job.Interrupted)
	root := byName(w.spans.GetSpans())["job"]
	assert.Equal(t, codes.Error, root.Status.Code)
	assert.Equal(t, "failed: interrupted", root.Status.Description)
}

func TestRatioTakesAPartOfTheJobs(t *testing.T) {
	t.Parallel()
	w := setup(t, 0.25)
	traced := 0
	for range 2000 {
		id := uuid.Must(uuid.NewV7()).String()
		one, again := w.both.Traces.Traceparent(id, 1), w.both.Traces.Traceparent(id, 1)
		require.Equal(t, one, again)
		if one != "" {
			traced++
		}
	}
	assert.InDelta(t, 500, traced, 150)
	var none *telemetry.Tracer
	assert.Empty(t, none.Traceparent(uuid.NewString(), 1))
	none.Moved(t.Context(), "", &job.Job{})
	require.NoError(t, none.Close(t.Context()))
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("ff-00000000000000000000000000000000-0000000000000000-zz")
	f.Add(strings.Repeat("-", 60))
	f.Fuzz(func(_ *testing.T, h string) {
		telemetry.Arrived(context.Background(), time.Time{}, h) // must not panic
	})
}

func TestExportSpeaksOTLP(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r }))
	defer far.Close()
	tr, err := telemetry.Export(t.Context(), telemetry.ExportConfig{
		Endpoint: far.URL, Headers: map[string]chat.Secret{"X-Api-Key": "k3y"}, Node: "n", Ratio: 1, Clock: time.Now,
	})
	require.NoError(t, err)
	now := time.Now()
	tr.Moved(t.Context(), job.Sent, &job.Job{
		ID: uuid.Must(uuid.NewV7()).String(), Status: job.Succeeded, CreatedAt: now, SentAt: now, FinishedAt: now,
	})
	require.NoError(t, tr.Close(t.Context()))
	r := <-got
	assert.Equal(t, "/v1/traces", r.URL.Path)
	assert.Equal(t, "k3y", r.Header.Get("X-Api-Key"))
}
