package job_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// soon is how long it may take to make up for a lost wake.
const soon = time.Second + 10*time.Millisecond

func TestLostWakesBetweenNodes(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a, b := c.start("a"), c.start("b")
		defer a.stop()
		defer b.stop()
		b.checkIn()

		open := b.poll(job.PollRequest{Max: 1, Wait: 50 * time.Second})
		pass(10*time.Second + 300*time.Millisecond)
		at := time.Now()
		j := a.push("uptime")
		got := <-open
		require.NoError(t, got.err)
		require.Len(t, got.Jobs, 1, "a job pushed at one wakes the agent at the other")
		require.LessOrEqual(t, time.Since(at), soon)
		lease := got.Jobs[0].Lease

		// Live output, and the final status.
		woken, unwatch := a.Watch(job.WakeJob(j.ID))
		defer unwatch()
		pass(3 * time.Second)
		select {
		case <-woken: // of the first look
		default:
		}
		at = time.Now()
		require.NoError(t, b.Output(c.ctx, c.caller, j.ID, lease, job.OutputChunk{Seq: 1, Text: "up 3 days"}))
		<-woken
		require.LessOrEqual(t, time.Since(at), soon, "output")
		pass(5 * time.Second)
		select {
		case <-woken:
			t.Error("nothing changed, and it was woken")
		default:
		}

		waited := make(chan job.Job, 1)
		go func() {
			done, err := a.Wait(c.ctx, job.DefaultSpace, j.ID, time.Minute)
			if err != nil {
				t.Error(err)
			}
			waited <- done
		}()
		pass(2 * time.Second)
		open = b.poll(job.PollRequest{Max: 1, Wait: 50 * time.Second, Running: []job.Hold{{ID: j.ID, Lease: lease}}})
		at = time.Now()
		canceled, err := a.Cancel(c.ctx, job.DefaultSpace, j.ID, "ada")
		require.NoError(t, err)
		require.Equal(t, job.Sent, canceled.Status)
		got = <-open
		require.NoError(t, got.err)
		require.Equal(t, []job.Hold{{ID: j.ID, Lease: lease}}, got.Cancel, "a cancel asked for at one is told at the other")
		require.LessOrEqual(t, time.Since(at), soon)

		at = time.Now()
		us, err := b.Report(c.ctx, c.caller, []job.Report{{ID: j.ID, Lease: lease, Status: job.Canceled}})
		require.NoError(t, err)
		require.NoError(t, us[0].Err)
		require.Equal(t, job.Canceled, (<-waited).Status, "who waits at the other learns how it ended")
		require.LessOrEqual(t, time.Since(at), soon)
	})
}

// An offer that runs out is for any node to make again, also when the one that
// made it is gone.
func TestOfferOfADeadNode(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a, b := c.start("a"), c.start("b")
		defer b.stop()
		a.checkIn()
		a.push("uptime")
		got := <-a.poll(job.PollRequest{Max: 1, Confirm: true})
		require.Len(t, got.Jobs, 1)
		a.stop()
		got = <-b.poll(job.PollRequest{Max: 1, Confirm: true, Wait: 50 * time.Second})
		require.NoError(t, got.err)
		require.Len(t, got.Jobs, 1)
		require.LessOrEqual(t, got.took, 30*time.Second+soon)
	})
}

// So it is for a server without others, whose process before was killed.
func TestOfferOfTheProcessBefore(t *testing.T) {
	inCluster(t, func(c *cluster) {
		before := c.startAlone("a")
		before.checkIn()
		before.push("uptime")
		require.Len(t, (<-before.poll(job.PollRequest{Max: 1, Confirm: true})).Jobs, 1)
		before.stop()
		now := c.startAlone("a")
		defer now.stop()
		got := <-now.poll(job.PollRequest{Max: 1, Confirm: true, Wait: 50 * time.Second})
		require.NoError(t, got.err)
		require.Len(t, got.Jobs, 1)
		require.LessOrEqual(t, got.took, 30*time.Second+soon)
	})
}

