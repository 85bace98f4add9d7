package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
)

const (
	claimPage = 1_000
	// deadKept bounds the dead letters of a partition, and reasonKept one
	// letter's reason.
	deadKept   = 1_000
	reasonKept = 2_000
)

// makeGroup makes the group at every partition where it is not there, so that
// it gets what is published from then on also where nobody consumes yet.
func (g *group) makeGroup(ctx context.Context) error {
	g.mu.Lock()
	made, start := g.made, "$"
	if g.replaced {
		start = "0" // what was published since Redis was emptied is news to it
	}
	g.mu.Unlock()
	if made {
		return nil
	}
	created, _ := g.q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range g.q.cfg.Partitions {
			p.XGroupCreateMkStream(ctx, tagged(streamPrefix, n), g.name, start)
		}
		return nil
	})
	for _, cmd := range created {
		if err := cmd.Err(); err != nil && !redis.HasErrorPrefix(err, "BUSYGROUP") {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made, g.replaced = true, false
	return nil
}

// setUp prepares a partition that is new here, and takes over what whoever had
// it before did not finish.
func (g *group) setUp(ctx context.Context, t *task) error {
	opCtx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if err := g.makeGroup(opCtx); err != nil {
		return err
	}
	if err := g.q.client.HDel(opCtx, tagged(lostPrefix, t.p.n), g.name).Err(); err != nil {
		return err
	}
	if err := g.takeOver(ctx, t, 0); err != nil {
		return err
	}
	if err := g.forgetConsumers(opCtx, t); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t.p.fresh = false
	for c := range g.consumers {
		if c.wants(t.p.n) && !slices.ContainsFunc(c.partitions, func(n int) bool { return g.parts[n] != nil && g.parts[n].fresh }) {
			g.lose(c)
		}
	}
	return nil
}

// forgetConsumers removes the names of nodes that are long gone and left
// nothing, which Redis keeps for ever otherwise.
func (g *group) forgetConsumers(ctx context.Context, t *task) error {
	cmd := keyed(ctx, []any{"xinfo", "consumers", t.p.key, g.name})
	if err := g.q.client.Process(ctx, cmd); err != nil {
		return err
	}
	answer, err := cmd.Slice()
	if err != nil {
		return err
	}
	for _, one := range answer {
		list, _ := one.([]any)
		m := pairs(list)
		name, _ := m["name"].(string)
		pending, _ := m["pending"].(int64)
		idle, _ := m["idle"].(int64)
		if name == t.consumer || pending > 0 || time.Duration(idle)*time.Millisecond < g.q.cfg.ForgetAfter {
			continue
		}
		if err := g.q.client.XGroupDelConsumer(ctx, t.p.key, g.name, name).Err(); err != nil {
			return err
		}
	}
	return nil
}

// takeOver claims what was handed out that long ago and not acknowledged, and
// gives it to the consumers here.
func (g *group) takeOver(ctx context.Context, t *task, idle time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 2*opTimeout)
	defer cancel()
	claimed := 0
	for cursor := "0-0"; ; {
		cmd := redis.NewCmd(ctx, "xautoclaim", t.p.key, g.name, t.consumer, idle.Milliseconds(), cursor, "COUNT", claimPage, "JUSTID")
		if err := g.q.client.Process(ctx, cmd); err != nil {
			return err
		}
		next, ids, gone, err := autoClaimed(cmd)
		if err != nil {
			return err
		}
		claimed += ids
		if gone > 0 {
			g.gone(t.p, gone)
		}
		if cursor = next; cursor == "0-0" || cursor == "" {
			break
		}
	}
	if claimed == 0 {
		return nil
	}
	return g.readOwn(ctx, t)
}

// autoClaimed reads XAUTOCLAIM's answer: where to go on, how many it claimed,
// and how many were gone from the stream (which 6.2 does not say).
func autoClaimed(cmd *redis.Cmd) (next string, ids, gone int, err error) {
	answer, err := cmd.Slice()
	if err != nil {
		return "", 0, 0, err
	}
	if len(answer) < 2 {
		return "", 0, 0, fmt.Errorf("redis answered XAUTOCLAIM with %d elements", len(answer))
	}
	next, _ = answer[0].(string)
	claimed, _ := answer[1].([]any)
	if len(answer) > 2 {
		deleted, _ := answer[2].([]any)
		gone = len(deleted)
	}
	return next, len(claimed), gone, nil
}

