package tencent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// renewal is how long a node may take to get a token until another does.
	renewal = 30 * time.Second
	// renewalPoll is how often the others look whether it has.
	renewalPoll = 200 * time.Millisecond
)

// Grant is how the library gets a token and puts it into the cache.
type Grant func(cache.Cache) credential.AccessTokenContextHandle

// token is an access token that all nodes share. One node at a time renews it,
// since each new one spends the one before.
type token struct {
	c     *Client
	cache shared
	lease chat.Leaser
	name  string // of the lease

	mu      sync.Mutex
	current entry

	// turn is held by whoever renews, of this process.
	turn chan struct{}
}

func newToken(c *Client, env chat.Env) *token {
	return &token{
		c: c, cache: shared{kv: env.KV, key: "token/" + c.cfg.Identity, seal: newSeal(c.cfg.Secret), clock: env.Clock},
		lease: env.Lease, name: "wechat/token/" + c.cfg.Identity, turn: make(chan struct{}, 1),
	}
}

// get returns a token that is good as far as is known.
func (t *token) get(ctx context.Context) (string, error) {
	if e := t.kept(); e.good(t.c.clock()) {
		return e.Token, nil
	}
	return t.renew(ctx, "")
}

// renew returns another token than spent: that which another node has got by
// now, or a new one.
func (t *token) renew(ctx context.Context, spent string) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if e := t.kept(); e.Token != spent && e.good(t.c.clock()) {
		return e.Token, nil // somebody else of this process was faster
	}
	for {
		e, err := t.cache.load(ctx)
		if err != nil {
			return "", err
		}
		if e.Token != spent && e.good(t.c.clock()) {
			return t.keep(e), nil
		}
		_, held, err := t.lease.Acquire(ctx, t.name, renewal)
		if err != nil {
			return "", err
		}
		if held {
			return t.fetch(ctx, spent)
		}
		timer := time.NewTimer(renewalPoll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", errors.Join(errors.New("another node is getting a token, and takes long"), ctx.Err())
		}
	}
}

// fetch gets a token from Tencent while this node holds the lease.
func (t *token) fetch(ctx context.Context, spent string) (string, error) {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = t.lease.Release(ctx, t.name) // it runs out by itself otherwise
	}()
	// The last holder may have been faster than the look before.
	e, err := t.cache.load(ctx)
	if err != nil {
		return "", err
	}
	if e.Token != spent && e.good(t.c.clock()) {
		return t.keep(e), nil
	}
	got := &granted{shared: t.cache, ctx: ctx}
	if _, err := t.c.cfg.Grant(got).GetAccessTokenContext(t.c.with(ctx)); err != nil {
		return "", plainly(err)
	}
	if got.entry.Token == "" {
		return "", errNoToken
	}
	return t.keep(got.entry), nil
}

func (t *token) kept() entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

func (t *token) keep(e entry) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = e
	return e.Token
}
