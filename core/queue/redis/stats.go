package redis

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

type stats struct {
	published, publishErrors    atomic.Int64
	claimed, dead, lost         atomic.Int64
	trimmed, unread             atomic.Int64
	wakesSent, wakesGot, unsent atomic.Int64
}

// Stats counts what this node did since it was started.
type Stats struct {
	// Published are events; PublishErrors are batches that failed.
	Published, PublishErrors int64
	// Claimed are events taken over from other consumers, Dead those given up.
	Claimed, Dead int64
	// Lost is how often a handler was made to read the database.
	Lost int64
	// Trimmed are events removed from the streams. DroppedUnread are those of
	// them that some group had not read.
	Trimmed, DroppedUnread int64
	// WakesSent and WakesReceived are messages between nodes; WakesDropped are
	// keys that were not sent while Redis was away.
	WakesSent, WakesReceived, WakesDropped int64
}

// Stats returns what happened so far.
func (q *Queue) Stats() Stats {
	s := &q.stats
	return Stats{
		Published: s.published.Load(), PublishErrors: s.publishErrors.Load(),
		Claimed: s.claimed.Load(), Dead: s.dead.Load(), Lost: s.lost.Load(),
		Trimmed: s.trimmed.Load(), DroppedUnread: s.unread.Load(),
		WakesSent: s.wakesSent.Load(), WakesReceived: s.wakesGot.Load(), WakesDropped: s.unsent.Load(),
	}
}

// Backlog returns for each group, also those of services, how many events it
// has not read or not acknowledged. Redis before 7.0 tells only the latter,
// and so does a newer one in the rare case that it does not know.
func (q *Queue) Backlog(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	asked := make([]*redis.Cmd, q.cfg.Partitions)
	_, _ = q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range asked {
			asked[n] = keyed(ctx, []any{"xinfo", "groups", tagged(streamPrefix, n)})
			_ = p.Process(ctx, asked[n])
		}
		return nil
	})
	backlog := make(map[string]int64)
	for _, cmd := range asked {
		groups, err := groupsOf(cmd)
		if err != nil {
			return nil, q.explain(err)
		}
		for _, g := range groups {
			backlog[g.name] += g.pending + g.lag
		}
	}
	return backlog, nil
}

// groupInfo is what XINFO GROUPS says of a group.
type groupInfo struct {
	name         string
	pending, lag int64
	delivered    streamID
}

// groupsOf reads XINFO GROUPS' answer. Newer versions may say more than this
// program knows.
func groupsOf(cmd *redis.Cmd) ([]groupInfo, error) {
	answer, err := cmd.Slice()
	if err != nil {
		if redis.HasErrorPrefix(err, "no such key") || errors.Is(err, redis.Nil) {
			return nil, nil
		}
		return nil, err
	}
	groups := make([]groupInfo, 0, len(answer))
	for _, one := range answer {
		list, _ := one.([]any)
		m := pairs(list)
		name, _ := m["name"].(string)
		pending, _ := m["pending"].(int64)
		lag, _ := m["lag"].(int64)
		delivered, _ := m["last-delivered-id"].(string)
		groups = append(groups, groupInfo{name, pending, lag, parseID(delivered)})
	}
	return groups, nil
}