// readOwn reads what is handed out to this consumer and unknown to it.
func (g *group) readOwn(ctx context.Context, t *task) error {
	taken := 0
	for after := "0"; ; {
		streams, err := g.q.client.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: g.name, Consumer: t.consumer, Streams: []string{t.p.key, after}, Count: claimPage, Block: -1,
		}).Result()
		if err != nil {
			return err
		}
		if len(streams) == 0 || len(streams[0].Messages) == 0 {
			break
		}
		own := streams[0].Messages
		after = own[len(own)-1].ID
		known := g.known(t.p)
		var gone []string
		fresh := own[:0]
		for _, x := range own {
			switch {
			case known[x.ID]:
			case x.Values == nil: // the entry was removed before it was handled
				gone = append(gone, x.ID)
			default:
				fresh = append(fresh, x)
			}
		}
		taken += len(fresh)
		g.accept(t.p, fresh)
		if len(gone) > 0 {
			if err := g.q.client.XAck(ctx, t.p.key, g.name, gone...).Err(); err != nil {
				return err
			}
			g.gone(t.p, len(gone))
		}
	}
	if taken > 0 {
		g.q.stats.claimed.Add(int64(taken))
		g.log.Info("took over events that another consumer did not finish", "partition", t.p.n, "events", taken)
	}
	return nil
}

// known returns the entries that this node has already.
func (g *group) known(p *part) map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := make(map[string]bool, len(p.entries)+len(p.acks))
	for _, e := range p.entries {
		known[e.id] = true
	}
	for _, id := range p.acks {
		known[id] = true
	}
	for _, e := range p.dead {
		known[e.id] = true
	}
	return known
}

// gone notes that entries were removed before they were handled.
func (g *group) gone(p *part, n int) {
	g.log.Warn("events were removed from redis before they were handled; reading from the database instead",
		"partition", p.n, "events", n)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losePartition(p.n)
}

// bury writes dead letters, and acknowledges their entries along with that.
func (g *group) bury(ctx context.Context, p *part, dead []deadEntry) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	cmds, err := g.q.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, d := range dead {
			pipe.XAdd(ctx, &redis.XAddArgs{
				Stream: tagged(deadPrefix, p.n), MaxLen: deadKept, Approx: true,
				Values: append(fields(d.m), "group", g.name, "reason", cut(d.reason), "entry", d.id),
			})
			pipe.XAck(ctx, p.key, g.name, d.id)
		}
		return nil
	})
	if err = whyAborted(cmds, err); redis.HasErrorPrefix(err, "OOM") {
		// The log has it, and the others of its partition must not wait.
		ids := make([]string, len(dead))
		for i, d := range dead {
			ids[i] = d.id
		}
		g.log.Error("redis has no memory for dead letters; they are dropped", "partition", p.n, "events", len(ids))
		err = g.q.client.XAck(ctx, p.key, g.name, ids...).Err()
	}
	if err == nil {
		g.q.stats.dead.Add(int64(len(dead)))
	}
	return err
}

func cut(s string) string {
	if len(s) <= reasonKept {
		return s
	}
	return strings.ToValidUTF8(s[:reasonKept], "") + "…"
}

// DeadLetters returns up to max messages that the group gave up, newest first.
// A partition keeps about the last thousand of all groups.
func (q *Queue) DeadLetters(ctx context.Context, group string, max int) ([]queue.DeadLetter, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*opTimeout)
	defer cancel()
	var all []queue.DeadLetter
	for n := range q.cfg.Partitions {
		found, err := q.client.XRevRangeN(ctx, tagged(deadPrefix, n), "+", "-", 2*deadKept).Result()
		if err != nil {
			return nil, q.explain(err)
		}
		for _, x := range found {
			if d := deadLetter(x, n); d.Group == group {
				all = append(all, d)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b queue.DeadLetter) int { return b.At.Compare(a.At) })
	return all[:min(max, len(all))], nil
}
