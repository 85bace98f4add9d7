package mysql

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job/jobtest"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	suite(t, newDatabase, func(dsn chat.Secret) chat.Secret { return dsn })
}

// suite runs what every store must pass, each part in a new database, which is
// opened again at what again makes of its name.
func suite(t *testing.T, database func(*testing.T) chat.Secret, again func(chat.Secret) chat.Secret) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		clock := newClock()
		c := Config{DSN: database(t), Clock: clock.Now}
		return storetest.Harness{
			Store: openTest(t, c), Advance: clock.Advance,
			Reopen: func(partitions int) (store.Store, error) {
				s, err := Open(t.Context(), Config{DSN: again(c.DSN), Clock: clock.Now, Partitions: partitions})
				if err != nil {
					return nil, err // not a nil *Store in an interface
				}
				return s, nil
			},
		}
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()
	jobs(t, newDatabase)
}

// jobs runs what every store of jobs must pass, each part in a new database.
func jobs(t *testing.T, database func(*testing.T) chat.Secret) {
	jobtest.Run(t, func(t *testing.T) jobtest.Harness {
		clock := newClock()
		s := openTest(t, Config{DSN: database(t), Clock: clock.Now})
		return jobtest.Harness{
			Store: s, Advance: clock.Advance,
			Settle: func(t *testing.T) { storetest.Settle(t, s) },
		}
	})
}
