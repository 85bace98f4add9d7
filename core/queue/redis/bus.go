package redis

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// busPace is the shortest time between two messages of a node, so that a
	// busy one sends few long ones.
	busPace = 2 * time.Millisecond
	// busKeys bounds the keys of one message, and busLimit those that wait.
	busKeys  = 1_000
	busLimit = 50_000
	// busCheck is how long the subscription may be silent before it is asked
	// whether it still works.
	busCheck = 5 * time.Second
)

// bus carries between nodes what may be lost: which keys were woken, and which
// streams have news. It is Redis' plain pub/sub, which a Cluster hands to all
// its nodes; one message stands for many, so that this costs little.
type bus struct {
	q *Queue

	mu   sync.Mutex
	keys map[string]struct{}
	set  partitionSet
	due  bool // set has something
	kick chan struct{}
	wake func(keys ...string) // wakes those who wait here; nil without a Waker
	// alone says that nobody but this node heard what it said last: then it
	// says no more than that it is there, until somebody else hears it.
	alone  bool          // of publish
	stands atomic.Bool   // the subscription stands
	up     chan struct{} // closed once the subscription stood; for tests
	once   sync.Once
}

func newBus(q *Queue) *bus {
	return &bus{
		q: q, keys: make(map[string]struct{}), set: make(partitionSet, q.cfg.Partitions),
		kick: make(chan struct{}, 1), up: make(chan struct{}),
	}
}

// send queues keys for the other nodes.
func (b *bus) send(keys []string) {
	b.mu.Lock()
	for _, k := range keys {
		if len(b.keys) >= busLimit {
			b.q.stats.unsent.Add(1)
			continue
		}
		b.keys[k] = struct{}{}
	}
	b.mu.Unlock()
	b.signal()
}

// news queues which partitions have new messages.
func (b *bus) news(set partitionSet) {
	b.mu.Lock()
	for n, is := range set {
		b.set[n] = b.set[n] || is
	}
	b.due = true
	b.mu.Unlock()
	b.signal()
}

func (b *bus) signal() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// publish sends what is queued until the queue is closed. While Redis is away
// it drops it: who waits looks for himself every second.
func (b *bus) publish() {
	ctx := b.q.ctx
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.kick:
		}
		keys, news := b.take()
		if err := b.flush(ctx, keys, news); err != nil {
			b.q.stats.unsent.Add(int64(len(keys)))
			failures++
			sleep(ctx, backoff(failures, 50*time.Millisecond, time.Second))
			b.drop()
			continue
		}
		failures = 0
		sleep(ctx, busPace)
	}
}

func (b *bus) take() (keys []string, news string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.keys {
		keys = append(keys, k)
	}
	clear(b.keys)
	if b.due {
		var names []string
		for n, is := range b.set {
			if is {
				names = append(names, strconv.Itoa(n))
			}
		}
		clear(b.set)
		b.due, news = false, strings.Join(names, ",")
	}
	return keys, news
}

func (b *bus) drop() {
	keys, _ := b.take()
	b.q.stats.unsent.Add(int64(len(keys)))
}

// flush sends messages. Each begins with the node's name and a space, so that
// a node knows its own ones before it decodes them.
func (b *bus) flush(ctx context.Context, keys []string, news string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	node := strconv.Quote(b.q.cfg.Node) + " "
	if b.alone {
		heard, err := b.q.client.Publish(ctx, wakeChannel, node+"[]").Result()
		if err != nil || b.isAlone(heard) {
			return err
		}
		b.alone = false
	}
	heard := int64(0)
	sent := make([]*redis.IntCmd, 0, 2)
	_, err := b.q.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for len(keys) > 0 {
			n := min(len(keys), busKeys)
			list, err := json.Marshal(keys[:n])
			if err != nil {
				return err
			}
			keys = keys[n:]
			sent = append(sent, p.Publish(ctx, wakeChannel, node+string(list)))
			b.q.stats.wakesSent.Add(1)
		}
		if news != "" {
			sent = append(sent, p.Publish(ctx, newsChannel, node+news))
		}
		return nil
	})
	for _, cmd := range sent {
		heard = max(heard, cmd.Val())
	}
	b.alone = err == nil && b.isAlone(heard)
	return err
}

// isAlone reports whether a message that so many heard was heard by this node
// alone. A Cluster counts those at one of its nodes only.
func (b *bus) isAlone(heard int64) bool {
	return !b.q.cfg.Cluster && b.stands.Load() && heard <= 1
}

// listen keeps one subscription until the queue is closed.
func (b *bus) listen() {
	ctx := b.q.ctx
	for failures := 0; ctx.Err() == nil; {
		stood, err := b.subscription(ctx)
		if ctx.Err() != nil {
			return
		}
		if stood {
			failures = 0
		}
		failures++
		b.q.log.Debug("the subscription to redis ended; subscribing again", "err", err)
		sleep(ctx, backoff(failures, 50*time.Millisecond, time.Second))
	}
}

// subscription receives until it fails. stood says whether it ever worked.
func (b *bus) subscription(ctx context.Context) (stood bool, err error) {
	ps := b.q.client.Subscribe(ctx, wakeChannel, newsChannel)
	defer func() { _ = ps.Close() }()
	defer b.stands.Store(false)
	// A receive does not end with its context.
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()
	asked := false
	for {
		got, err := ps.ReceiveTimeout(ctx, busCheck)
		var late interface{ Timeout() bool }
		switch {
		case err == nil:
			asked = false
		case errors.As(err, &late) && late.Timeout() && !asked:
			asked = true
			if err := ps.Ping(ctx); err != nil {
				return stood, err
			}
			continue
		default:
			return stood, err
		}
		switch m := got.(type) {
		case *redis.Subscription:
			if m.Channel == newsChannel && !stood {
				stood = true
				b.stands.Store(true)
				b.once.Do(func() { close(b.up) })
				b.missed()
			}
		case *redis.Message:
			b.receive(m)
		}
	}
}

// missed makes readers look for what was said while nobody listened.
func (b *bus) missed() { b.q.news(nil) }

func (b *bus) receive(m *redis.Message) {
	quoted, err := strconv.QuotedPrefix(m.Payload)
	if err != nil {
		return
	}
	if node, err := strconv.Unquote(quoted); err != nil || node == b.q.cfg.Node {
		return
	}
	body := strings.TrimPrefix(m.Payload[len(quoted):], " ")
	b.q.stats.wakesGot.Add(1)
	if m.Channel == newsChannel {
		set := make(partitionSet, b.q.cfg.Partitions)
		for name := range strings.SplitSeq(body, ",") {
			if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(set) {
				set[n] = true
			}
		}
		b.q.news(set)
		return
	}
	var keys []string
	if json.Unmarshal([]byte(body), &keys) != nil {
		return
	}
	b.mu.Lock()
	wake := b.wake
	b.mu.Unlock()
	if wake != nil {
		wake(keys...)
	}
}
