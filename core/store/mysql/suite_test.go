package mysql

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	suite(t, newDatabase)
}

// suite runs what every store must pass, each part in a new database.
func suite(t *testing.T, database func(*testing.T) chat.Secret) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		clock := newClock()
		c := Config{DSN: database(t), Clock: clock.Now}
		return storetest.Harness{
			Store: openTest(t, c), Advance: clock.Advance,
			Reopen: func(partitions int) (store.Store, error) {
				again := c
				again.Partitions = partitions
				s, err := Open(t.Context(), again)
				if err != nil {
					return nil, err // not a nil *Store in an interface
				}
				return s, nil
			},
		}
	})
}
