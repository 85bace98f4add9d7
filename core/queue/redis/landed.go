package redis

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/letserverrun/skadi/core/queue"
)

// noEntry is where a stream is read from its beginning.
const noEntry = "0-0"

// landed is where messages of one partition came to stand in its stream: one
// right after another, since they were written in one transaction. Who has read
// up to before need not read them back to know what is there up to last.
type landed struct {
	before   string // the last entry before them; noEntry if there was none
	last     string
	messages []queue.Message
}

// landing is a landed while Redis is asked.
type landing struct {
	key      string
	before   *redis.XMessageSliceCmd
	last     *redis.StringCmd
	messages []queue.Message
}

// addTogether writes messages in one transaction, of one slot in a Cluster.
func (q *Queue) addTogether(ctx context.Context, messages []queue.Message) (map[int]*landed, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	all := make(map[int]*landing, q.cfg.Partitions)
	cmds, err := q.client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range messages {
			l, ok := all[m.Partition]
			if !ok {
				l = &landing{key: tagged(streamPrefix, m.Partition)}
				l.before = p.XRevRangeN(ctx, l.key, "+", "-", 1)
				all[m.Partition] = l
			}
			l.last = p.XAdd(ctx, &redis.XAddArgs{Stream: l.key, Values: fields(m)})
			l.messages = append(l.messages, m)
		}
		return nil
	})
	if err := whyAborted(cmds, err); err != nil {
		return nil, err
	}
	at := make(map[int]*landed, len(all))
	for n, l := range all {
		before := noEntry
		if found := l.before.Val(); len(found) > 0 {
			before = found[0].ID
		}
		at[n] = &landed{before: before, last: l.last.Val(), messages: l.messages}
	}
	return at, nil
}

// arrived tells the readers of this node what was published here.
func (q *Queue) arrived(at map[int]*landed, messages []queue.Message) {
	q.mu.Lock()
	for _, g := range q.groups {
		g.arrived(at)
	}
	q.mu.Unlock()
	q.tailer.arrived(at, messages)
}

// arrived marks the partitions that have something to read. Where nobody here
// wants what was added, and everything before it was read, the group is moved
// past it along with the next reading.
func (g *group) arrived(at map[int]*landed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := false
	for n, l := range at {
		p := g.parts[n]
		switch {
		case p == nil:
		case !p.fresh && p.position == l.before && !g.wanted(n, l.messages):
			p.position, p.skip = l.last, l.last
		default:
			p.news, found = true, true
		}
	}
	if found {
		g.look()
	}
}

// wanted reports whether a consumer here wants one of the messages. Where there
// is none, that is for the next one to say. It is called with g.mu held.
func (g *group) wanted(n int, messages []queue.Message) bool {
	read := false
	for c := range g.consumers {
		if !c.wants(n) {
			continue
		}
		read = true
		if slices.ContainsFunc(messages, c.takes) {
			return true
		}
	}
	return !read
}

// skipped is told how moving the group past unwanted entries went. If it did
// not move, they are read. It is called with g.mu held.
func (p *part) skipped(to string, err error) {
	switch {
	case err != nil:
		p.position, p.skip = "", ""
	case p.skip == to:
		p.skip = ""
	}
}

// readTo notes up to where the partition was read. It is called with the
// group's lock held.
func (p *part) readTo(id string) {
	at := parseID(id)
	if parseID(p.position).less(at) {
		p.position = id
	}
	if p.skip != "" && !at.less(parseID(p.skip)) {
		p.skip = "" // the group is there, or further
	}
}

// arrived gives the live readers what was published here, if everything before
// it was read.
func (t *tailer) arrived(at map[int]*landed, messages []queue.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running {
		return
	}
	known := make(partitionSet, len(t.position))
	for n, l := range at {
		if known[n] = t.position[n] == l.before; known[n] {
			t.position[n] = l.last
		}
	}
	missed := func(m queue.Message) bool { return !known[m.Partition] }
	if slices.ContainsFunc(messages, missed) {
		messages = slices.DeleteFunc(slices.Clone(messages), missed)
		t.news()
	}
	if len(messages) > 0 {
		t.tails.Add(messages)
	}
}
