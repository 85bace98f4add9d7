package sqlite

import (
	"context"
	"fmt"
	"strconv"

	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/store/row"
)

// settingPartitions names how many partitions there are.
const settingPartitions = "partitions"

var (
	settingQuery = newQuery(`SELECT value FROM settings WHERE name = ?`)

	putSettingQuery = newQuery(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING`)

	unplacedQuery = newQuery(`SELECT account, key FROM conversations WHERE part = -1`)

	placeQuery = newQuery(`UPDATE conversations SET part = ? WHERE account = ? AND key = ?`)
)

// Partitions returns how many partitions conversations are spread over.
func (s *Store) Partitions() int { return s.partitions }

// settle finds out how many partitions there are, and refuses another number
// than the one that is kept. It gives conversations of before a partition.
func (s *Store) settle(ctx context.Context, want int) error {
	kept, err := s.keptPartitions(ctx)
	if err != nil {
		return err
	}
	if kept == 0 {
		number := want
		if number <= 0 {
			number = events.DefaultPartitions
		}
		err := s.write.Do(ctx, &work{Rows: 1, Do: func(t *tx) error {
			_, err := t.exec(putSettingQuery, settingPartitions, strconv.Itoa(number))
			return err
		}})
		if err != nil {
			return fmt.Errorf("keep the number of partitions: %w", err)
		}
		// Another process may have been first.
		if kept, err = s.keptPartitions(ctx); err != nil {
			return err
		}
	}
	if want > 0 && want != kept {
		return fmt.Errorf("the database spreads conversations over %d partitions and the config says %d: "+
			"set queue.partitions to %d, since the number cannot change once the database is made", kept, want, kept)
	}
	s.partitions = kept
	return s.placeAll(ctx)
}

// keptPartitions returns 0 if no number is kept yet.
func (s *Store) keptPartitions(ctx context.Context) (int, error) {
	var text string
	found, err := s.read.row(ctx, settingQuery, []any{settingPartitions}, &text)
	if err != nil || !found {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("the database says that there are %q partitions, which is no number: restore a backup", text)
	}
	return n, nil
}

// placeAll gives a partition to conversations that an older program made.
func (s *Store) placeAll(ctx context.Context) error {
	var unplaced [][2]string
	rows, err := s.read.query(ctx, unplacedQuery)
	if err != nil {
		return err
	}
	for rows.Next() {
		var c [2]string
		if err := rows.Scan(&c[0], &c[1]); err != nil {
			_ = rows.Close() // there is an error already
			return s.read.explain(err)
		}
		unplaced = append(unplaced, c)
	}
	if err := rows.Close(); err != nil {
		return s.read.explain(err)
	}
	if err := rows.Err(); err != nil || len(unplaced) == 0 {
		return s.read.explain(err)
	}
	return s.write.Do(ctx, &work{Rows: len(unplaced), Do: func(t *tx) error {
		for _, c := range unplaced {
			part := events.PartitionOf(c[0], c[1], s.partitions)
			if _, err := t.exec(placeQuery, int64(part), c[0], c[1]); err != nil {
				return err
			}
		}
		return nil
	}})
}

// guarded refuses a write whose lease is not held any more. It stands before
// everything that the write does.
func (t *tx) guarded(g events.Guard) error {
	if g == (events.Guard{}) {
		return nil
	}
	var holder string
	var epoch, until int64
	found, err := t.row(leaseQuery, []any{g.Lease}, &holder, &epoch, &until)
	if err != nil {
		return err
	}
	if !found || epoch != g.Epoch || holder == "" || until <= row.Micros(t.w.store.now()) {
		return refuse(fmt.Errorf("%w: the lease %s is not held with epoch %d", events.ErrNotHolder, g.Lease, g.Epoch))
	}
	return nil
}
