package mysql

import (
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job/jobtest"
	"github.com/letserverrun/skadi/core/store"
	"github.com/letserverrun/skadi/core/store/storetest"
	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestGalera(t *testing.T) {
	t.Parallel()
	g := throwaway.Galera(t)
	on := func(t *testing.T, dsn string, nodes ...int) (stores []*Store) {
		for _, n := range nodes {
			c, err := mysql.ParseDSN(dsn)
			if err != nil {
				t.Fatal(err)
			}
			c.Addr = g.Nodes[n].Addr
			stores = append(stores, openTest(t, Config{DSN: chat.Secret(c.FormatDSN())}))
		}
		return stores
	}
	t.Run("same node", func(t *testing.T) {
		t.Parallel()
		(&load{T: t, nodes: on(t, g.Nodes[0].Database(t), 0, 0, 0), jobs: 200}).run()
	})
	t.Run("different nodes", func(t *testing.T) {
		t.Parallel()
		(&load{T: t, nodes: on(t, g.Nodes[0].Database(t), 0, 1, 2), jobs: 200}).run()
	})
	t.Run("store", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, func(t *testing.T) storetest.Harness {
			clock := newClock()
			c := Config{DSN: chat.Secret(g.Nodes[0].Database(t)), Clock: clock.Now}
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
	})
	t.Run("jobs", func(t *testing.T) {
		t.Parallel()
		jobtest.Run(t, func(t *testing.T) jobtest.Harness {
			clock := newClock()
			s := openTest(t, Config{Clock: clock.Now, DSN: chat.Secret(g.Nodes[0].Database(t))})
			return jobtest.Harness{
				Store: s, Advance: clock.Advance,
				Settle: func(t *testing.T) { storetest.Settle(t, s) },
			}
		})
	})
}
