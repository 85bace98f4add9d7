package redis

import (
	"context"
	"errors"
)

// Facts are what a Redis says of itself. A field is empty where its user may
// not ask.
type Facts struct {
	Version string
	// Eviction is its maxmemory-policy, and Persistent says that it writes to
	// disk what it is given: as an append-only file, or now and then.
	Eviction               string
	AppendOnly, Persistent bool
}

// Examine finds out once whether the Redis of a config can be used: that it is
// reached, of the kind that the config says, and lets its user do all that the
// queue does. What it writes for that it removes.
func Examine(ctx context.Context, cfg Config) (f Facts, err error) {
	cfg.setDefaults()
	quiet()
	q := &Queue{cfg: cfg, log: cfg.Logger, groups: make(map[string]*group)}
	q.client = q.newClient()
	defer func() { err = errors.Join(err, q.client.Close()) }()
	if err := q.check(ctx); err != nil {
		return f, q.explain(err)
	}
	info, err := q.client.Info(ctx).Result()
	if err != nil {
		return f, nil //nolint:nilerr // the user need not have this right
	}
	f.Version, f.Eviction = infoField(info, "redis_version"), infoField(info, "maxmemory_policy")
	f.AppendOnly = infoField(info, "aof_enabled") == "1"
	f.Persistent = f.AppendOnly
	if save, err := q.client.ConfigGet(ctx, "save").Result(); err == nil && save["save"] != "" {
		f.Persistent = true
	}
	return f, nil
}
