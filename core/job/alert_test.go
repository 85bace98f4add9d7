package job_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// watchers is who is told of agents, in the channel ops unless it fails.
type watchers struct {
	mu    sync.Mutex
	err   error
	asked int
}

func (w *watchers) Offline(_ context.Context, _, agent string) (chat.ConversationRef, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return chat.ConversationRef{Account: "work", Channel: "C1", Key: "C1"}, agent != "quiet-1", w.err
}

func (w *watchers) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

// alerted makes the service tell its watchers; it has just started.
func alerted(t *testing.T, b *bench) *watchers {
	t.Helper()
	w := &watchers{}
	b.Service = another(b, w)
	return w
}

// another is another node on the same store.
func another(b *bench, w *watchers) *job.Service {
	return job.New(job.Config{
		Store: b.store, Waker: queue.NewWaker(), Clock: b.clock.now, Monotonic: b.clock.monotonic, Alerts: w,
	})
}

// told are the texts that were said in the channel, and takes them.
func (b *bench) told() []string {
	b.t.Helper()
	store := b.store.Store.(interface {
		Unpublished(ctx context.Context, max int) ([]job.Event, error)
		MarkPublished(ctx context.Context, events []job.Event) error
	})
	events, err := store.Unpublished(b.ctx, 1000)
	require.NoError(b.t, err)
	require.NoError(b.t, store.MarkPublished(b.ctx, events))
	var texts []string
	for _, e := range events {
		if e.Kind == job.EventMessage && e.Conversation != nil && e.Conversation.Channel == "C1" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

func TestAnOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := alerted(t, b)
	b.steady(2 * time.Minute)
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	b.steady(3*time.Minute - time.Second)
	assert.Empty(t, b.told())
	b.steady(time.Minute)
	assert.Equal(t, []string{"web-1 is offline: it was last seen 3 min ago."}, b.told())

	// Nor again by another node, or the next process.
	other := another(b, w)
	for range 120 {
		b.clock.pass(time.Second)
		require.NoError(t, other.Sweep(b.ctx))
		require.NoError(t, b.Sweep(b.ctx))
	}
	assert.Empty(t, b.told())

	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	b.steady(5 * time.Second)
	assert.Equal(t, []string{"web-1 is online again, after 5 min."}, b.told())
	b.steady(time.Minute)
	assert.Empty(t, b.told())
	b.steady(4 * time.Minute)
	assert.Len(t, b.told(), 1, "the next outage is another")
}

func TestNoAlertsAboutTheServersOwnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	alerted(t, b)
	_, err := b.CreateAgent(b.ctx, job.DefaultSpace, "never-seen")
	require.NoError(t, err)
	// The server was away for an hour; its agents find it again within a minute.
	b.clock.pass(time.Hour)
	alerted(t, b)
	b.steady(time.Minute)
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	b.steady(time.Minute)
	assert.Empty(t, b.told())
	// One that does not is told when the hold is over.
	b.clock.pass(time.Hour)
	b.steady(2 * time.Minute)
	assert.Empty(t, b.told())
	b.steady(2 * time.Minute)
	assert.Equal(t, []string{"web-1 is offline: it was last seen 1 h 4 min ago."}, b.told())
}

func TestAlertsOfRemovedAndQuietAgents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	alerted(t, b)
	a, err := b.CreateAgent(b.ctx, job.DefaultSpace, "quiet-1")
	require.NoError(t, err)
	require.NoError(t, b.CheckIn(b.ctx, job.Caller{Space: a.Space, AgentID: a.ID, Agent: a.Name}))
	require.NoError(t, b.RemoveAgent(b.ctx, job.DefaultSpace, "web-1", "ada"))
	b.steady(10 * time.Minute)
	assert.Empty(t, b.told())
}

func TestAlertsWaitUntilTheyCanBeTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := alerted(t, b)
	w.fail(errors.New("away"))
	b.steady(10 * time.Minute)
	assert.Empty(t, b.told())
	w.fail(nil)
	b.steady(5 * time.Second)
	require.Len(t, b.told(), 1)
	// A channel that is no more keeps nobody waiting.
	require.NoError(t, b.CheckIn(b.ctx, b.caller))
	w.fail(&chat.SendError{Class: chat.Gone, Err: errors.New("no such channel")})
	b.steady(5 * time.Second)
	w.fail(nil)
	b.steady(5 * time.Second)
	assert.Empty(t, b.told())
}

func TestASecondProcessIsToldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := alerted(t, b)
	_, err := b.Poll(b.ctx, b.caller, job.PollRequest{Instance: "one"})
	require.NoError(t, err)
	other := another(b, w)
	for range 3 {
		for _, s := range []*job.Service{b.Service, other} {
			_, err = s.Poll(b.ctx, b.caller, job.PollRequest{Instance: "two"})
			require.ErrorIs(t, err, job.ErrInstance)
		}
	}
	told := b.told()
	require.Len(t, told, 1)
	assert.Contains(t, told[0], "A second process polls as web-1")
	assert.Contains(t, told[0], "skadi agents rotate web-1")
}
