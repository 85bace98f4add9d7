package mysql

import (
	"context"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	kvGetQuery = "SELECT value FROM kv WHERE prefix = ? AND `key` = ? AND (expires_at = 0 OR expires_at > "

	kvSetQuery = "INSERT INTO kv (prefix, `key`, value, expires_at) VALUES (?, ?, ?, ?)" + `
		ON DUPLICATE KEY UPDATE value = VALUES(value), expires_at = VALUES(expires_at)`

	kvDeleteQuery = "DELETE FROM kv WHERE prefix = ? AND `key` = ?"

	defaultQuery = "SELECT agent FROM conversation_agents WHERE space = ? AND account = ? AND `key` = ?"

	setDefaultQuery = "INSERT INTO conversation_agents (space, account, `key`, agent) VALUES (?, ?, ?, ?)" + `
		ON DUPLICATE KEY UPDATE agent = VALUES(agent)`

	unsetDefaultQuery = "DELETE FROM conversation_agents WHERE space = ? AND account = ? AND `key` = ?"
)

type kv struct {
	store  *Store
	prefix string
}

// KV returns the values below a prefix, such as an adapter account's name.
func (s *Store) KV(prefix string) chat.KV { return &kv{store: s, prefix: prefix} }

// Get implements chat.KV.
func (k *kv) Get(ctx context.Context, key string) (value []byte, ok bool, err error) {
	ok, err = k.store.row(ctx, kvGetQuery+k.store.nowText()+`)`, []any{k.prefix, keyText(key)}, &value)
	return value, ok, err
}

// Set implements chat.KV.
func (k *kv) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	kept := append(make([]byte, 0, len(value)), value...) // the caller may go on with value
	return k.store.write(ctx, 1, func(t *tx) error {
		var expires int64
		if ttl > 0 {
			expires = row.Micros(t.now.Add(ttl))
		}
		_, err := t.exec(kvSetQuery, k.prefix, keyText(key), kept, expires)
		return err
	})
}

// Delete implements chat.KV.
func (k *kv) Delete(ctx context.Context, key string) error {
	return k.store.write(ctx, 1, func(t *tx) error {
		_, err := t.exec(kvDeleteQuery, k.prefix, keyText(key))
		return err
	})
}

type leaser struct {
	store  *Store
	holder string
}

// Leaser returns the leases as one holder sees them; each process is a holder
// of its own, named so that no two are the same. They go by the database's
// clock.
func (s *Store) Leaser(holder string) chat.Leaser { return &leaser{store: s, holder: holder} }

// Acquire implements chat.Leaser.
func (l *leaser) Acquire(ctx context.Context, name string, ttl time.Duration) (epoch int64, held bool, err error) {
	err = l.store.write(ctx, 2, func(t *tx) (err error) {
		epoch, held, err = t.acquire(name, l.holder, ttl)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return epoch, held, nil
}

func (t *tx) acquire(name, as string, ttl time.Duration) (epoch int64, held bool, err error) {
	const lock = "SELECT holder, epoch, `until` FROM leases WHERE name = ? FOR UPDATE"
	var holder string
	var until int64
	found, err := t.row(lock, []any{name}, &holder, &epoch, &until)
	if err == nil && !found {
		// Two may come here at once; one of them is first.
		if _, err = t.exec("INSERT IGNORE INTO leases (name, holder, epoch, `until`) VALUES (?, '', 0, 0)", name); err == nil {
			_, err = t.row(lock, []any{name}, &holder, &epoch, &until)
		}
	}
	if err != nil {
		return 0, false, err
	}
	if holder != as {
		if holder != "" && until > row.Micros(t.now) {
			return epoch, false, nil
		}
		epoch++
	}
	_, err = t.exec("UPDATE leases SET holder = ?, epoch = ?, `until` = ? WHERE name = ?",
		as, epoch, row.Micros(t.now.Add(ttl)), name)
	return epoch, err == nil, err
}

// Release implements chat.Leaser.
func (l *leaser) Release(ctx context.Context, name string) error {
	return l.store.write(ctx, 1, func(t *tx) error {
		_, err := t.exec("UPDATE leases SET holder = '', `until` = 0 WHERE name = ? AND holder = ?", name, l.holder)
		return err
	})
}

// Default returns the agent that the conversation means when it names none;
// empty if none was set.
func (s *Store) Default(ctx context.Context, space, account, key string) (agent string, err error) {
	_, err = s.row(ctx, defaultQuery, []any{space, account, keyText(key)}, &agent)
	return agent, err
}

// SetDefault sets the agent that the conversation means when it names none;
// an empty one ends that.
func (s *Store) SetDefault(ctx context.Context, space, account, key, agent string) error {
	of := []any{space, account, keyText(key)}
	return s.write(ctx, 1, func(t *tx) (err error) {
		if agent == "" {
			_, err = t.exec(unsetDefaultQuery, of...)
		} else {
			_, err = t.exec(setDefaultQuery, append(slices.Clone(of), agent)...)
		}
		return err
	})
}
