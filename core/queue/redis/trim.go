package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// trimKept is how many entries a stream keeps at least.
	trimKept = 1_000
	// dropPage is how many unread entries are dropped at once.
	dropPage = 1_000
	// warnEvery bounds how often a group that does not read is logged.
	warnEvery = time.Minute
)

// trimmer removes from the streams what every group has acknowledged. Only the
// node that publishes does, and only where it published.
type trimmer struct {
	q *Queue

	mu      sync.Mutex
	touched partitionSet
	warned  map[string]time.Time
}

func newTrimmer(q *Queue) *trimmer {
	return &trimmer{q: q, touched: make(partitionSet, q.cfg.Partitions), warned: make(map[string]time.Time)}
}

func (t *trimmer) touch(set partitionSet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, is := range set {
		t.touched[n] = t.touched[n] || is
	}
}

func (t *trimmer) run() {
	tick := time.NewTicker(t.q.cfg.TrimEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.q.ctx.Done():
			return
		case <-tick.C:
			t.pass(t.q.ctx)
		}
	}
}

// pass trims what was published to since.
func (t *trimmer) pass(ctx context.Context) {
	for n := range t.q.cfg.Partitions {
		t.mu.Lock()
		touched := t.touched[n]
		t.touched[n] = false
		t.mu.Unlock()
		if !touched {
			continue
		}
		left, err := t.partition(ctx, n)
		if left || err != nil {
			t.mu.Lock()
			t.touched[n] = true // look again next time
			t.mu.Unlock()
		}
		if err != nil {
			t.q.log.Debug("a stream could not be trimmed; trying again", "partition", n, "err", err)
			return
		}
	}
}

// partition trims one stream, and reports whether it is still longer than it
// needs to be.
func (t *trimmer) partition(ctx context.Context, n int) (long bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*opTimeout)
	defer cancel()
	key := tagged(streamPrefix, n)
	length, err := t.q.client.XLen(ctx, key).Result()
	if err != nil || length <= trimKept {
		return false, err
	}
	groups, err := t.groups(ctx, key)
	if err != nil {
		return true, err
	}
	removed, err := t.acknowledged(ctx, key, groups)
	if err != nil {
		return true, err
	}
	t.q.stats.trimmed.Add(removed)
	length -= removed
	for length > int64(t.q.cfg.MaxLen) {
		dropped, err := t.drop(ctx, n, groups, min(length-int64(t.q.cfg.MaxLen), dropPage))
		if err != nil || dropped == 0 {
			return true, err
		}
		length -= dropped
	}
	return length > trimKept, nil
}

// reading is how far a group is.
type reading struct {
	name string
	// next is the lowest ID that it may still need.
	next streamID
}

// groups returns how far the groups of a stream are.
func (t *trimmer) groups(ctx context.Context, key string) ([]reading, error) {
	cmd := keyed(ctx, []any{"xinfo", "groups", key})
	_ = t.q.client.Process(ctx, cmd)
	found, err := groupsOf(cmd)
	if err != nil {
		return nil, err
	}
	groups := make([]reading, 0, len(found))
	for _, g := range found {
		next := g.delivered.next()
		if g.pending > 0 {
			// What was handed out since XINFO is newer than this.
			p, err := t.q.client.XPending(ctx, key, g.name).Result()
			if err != nil {
				return nil, err
			}
			if p.Count > 0 {
				next = parseID(p.Lower)
			}
		}
		groups = append(groups, reading{g.name, next})
	}
	return groups, nil
}

// acknowledged removes what no group needs any more.
func (t *trimmer) acknowledged(ctx context.Context, key string, groups []reading) (int64, error) {
	if len(groups) == 0 {
		return t.q.client.XTrimMaxLenApprox(ctx, key, trimKept, 0).Result()
	}
	lowest := groups[0].next
	for _, g := range groups[1:] {
		if g.next.less(lowest) {
			lowest = g.next
		}
	}
	return t.q.client.XTrimMinIDApprox(ctx, key, lowest.String(), 0).Result()
}

// drop removes the oldest entries though some group has not read them, and
// leaves a mark for each such group, in the same transaction.
func (t *trimmer) drop(ctx context.Context, n int, groups []reading, count int64) (int64, error) {
	key := tagged(streamPrefix, n)
	oldest, err := t.q.client.XRangeN(ctx, key, "-", "+", count).Result()
	if err != nil || len(oldest) == 0 {
		return 0, err
	}
	last := parseID(oldest[len(oldest)-1].ID)
	var marks []any
	unread := 0
	for _, g := range groups {
		missed := 0
		for _, x := range oldest {
			if !parseID(x.ID).less(g.next) {
				missed++
			}
		}
		if missed > 0 {
			marks = append(marks, g.name, last.String())
			unread = max(unread, missed)
			t.warn(g.name, n)
		}
	}
	var removed *redis.IntCmd
	_, err = t.q.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if len(marks) > 0 {
			p.HSet(ctx, tagged(lostPrefix, n), marks...)
		}
		removed = p.XTrimMinID(ctx, key, last.next().String())
		return nil
	})
	if err != nil {
		return 0, err
	}
	t.q.stats.trimmed.Add(removed.Val())
	t.q.stats.unread.Add(int64(unread))
	return removed.Val(), nil
}

func (t *trimmer) warn(group string, partition int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.warned[group]) < warnEvery {
		return
	}
	t.warned[group] = time.Now()
	t.q.log.Warn("a consumer group does not read its events, and the oldest of them were dropped; remove the group if nobody uses it (XGROUP DESTROY)",
		"group", group, "stream", tagged(streamPrefix, partition), "limit", t.q.cfg.MaxLen)
}
