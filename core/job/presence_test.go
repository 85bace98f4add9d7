package job_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/job"
)

// waiting opens a poll and returns once it waits; end has it answered.
func (b *bench) waiting() (end func()) {
	b.t.Helper()
	answered := make(chan job.PollAnswer, 1)
	go func() {
		a, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Wait: job.MaxWait})
		if err != nil {
			b.t.Error(err)
		}
		answered <- a
	}()
	<-b.watched
	return func() {
		b.t.Helper()
		b.push("uptime")
		require.Len(b.t, (<-answered).Jobs, 1)
	}
}

// An agent whose polls are always open is kept present by them alone, so a
// clock that was set back must not leave its last sight in the future.
func TestClockSetBackUnderOpenPolls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	end := b.waiting()
	b.clock.set(-24 * time.Hour)
	require.NoError(t, b.Sweep(b.ctx)) // notices, and expires nothing for a while
	require.NoError(t, b.SeeOpen(b.ctx))
	end()
	b.clock.pass(time.Second)
	b.poll(job.PollRequest{})
	a, err := b.Agent(b.ctx, job.DefaultSpace, "web-1")
	require.NoError(t, err)
	require.True(t, b.Online(a, b.clock.now()), "seen at %s, and it is %s", a.LastSeenAt, b.clock.now())
}

func TestClockSetBackDoesNotShutOutANewInstance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.poll(job.PollRequest{Instance: "first"})
	_, err := b.Poll(b.ctx, b.caller, job.PollRequest{Instance: "second"})
	require.ErrorIs(t, err, job.ErrInstance)
	b.clock.set(-24 * time.Hour)
	b.poll(job.PollRequest{Instance: "second"})
}

// What an agent says of jobs that are not its own is not remembered.
func TestWordForJobsThatAreNotThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("uptime")
	mine := b.take()
	running := []job.Hold{{ID: mine.ID, Lease: mine.Lease}}
	for i := range 100 {
		running = append(running, job.Hold{ID: fmt.Sprintf("made-up-%d", i), Lease: "x"})
	}
	b.poll(job.PollRequest{Running: running})
	require.Equal(t, 1, b.Held())
}
