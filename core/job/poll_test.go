package job_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/job"
)

func TestConfirmedHandOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.push("deploy v1")
	first := b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs[0]
	b.requireStatus(j, job.Queuing, "")
	require.Empty(t, b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs, "it is offered to one at a time")

	b.steady(31 * time.Second)
	second := b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs[0]
	start := func(lease string) error {
		us, err := b.Start(b.ctx, b.caller, []job.Hold{{ID: j.ID, Lease: lease}})
		require.NoError(t, err)
		return us[0].Err
	}
	require.ErrorIs(t, start(first.Lease), job.ErrLease)
	require.NoError(t, start(second.Lease))
	require.NoError(t, start(second.Lease), "the same lease again is no error")
	require.ErrorIs(t, start(first.Lease), job.ErrLease)
	b.requireStatus(j, job.Sent, "")
}

func TestOfferThatRanOutWakesThePoll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("deploy v1")
	require.Len(t, b.poll(job.PollRequest{Max: 1, Confirm: true}).Jobs, 1)
	answer := make(chan job.PollAnswer)
	go func() {
		a, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Confirm: true, Wait: job.MaxWait})
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	b.steady(31 * time.Second)
	require.Len(t, (<-answer).Jobs, 1)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	queuing := b.push("one")
	j, err := b.Cancel(b.ctx, queuing.Space, queuing.ID, "terminal:ada")
	require.NoError(t, err)
	require.Equal(t, job.Canceled, j.Status)
	_, err = b.Cancel(b.ctx, queuing.Space, queuing.ID, "terminal:ada")
	require.ErrorIs(t, err, job.ErrFinal)

	b.push("two")
	running := b.take()
	_, err = b.Cancel(b.ctx, running.Space, running.ID, "terminal:ada")
	require.NoError(t, err)
	b.requireStatus(running, job.Sent, "")
	hold := job.Hold{ID: running.ID, Lease: running.Lease}
	require.Equal(t, []job.Hold{hold}, b.poll(job.PollRequest{Running: []job.Hold{hold}}).Cancel)
	require.Empty(t, b.poll(job.PollRequest{}).Cancel, "told a moment ago")
	b.steady(10 * time.Second)
	require.Equal(t, []job.Hold{hold}, b.poll(job.PollRequest{}).Cancel, "and again after a while")
	require.NoError(t, b.report(running, job.Canceled, "").Err)
	b.requireStatus(running, job.Canceled, "")
}

func TestSecondInstance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.poll(job.PollRequest{Instance: "a"})
	_, err := b.Poll(b.ctx, b.caller, job.PollRequest{Instance: "b"})
	require.ErrorIs(t, err, job.ErrInstance)
	b.clock.pass(time.Minute)
	b.poll(job.PollRequest{Instance: "b"})
	_, err = b.Poll(b.ctx, b.caller, job.PollRequest{Instance: "a"})
	require.ErrorIs(t, err, job.ErrInstance)
}

func TestRemovedAgent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	j := b.push("one")
	require.NoError(t, b.Pause(b.ctx, job.DefaultSpace, "web-1", "terminal:ada"))
	ended := make(chan error)
	go func() {
		_, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Wait: job.MaxWait})
		ended <- err
	}()
	b.clock.pass(2 * time.Second)
	require.NoError(t, b.RemoveAgent(b.ctx, job.DefaultSpace, "web-1", "token:root"))
	require.ErrorIs(t, <-ended, job.ErrAgentRemoved)
	b.requireStatus(j, job.Canceled, job.AgentRemoved)
	_, err := b.Poll(b.ctx, b.caller, job.PollRequest{})
	require.ErrorIs(t, err, job.ErrAgentRemoved)
	created, err := b.Create(b.ctx, []job.Entry{{Draft: &job.Draft{Space: job.DefaultSpace, Agent: "web-1", Message: "x"}}})
	require.NoError(t, err)
	require.ErrorIs(t, created[0].Err, job.ErrUnknownAgent)
}

func TestPause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.Pause(b.ctx, job.DefaultSpace, "web-1", "terminal:ada"))
	b.push("one")
	require.Empty(t, b.poll(job.PollRequest{Max: 1}).Jobs)
	require.NoError(t, b.Resume(b.ctx, job.DefaultSpace, "web-1", "terminal:ada"))
	require.Len(t, b.poll(job.PollRequest{Max: 1}).Jobs, 1)
}

func TestOpenPollCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx)
	running := make(chan error, 2)
	go func() { running <- b.Run(ctx) }()
	go func() {
		_, err := b.Poll(ctx, b.caller, job.PollRequest{Wait: job.MaxWait})
		running <- err
	}()
	b.push("one") // wakes it; it asked for none and waits on
	cancel()
	require.NoError(t, <-running)
	require.NoError(t, <-running)
}

func TestPollRefusesNonsense(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, r := range []job.PollRequest{
		{Wait: -1},
		{Wait: time.Hour},
		{Max: -1},
		{Max: 1001},
		{Version: strings.Repeat("v", 65)},
		{Commands: make([]job.Command, 1001)},
		{Commands: []job.Command{{Name: "a", Help: strings.Repeat("h", 2000)}}},
	} {
		_, err := b.Poll(b.ctx, b.caller, r)
		var bad *job.InvalidError
		require.True(t, errors.As(err, &bad), err)
	}
}
