package mysql

import (
	"context"
	"fmt"
	"strconv"

	"github.com/letserverrun/skadi/core/events"
)

// settingPartitions names how many partitions there are.
const settingPartitions = "partitions"

// settle finds out how many partitions there are, and refuses another number
// than the one that is kept.
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
		err := s.write(ctx, 1, func(t *tx) error {
			_, err := t.exec(`INSERT IGNORE INTO settings (name, value) VALUES (?, ?)`, settingPartitions, strconv.Itoa(number))
			return err
		})
		if err != nil {
			return fmt.Errorf("keep the number of partitions: %w", err)
		}
		// Another node may have been first.
		if kept, err = s.keptPartitions(ctx); err != nil {
			return err
		}
	}
	if want > 0 && want != kept {
		return fmt.Errorf("the database spreads conversations over %d partitions and the config says %d: "+
			"set queue.partitions to %d, since the number cannot change once the database is made", kept, want, kept)
	}
	s.partitions = kept
	return nil
}

// keptPartitions returns 0 if no number is kept yet.
func (s *Store) keptPartitions(ctx context.Context) (int, error) {
	var text string
	found, err := s.row(ctx, `SELECT value FROM settings WHERE name = ?`, []any{settingPartitions}, &text)
	if err != nil || !found {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("the database says that there are %q partitions, which is no number: restore a backup", text)
	}
	return n, nil
}
