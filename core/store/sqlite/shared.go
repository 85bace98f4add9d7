package sqlite

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store/row"
)

var (
	kvGetQuery = newQuery(`SELECT value FROM kv WHERE prefix = ? AND key = ? AND (expires_at = 0 OR expires_at > ?)`)

	kvSetQuery = newQuery(`INSERT INTO kv (prefix, key, value, expires_at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`)

	kvDeleteQuery = newQuery(`DELETE FROM kv WHERE prefix = ? AND key = ?`)

	leaseQuery = newQuery(`SELECT holder, epoch, until FROM leases WHERE name = ?`)

	putLeaseQuery = newQuery(`INSERT INTO leases (name, holder, epoch, until) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, until = excluded.until`)

	releaseQuery = newQuery(`UPDATE leases SET holder = '', until = 0 WHERE name = ? AND holder = ?`)

	defaultQuery = newQuery(`SELECT agent FROM conversation_agents WHERE space = ? AND account = ? AND key = ?`)

	setDefaultQuery = newQuery(`INSERT INTO conversation_agents (space, account, key, agent) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET agent = excluded.agent`)

	unsetDefaultQuery = newQuery(`DELETE FROM conversation_agents WHERE space = ? AND account = ? AND key = ?`)
)

type kv struct {
	store  *Store
	prefix string
}

// KV returns the values below a prefix, such as an adapter account's name.
func (s *Store) KV(prefix string) chat.KV { return &kv{store: s, prefix: prefix} }

// Get implements chat.KV.
func (k *kv) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	ok, err = k.store.read.row(ctx, kvGetQuery, []any{k.prefix, key, row.Micros(k.store.now())}, &value)
	return value, ok, err
}

// Set implements chat.KV.
func (k *kv) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	var expires int64
	if ttl > 0 {
		expires = row.Micros(k.store.now().Add(ttl))
	}
	kept := append(make([]byte, 0, len(value)), value...) // the caller may go on with value
	return k.store.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(kvSetQuery, k.prefix, key, kept, expires)
		return err
	}})
}

// Delete implements chat.KV.
func (k *kv) Delete(ctx context.Context, key string) error {
	return k.store.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(kvDeleteQuery, k.prefix, key)
		return err
	}})
}

type leaser struct {
	store  *Store
	holder string
}

// Leaser returns the leases as one holder sees them; each process is a holder
// of its own, named so that no two are the same.
func (s *Store) Leaser(holder string) chat.Leaser { return &leaser{store: s, holder: holder} }

// Acquire implements chat.Leaser.
func (l *leaser) Acquire(ctx context.Context, name string, ttl time.Duration) (int64, bool, error) {
	var epoch int64
	var held bool
	err := l.store.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		var holder string
		var until int64
		epoch, held = 0, false
		if _, err := t.row(leaseQuery, []any{name}, &holder, &epoch, &until); err != nil {
			return err
		}
		now := l.store.now()
		if holder != l.holder {
			if holder != "" && until > row.Micros(now) {
				return nil
			}
			epoch++
		}
		held = true
		_, err := t.exec(putLeaseQuery, name, l.holder, epoch, row.Micros(now.Add(ttl)))
		return err
	}})
	if err != nil {
		return 0, false, err
	}
	return epoch, held, nil
}

// Release implements chat.Leaser.
func (l *leaser) Release(ctx context.Context, name string) error {
	return l.store.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
		_, err := t.exec(releaseQuery, name, l.holder)
		return err
	}})
}

// Default returns the agent that the conversation means when it names none;
// empty if none was set.
func (s *Store) Default(ctx context.Context, space, account, key string) (agent string, err error) {
	_, err = s.read.row(ctx, defaultQuery, []any{space, account, key}, &agent)
	return agent, err
}

// SetDefault sets the agent that the conversation means when it names none;
// an empty one ends that.
func (s *Store) SetDefault(ctx context.Context, space, account, key, agent string) error {
	return s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) (err error) {
		if agent == "" {
			_, err = t.exec(unsetDefaultQuery, space, account, key)
		} else {
			_, err = t.exec(setDefaultQuery, space, account, key, agent)
		}
		return err
	}})
}
