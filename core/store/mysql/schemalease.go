package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// lease lets one process at a time migrate. It is a row, since GET_LOCK holds
// on one server of a cluster only.
type lease struct {
	ttl   time.Duration
	retry time.Duration // between two looks at somebody else's
	id    string        // the holder's, set by acquire
}

// migrateLease outlasts a pause of the process, and not the patience of
// somebody who waits for one that died.
var migrateLease = lease{ttl: 15 * time.Second, retry: 200 * time.Millisecond}

var errLeaseLost = errors.New("another process took over while this one was paused: see how far it got with `skadi migrate status`")

// acquire waits until the lease is ours.
func (l *lease) acquire(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	l.id = id.String()
	for _, text := range []string{
		`CREATE TABLE IF NOT EXISTS schema_lock (
			id     INT            NOT NULL PRIMARY KEY,
			holder VARBINARY(255) NOT NULL,
			ends_at BIGINT        NOT NULL
		) ENGINE = InnoDB`,
		`INSERT IGNORE INTO schema_lock (id, holder, ends_at) VALUES (1, '', 0)`,
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	for told := false; ; told = true {
		ours, err := l.take(ctx, db, `ends_at <= `+micros)
		if err != nil || ours {
			return err
		}
		if !told {
			log.Info("another process migrates the database's schema; waiting for it")
		}
		select {
		case <-time.After(l.retry):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take sets the lease's end anew if the condition holds.
func (l *lease) take(ctx context.Context, db *sql.DB, condition string, args ...any) (ours bool, err error) {
	res, err := db.ExecContext(ctx, `UPDATE schema_lock SET holder = ?, ends_at = `+micros+` + ? WHERE id = 1 AND `+condition, //nolint:gosec // our own words
		append([]any{l.id, l.ttl.Microseconds()}, args...)...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// hold does the work while the lease is ours, renewing it. The work's context
// ends when the lease may be lost.
func (l *lease) hold(ctx context.Context, db *sql.DB, work func(context.Context) error) error {
	renew := func() error {
		ours, err := l.take(ctx, db, `holder = ?`, l.id)
		if err == nil && !ours {
			err = errLeaseLost
		}
		return err
	}
	if err := renew(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(l.ttl / 3)
		defer tick.Stop()
		for end := time.Now().Add(l.ttl); ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			begun := time.Now()
			switch err := renew(); {
			case err == nil:
				end = begun.Add(l.ttl)
			case errors.Is(err, errLeaseLost) || time.Now().After(end):
				cancel(err)
				return
			}
		}
	}()
	err := work(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("%w (%w)", cause, err)
	}
	cancel(nil)
	<-done
	return err
}

// release lets another process have the lease at once.
func (l *lease) release(ctx context.Context, db *sql.DB, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.ttl)
	defer cancel()
	if _, err := db.ExecContext(ctx, `UPDATE schema_lock SET holder = '', ends_at = 0 WHERE id = 1 AND holder = ?`, l.id); err != nil {
		log.Warn("could not give back the lease on the schema; it runs out by itself", "after", l.ttl, "err", err)
	}
}
