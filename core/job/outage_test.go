package job_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/job"
)

func TestOfflineAgent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	waiting := b.push("one")
	b.steady(3*time.Minute + time.Second)
	b.requireStatus(waiting, job.Expired, job.AgentOffline)
	at := b.push("two")
	require.Equal(t, job.Expired, at.Status, "an agent that is offline already expires the job at once")
	history, err := b.History(b.ctx, at.Space, at.ID)
	require.NoError(t, err)
	require.False(t, history[1].AgentSeenAt.IsZero())
	require.Contains(t, job.Explain(history[1], job.Job{Agent: "web-1"}), "offline for 3 min")
}

func TestNotTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.push("one")
	for range 60 {
		require.NoError(t, b.CheckIn(b.ctx, b.caller))
		b.steady(time.Minute)
	}
	b.requireStatus(j, job.Expired, job.NotTaken)
}

// TestNothingExpiresInABurst is the outages that must not be taken for the
// agents' silence: each ends with the agent back in time, and its job alive.
func TestNothingExpiresInABurst(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(b *bench){
		"the clock was set a day ahead":         func(b *bench) { b.clock.set(24 * time.Hour) },
		"the clock was set a day back":          func(b *bench) { b.clock.set(-24 * time.Hour) },
		"the process was stopped for 20 min":    func(b *bench) { b.clock.pass(20 * time.Minute) },
		"the machine was suspended for 20 min":  func(b *bench) { b.clock.set(20 * time.Minute) },
		"the database was away for 20 min":      databaseAway,
		"the database was away and clock wrong": func(b *bench) { databaseAway(b); b.clock.set(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.push("running")
			running := b.take()
			queuing := b.push("queuing")
			outage(b)
			for range 10 {
				require.NoError(t, b.Sweep(b.ctx))
				b.clock.pass(time.Second)
			}
			b.requireStatus(queuing, job.Queuing, "")
			b.requireStatus(running, job.Sent, "")
			during := b.push("pushed in the hold")
			require.Equal(t, job.Queuing, during.Status, "the agent had no chance to check in yet")
			// The agent comes back and says what it runs.
			hold := []job.Hold{{ID: running.ID, Lease: running.Lease}}
			b.poll(job.PollRequest{Running: hold})
			b.steady(2 * time.Minute)
			b.poll(job.PollRequest{Running: hold})
			b.steady(2 * time.Minute)
			b.requireStatus(queuing, job.Queuing, "")
			b.requireStatus(running, job.Sent, "")
		})
	}
}

func databaseAway(b *bench) {
	b.store.setAway(true)
	for range 20 * 60 {
		b.clock.pass(time.Second)
		require.ErrorIs(b.t, b.Sweep(b.ctx), job.ErrUnavailable)
	}
	b.store.setAway(false)
}

func TestHoldAfterAStart(t *testing.T) {
	t.Parallel()
	b := fresh(t)
	require.Equal(t, job.Expired, b.push("one").Status, "never seen is no outage")
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	j := b.push("two")
	b.steady(2 * time.Minute)
	b.requireStatus(j, job.Queuing, "")
}