func TestAgentSeenAtAnotherNodeIsOnline(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.start("a") // it has the duty
		b := c.start("b")
		defer a.stop()
		for range 20 {
			got := <-b.poll(job.PollRequest{Max: 0, Wait: 50 * time.Second})
			require.NoError(t, got.err)
			now, err := a.Now(c.ctx)
			require.NoError(t, err)
			agent, err := a.Agent(c.ctx, job.DefaultSpace, "web-1")
			require.NoError(t, err)
			require.Less(t, now.Sub(agent.LastSeenAt), 30*time.Second)
		}
		j := a.push("uptime")
		require.Equal(t, job.Queuing, j.Status)
		for range 5 {
			<-b.poll(job.PollRequest{Max: 0, Wait: 50 * time.Second})
		}
		require.Equal(t, job.Queuing, a.job(j.ID).Status, "it polls, if elsewhere")

		b.stop()
		pass(2 * time.Minute)
		require.Equal(t, job.Queuing, a.job(j.ID).Status)
		pass(2 * time.Minute)
		require.Equal(t, job.Expired, a.job(j.ID).Status)
		require.Equal(t, job.AgentOffline, a.job(j.ID).Reason)
	})
}

func TestOneNodeSweeps(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.start("a")
		b := c.start("b")
		pass(10 * time.Minute)
		swept, pruned := a.store.counts()
		require.InDelta(t, 600, swept, 5)
		require.InDelta(t, 10, pruned, 1)
		swept, pruned = b.store.counts()
		require.Zero(t, swept)
		require.Zero(t, pruned)

		b.checkIn()
		j := b.push("uptime")
		a.stop() // the lease is given back
		pass(2*time.Minute + 55*time.Second)
		require.Equal(t, job.Queuing, b.job(j.ID).Status)
		pass(10 * time.Second)
		swept, _ = b.store.counts()
		require.NotZero(t, swept, "the other has taken over")
		// The agent is silent for three minutes already. Whoever takes the duty
		// over gives it three of its own to be heard.
		require.Equal(t, job.Expired, b.job(j.ID).Status)
		b.stop()
	})
}

func TestTakeOverHoldsExpiry(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a := c.start("a")
		b := c.start("b")
		defer b.stop()
		pass(10 * time.Minute)
		b.checkIn()
		j := b.push("uptime")
		pass(2*time.Minute + 50*time.Second)
		a.stop()
		pass(2*time.Minute + 50*time.Second)
		require.Equal(t, job.Queuing, b.job(j.ID).Status, "a node that takes over lets agents find it first")
		pass(20 * time.Second)
		require.Equal(t, job.Expired, b.job(j.ID).Status)
	})
}

// Many sweepers at once do what one does.
func TestAllNodesMaySweep(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := job.New(job.Config{Store: b.store, Waker: queue.NewWaker(), Clock: b.clock.now, Monotonic: b.clock.monotonic})
	both := func(d time.Duration) {
		for ; d > 0; d -= time.Second {
			b.clock.pass(time.Second)
			var all sync.WaitGroup
			for _, s := range []*job.Service{b.Service, other} {
				all.Go(func() {
					if err := s.Sweep(b.ctx); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
	}
	both(4 * time.Minute) // the other's hold is over
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	j := b.push("uptime")
	due := j.DueAt
	b.clock.set(2 * time.Hour) // all would be due now
	both(time.Second)
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	got, err := b.Job(b.ctx, j.Space, j.ID)
	require.NoError(t, err)
	require.Equal(t, job.Queuing, got.Status)
	require.Equal(t, due.Add(2*time.Hour), got.DueAt, "it is put off once")
	both(3 * time.Minute)
	both(time.Second)
	history, err := b.History(b.ctx, j.Space, j.ID)
	require.NoError(t, err)
	require.Len(t, history, 2)
	require.Equal(t, job.AgentOffline, history[1].Reason)
}

func TestSecondInstanceAtAnotherNode(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a, b := c.start("a"), c.start("b")
		defer a.stop()
		defer b.stop()
		// It polled shortly before the poll that stays open, so that this one
		// need not have been written.
		<-a.poll(job.PollRequest{Instance: "i1"})
		pass(14 * time.Second)
		first := a.poll(job.PollRequest{Instance: "i1", Wait: 55 * time.Second})
		for range 5 {
			pass(10 * time.Second)
			got := <-b.poll(job.PollRequest{Instance: "i2"})
			require.ErrorIs(t, got.err, job.ErrInstance)
		}
		require.NoError(t, (<-first).err)
		// The same instance may go from one to the other.
		require.NoError(t, (<-b.poll(job.PollRequest{Instance: "i1"})).err)
		require.NoError(t, (<-a.poll(job.PollRequest{Instance: "i1"})).err)
		pass(time.Minute + 15*time.Second)
		require.NoError(t, (<-b.poll(job.PollRequest{Instance: "i2"})).err, "the first is gone")
		require.ErrorIs(t, (<-a.poll(job.PollRequest{Instance: "i1"})).err, job.ErrInstance)
	})
}

// What an agent says of itself at one node is not undone by another that has
// read it before.
func TestNodesDoNotUndoEachOther(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a, b := c.start("a"), c.start("b")
		defer a.stop()
		defer b.stop()
		require.NoError(t, (<-a.poll(job.PollRequest{Version: "v1"})).err)
		pass(16 * time.Second) // the next call at a writes
		require.NoError(t, (<-a.poll(job.PollRequest{})).err)
		pass(14*time.Second + 600*time.Millisecond)
		a.checkIn() // reads
		pass(300 * time.Millisecond)
		require.NoError(t, (<-b.poll(job.PollRequest{Version: "v2"})).err)
		pass(200 * time.Millisecond)
		a.checkIn() // writes, within the second for which it takes what it read as fresh
		agent, err := b.Agent(c.ctx, job.DefaultSpace, "web-1")
		require.NoError(t, err)
		require.Equal(t, "v2", agent.Version)
	})
}

