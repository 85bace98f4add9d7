package job_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/job"
)

func TestApplyLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	create := func() error {
		created, err := b.Create(b.ctx, []job.Entry{{Draft: &job.Draft{
			Space: job.DefaultSpace, Agent: "web-1", Message: "a long message", Sender: b.push("x").Sender,
		}}})
		require.NoError(t, err)
		return created[0].Err
	}
	require.NoError(t, create())
	b.Apply(b.Times(), job.Limits{MessageBytes: 5, OutputBytes: 4}, 0)
	require.Error(t, create())
	require.Equal(t, 4, b.Limits().OutputBytes)
	require.Equal(t, job.DefaultLimits().LateReports, b.Limits().LateReports, "what is not set has its default")
	b.Apply(job.Times{}, job.Limits{}, 0)
	require.NoError(t, create())
}

// TestApplyTimes shortens the silence that is allowed: agents that kept to
// the longer one do not expire at once, and the new one holds afterwards.
func TestApplyTimes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.steady(2 * time.Minute) // silent for two of three minutes
	waiting := b.push("one")
	times := b.Times()
	times.Offline, times.NotTaken = 30*time.Second, time.Minute
	b.Apply(times, b.Limits(), 0)
	b.steady(20 * time.Second)
	b.requireStatus(waiting, job.Queuing, "")
	require.Equal(t, job.Queuing, b.push("two").Status, "no agent expires for a silence that was allowed until now")
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	b.steady(3 * time.Minute)
	b.requireStatus(waiting, job.Expired, job.AgentOffline)
	require.Equal(t, job.Expired, b.push("three").Status)

	// The other way round it holds at once, and a time for new jobs for those.
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	times.Offline = 10 * time.Minute
	b.Apply(times, b.Limits(), 0)
	j := b.push("four")
	require.Equal(t, time.Minute, j.DueAt.Sub(j.CreatedAt))
	b.steady(5 * time.Minute)
	b.requireStatus(j, job.Queuing, "")
}

// TestApplyWhileItRuns is for the race detector.
func TestApplyWhileItRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, end := context.WithCancel(b.ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	defer func() { end(); <-done }()
	for i := range 200 {
		times := b.Times()
		times.Offline = time.Minute + time.Duration(i)*time.Second
		b.Apply(times, b.Limits(), time.Duration(i)*time.Hour)
		b.push("x")
	}
	require.Equal(t, 259*time.Second, b.Times().Offline)
}
