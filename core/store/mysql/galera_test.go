package mysql

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestGalera runs on a cluster whose servers all take writes.
func TestGalera(t *testing.T) {
	t.Parallel()
	g := throwaway.Galera(t)
	empty := emptyDatabases{make: func() string { return g.Database(t) }}
	// openAt opens a new database at some of the servers.
	openAt := func(t *testing.T, servers ...int) (stores []*Store) {
		dsn := g.Database(t)
		for _, i := range servers {
			stores = append(stores, openTest(t, Config{DSN: at(t, dsn, g.Nodes[i])}))
		}
		return stores
	}
	for name, test := range map[string]func(t *testing.T){
		"store": func(t *testing.T) {
			// Opened again at another server than the one that was written to.
			suite(t, empty.take, func(dsn chat.Secret) chat.Secret { return at(t, dsn.Reveal(), g.Nodes[1]) })
		},
		"jobs":                   func(t *testing.T) { jobs(t, empty.take) },
		"many at one":            func(t *testing.T) { busy(t, openAt(t, 0, 0, 0), 200) },
		"many at each":           func(t *testing.T) { busy(t, openAt(t, 0, 1, 2), 200) },
		"opened while told":      func(t *testing.T) { testOpenedWhileTold(t, openAt(t, 0, 1)) },
		"late COMMIT is found":   func(t *testing.T) { testLateCommit(t, g, afterLook) },
		"late COMMIT is refused": func(t *testing.T) { testLateCommit(t, g, beforeAgain) },
		"migrated at each":       func(t *testing.T) { testMigratedAtEach(t, g) },
		"numbers rise":           func(t *testing.T) { testNumbersRise(t, openAt(t, 0, 1, 2)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// emptyDatabases are used again, since it takes a cluster long to make tables.
type emptyDatabases struct {
	make func() string
	mu   sync.Mutex
	free []string
}

// take returns a database without content, which is the test's alone.
func (d *emptyDatabases) take(t *testing.T) chat.Secret {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.free) == 0 {
		d.free = append(d.free, d.make())
	}
	dsn := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	t.Cleanup(func() {
		d.wipe(t, dsn)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.free = append(d.free, dsn)
	})
	return chat.Secret(dsn)
}

// wipe brings a database to the state that the migrations leave.
func (d *emptyDatabases) wipe(t *testing.T, dsn string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn+"?wsrep_sync_wait=7")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	ctx := context.WithoutCancel(t.Context()) // which has ended
	const tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()
		AND table_name NOT IN ('goose_db_version', 'schema_lock', 'settings', 'sequences')`
	rows, err := db.QueryContext(ctx, tables) //nolint:rowserrcheck // row.Each does
	if err != nil {
		t.Fatal(err)
	}
	var table string
	wipe := []string{`DELETE FROM settings WHERE name = 'partitions'`, `UPDATE sequences SET value = 0`}
	if err := row.Each(rows, []any{&table}, func() { wipe = append(wipe, `DELETE FROM `+table) }); err != nil {
		t.Fatal(err)
	}
	for _, statement := range wipe {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// at is a database at one of the servers that have it.
func at(t *testing.T, dsn string, db *throwaway.DB) chat.Secret {
	t.Helper()
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c.Addr = db.Addr
	return chat.Secret(c.FormatDSN())
}

// testOpenedWhileTold has a conversation get an event at one server while
// another one takes what was its last.
func testOpenedWhileTold(t *testing.T, nodes []*Store) {
	ctx := t.Context()
	c := events.Conversation{Account: testRoom.Account, Key: testRoom.Key}
	putJob(t, nodes[0], "web-1", testRoom)
	es, err := nodes[0].Open(ctx, c, 10)
	if err != nil || len(es) != 1 {
		t.Fatal(es, err)
	}
	taken, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once // it is done again
	var all sync.WaitGroup
	all.Go(func() {
		err := nodes[0].write(ctx, 1, func(tx *tx) error {
			err := tx.told(&events.Delivery{Conversation: c, Events: es})
			once.Do(func() { close(taken) })
			<-finish
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-taken
	j, err := makeJob(ctx, nodes[1], "web-1", testRoom)
	close(finish)
	all.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range nodes {
		open, err := s.OpenConversations(ctx, nil, 10)
		if err != nil || len(open) != 1 {
			t.Fatalf("open are %v, %v", open, err)
		}
		if es, err = s.Open(ctx, open[0], 10); err != nil || len(es) != 1 || es[0].Subject != j.ID {
			t.Fatalf("open are %v, %v", es, err)
		}
	}
}

// afterLook and beforeAgain are when a lost COMMIT arrives: while the store finds
// out whether it did, and when the store does the work again.
func afterLook(before, _ string) bool {
	return strings.HasPrefix(before, "SELECT operation FROM writers")
}

func beforeAgain(_, statement string) bool {
	return strings.HasPrefix(statement, "UPDATE writers SET operation")
}

// testLateCommit claims a job. The COMMIT is done by the server it was for when
// the store has gone on to another one.
func testLateCommit(t *testing.T, g *throwaway.GaleraSet, arrive func(before, statement string) bool) {
	r := &route{arrive: arrive}
	s := openTest(t, Config{DSN: chat.Secret(g.Database(t)), dial: r.dial})
	putAgent(t, s, "web-1")
	l := newLife(s)
	if err := createStep.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	r.loseCommit(g.Nodes[1].Addr)
	if err := claimStep.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if err := r.arrived(); err != nil {
		t.Fatal(err)
	}
	l.check(t, 2)
	if st := s.Stats(); st.Unsure != 1 {
		t.Errorf("%+v", st)
	}
}

// testMigratedAtEach has stores find an empty database at each of the servers,
// and agree on what is settled once.
func testMigratedAtEach(t *testing.T, g *throwaway.GaleraSet) {
	dsn := g.Database(t) + "?wsrep_sync_wait=7" // for what the test reads
	const each = 2
	partitions := make(chan int, each*len(g.Nodes))
	var all sync.WaitGroup
	for i := range cap(partitions) {
		c := Config{DSN: at(t, dsn, g.Nodes[i%len(g.Nodes)]), Migrate: true}
		all.Go(func() {
			s, err := Open(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			partitions <- s.Partitions()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	close(partitions)
	for n := range partitions {
		if n != events.DefaultPartitions {
			t.Errorf("%d partitions", n)
		}
	}
	checkMigrated(t, chat.Secret(dsn))
}

// testNumbersRise has each step of a job be made at another server. The rows of
// the outbox must have numbers in their order, since nobody looks for another
// one: see Store.scattered.
func testNumbersRise(t *testing.T, nodes []*Store) {
	ctx := t.Context()
	for i := range 10 {
		node := func(step int) *Store { return nodes[(i+step)%len(nodes)] }
		j := putJob(t, node(0), "web-1", nil)
		for k, to := range []job.Status{job.Sent, job.Failed} {
			if us, err := node(1+k).Update(ctx, job.ByID("default", j.ID), moved(to)); err != nil || us[0].Err != nil {
				t.Fatal(err, us)
			}
		}
	}
	texts, err := nodes[0].bundleTexts(ctx, ``)
	if err != nil || len(texts) != 30 {
		t.Fatal(len(texts), err)
	}
	last := map[string]int64{}
	for _, seq := range slices.Sorted(maps.Keys(texts)) {
		lots, err := lotsOf(seq, texts[seq])
		if err != nil {
			t.Fatal(err)
		}
		each(lots, func(k row.EventKey) {
			if k.Version != last[k.Subject]+1 {
				t.Errorf("row %d has version %d of a job after %d", seq, k.Version, last[k.Subject])
			}
			last[k.Subject] = k.Version
		})
	}
	for _, s := range nodes {
		if s.scattered || !s.optimistic {
			t.Errorf("the cluster was taken for something else: %t, %t", s.scattered, s.optimistic)
		}
	}
}

// TestGaleraServerLost loses a server of the cluster when half of the jobs were
// made. The stores that wrote to it go on at another one, as a proxy would have
// them, while one more writes to the third all the time.
func TestGaleraServerLost(t *testing.T) {
	t.Parallel()
	g := throwaway.Galera(t)
	first, second, third := g.Nodes[0], g.Nodes[1], g.Nodes[2]
	run := func(t *testing.T, lose func()) (chat.Secret, *load, *route) {
		r, other := &route{}, &route{}
		other.lead(third.Addr)
		dsn := chat.Secret(g.Database(t) + "?readTimeout=3s")
		var nodes []*Store
		for _, way := range []*route{r, r, other} {
			nodes = append(nodes, openTest(t, Config{DSN: dsn, dial: way.dial}))
		}
		l := newLoad(t, nodes)
		l.run(func() {
			l.await(100)
			lose()
			r.lead(second.Addr)
			l.await(100)
		})
		if st := l.nodes[0].Stats(); st.Lost == 0 {
			t.Errorf("nothing was lost: %+v", st)
		}
		return dsn, l, r
	}
	// What was under way there when it stopped must not come to be when it goes on.
	t.Run("for a while", func(t *testing.T) {
		dsn, l, r := run(t, first.Stop)
		g.AwaitSize(t, 2, second, third)
		first.Cont()
		g.AwaitSize(t, 3)
		r.lead(first.Addr)
		l.compare(openTest(t, Config{DSN: dsn, dial: r.dial}))
	})
	t.Run("for ever", func(t *testing.T) {
		dsn, l, r := run(t, first.Kill)
		g.AwaitSize(t, 2)
		// One more refuses all statements, and keeps its connections.
		second.Exec(t, "SET GLOBAL wsrep_reject_queries = ALL")
		err := Migrate(t.Context(), chat.Secret(strings.Replace(dsn.Reveal(), first.Addr, second.Addr, 1)), nil)
		if !errors.Is(err, job.ErrUnavailable) || !strings.Contains(err.Error(), "wsrep_ready") || strings.Contains(err.Error(), "migrate up") {
			t.Errorf("a server that refuses is explained as %v", err)
		}
		r.lead(third.Addr)
		for _, s := range l.nodes {
			for range 2 * poolSize {
				if _, err := s.Counts(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