func TestPollIsCheckedBeforeItTakesAJob(t *testing.T) {
	inCluster(t, func(c *cluster) {
		a, b := c.start("a"), c.start("b")
		defer a.stop()
		defer b.stop()
		b.checkIn()
		revoked := errors.New("the token was revoked")
		var mu sync.Mutex
		var is error
		caller := c.caller
		caller.Check = func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			return is
		}
		open := b.pollAs(caller, job.PollRequest{Max: 1, Wait: 50 * time.Second})
		again := b.pollAs(caller, job.PollRequest{Max: 1, Wait: 50 * time.Second})
		pass(5 * time.Second)
		mu.Lock()
		is = revoked
		mu.Unlock()
		j := a.push("uptime")
		require.ErrorIs(t, (<-open).err, revoked)
		require.ErrorIs(t, (<-again).err, revoked)
		require.Equal(t, job.Queuing, a.job(j.ID).Status)
		require.ErrorIs(t, (<-b.pollAs(caller, job.PollRequest{Max: 1})).err, revoked)

		mu.Lock()
		is = nil
		mu.Unlock()
		got := <-b.pollAs(caller, job.PollRequest{Max: 1})
		require.NoError(t, got.err)
		require.Len(t, got.Jobs, 1)
		open = b.pollAs(caller, job.PollRequest{Max: 1, Wait: 50 * time.Second})
		mu.Lock()
		is = revoked
		mu.Unlock()
		b.Recheck(job.DefaultSpace, "web-1")
		ended := <-open
		require.ErrorIs(t, ended.err, revoked)
		require.Less(t, ended.took, time.Second)
	})
}

// The database's clock is another machine's, and may be set back alone.
func TestClockOfTheDatabaseSetBack(t *testing.T) {
	t.Parallel()
	database, local := newClock(), newClock()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "skadi.db"), Clock: database.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	w := &watchedWaker{Waker: queue.NewWaker(), watched: make(chan struct{}, 1)}
	b := &bench{
		Service: job.New(job.Config{Store: db, Waker: w, Clock: local.now, Monotonic: local.monotonic}),
		t:       t, ctx: t.Context(), clock: local, watched: w.watched,
	}
	a, err := b.CreateAgent(b.ctx, job.DefaultSpace, "web-1")
	require.NoError(t, err)
	b.caller = job.Caller{Space: job.DefaultSpace, AgentID: a.ID, Agent: a.Name}
	end := b.waiting()
	database.set(-time.Hour)
	for range 3 { // the poll stays open
		database.pass(15 * time.Second)
		local.pass(15 * time.Second)
		require.NoError(t, b.SeeOpen(b.ctx))
	}
	end()
	b.poll(job.PollRequest{})
	a, err = b.Agent(b.ctx, job.DefaultSpace, "web-1")
	require.NoError(t, err)
	require.True(t, b.Online(a, database.now()), "seen at %s, and it is %s", a.LastSeenAt, database.now())
}
