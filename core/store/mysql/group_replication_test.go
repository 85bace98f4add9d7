package mysql

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestGroupReplication runs on a group of three servers with one primary, which
// takes a while to start, so that all of it is one test.
func TestGroupReplication(t *testing.T) {
	t.Parallel()
	g := throwaway.MySQLGroup(t)
	setConsistency(t, g, "EVENTUAL") // as it is before MySQL 8.4
	primary := g.Primary(t, nil).Addr
	t.Run("suite", func(t *testing.T) {
		database := func(t *testing.T) chat.Secret { return chat.Secret(g.Database(t, primary)) }
		suite(t, database, func(dsn chat.Secret) chat.Secret { return dsn })
	})
	t.Run("many nodes", func(t *testing.T) {
		nodes := openNodes(t, 3, Config{DSN: chat.Secret(g.Database(t, primary))})
		isFenced(t, nodes[0])
		busy(t, nodes, 300)
	})
	t.Run("several primaries", func(t *testing.T) { severalPrimaries(t, g) })
	t.Run("too long", func(t *testing.T) { tooLongForTheGroup(t, g) })
	t.Run("another primary", func(t *testing.T) { primaryChanged(t, g) })
	t.Run("primary stopped", func(t *testing.T) { primaryStopped(t, g) })
	t.Run("primary killed", func(t *testing.T) { primaryKilled(t, g) })
}

func setConsistency(t *testing.T, g *throwaway.Group, level string) {
	t.Helper()
	for _, m := range g.Members {
		m.Exec(t, "SET GLOBAL group_replication_consistency = '"+level+"'")
	}
}

// isFenced fails unless reads and writes wait for a primary that is behind.
func isFenced(t *testing.T, s *Store) {
	t.Helper()
	const ask, want = `SELECT @@SESSION.group_replication_consistency`, "BEFORE_ON_PRIMARY_FAILOVER"
	var reads, writes string
	_, err := s.row(t.Context(), ask, nil, &reads)
	if err == nil {
		err = s.write(t.Context(), 1, func(tx *tx) error { _, err := tx.row(ask, nil, &writes); return err })
	}
	if err != nil || reads != want || writes != want {
		t.Errorf("the consistency of reads is %q and of writes %q, want %q: %v", reads, writes, want, err)
	}
}

// severalPrimaries has each node write to another member.
func severalPrimaries(t *testing.T, g *throwaway.Group) {
	g.SetAllPrimary(t)
	setConsistency(t, g, "AFTER")
	t.Cleanup(func() {
		setConsistency(t, g, "EVENTUAL")
		g.SetOnlyPrimary(t, g.Members[0])
	})
	openAtEach := func() (nodes []*Store) {
		dsn := g.Database(t, g.Members[0].Addr)
		for _, m := range g.Members {
			nodes = append(nodes, openTest(t, Config{DSN: at(t, dsn, m)}))
		}
		return nodes
	}
	testOpenedWhileTold(t, openAtEach())
	nodes := openAtEach()
	membersInEachOthersWay(t, nodes)
	l := newLoad(t, nodes)
	l.run(func() { l.await(150) })
	for _, s := range nodes {
		if !s.scattered || !s.optimistic {
			t.Errorf("the group was taken for something else: %t, %t", s.scattered, s.optimistic)
		}
		t.Logf("%+v", s.Stats())
	}
}

// membersInEachOthersWay changes a row at one member while it is changed at
// another one, which know nothing of each other's locks.
func membersInEachOthersWay(t *testing.T, nodes []*Store) {
	t.Helper()
	add := func(s *Store, letter string, meanwhile func()) (tries int, err error) {
		err = s.write(t.Context(), 1, func(tx *tx) error {
			tries++
			_, err := tx.exec(`UPDATE settings SET value = CONCAT(value, ?) WHERE name = 'letters'`, letter)
			meanwhile()
			return err
		})
		return tries, err
	}
	err := nodes[0].write(t.Context(), 1, func(tx *tx) error {
		_, err := tx.exec(`INSERT INTO settings (name, value) VALUES ('letters', '')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	var other error
	tries, err := add(nodes[0], "a", func() { once.Do(func() { _, other = add(nodes[1], "b", func() {}) }) })
	if err != nil || other != nil || tries < 2 {
		t.Errorf("the second to commit tried %d times: %v, %v", tries, err, other)
	}
	var letters string
	if _, err := nodes[2].row(t.Context(), `SELECT value FROM settings WHERE name = 'letters'`, nil, &letters); err != nil || letters != "ba" {
		t.Errorf("the row says %q, want both: %v", letters, err)
	}
}

// tooLongForTheGroup makes a job that is longer than the group takes, beside
// others.
func tooLongForTheGroup(t *testing.T, g *throwaway.Group) {
	primary := g.Primary(t, nil)
	s := openTest(t, Config{DSN: chat.Secret(g.Database(t, primary.Addr))})
	primary.Exec(t, "SET GLOBAL group_replication_transaction_size_limit = 100000")
	defer primary.Exec(t, "SET GLOBAL group_replication_transaction_size_limit = DEFAULT")
	if err := s.CreateAgent(t.Context(), job.Agent{ID: "a1", Space: "default", Name: "web-1"}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			l := newLife(s)
			const long = 2
			if i == long {
				l.entry.Draft.Message = strings.Repeat("x", 200_000)
			}
			err := createStep.do(t.Context(), l)
			switch {
			case i != long && err != nil:
				t.Error(err)
			case i == long && (!errors.Is(err, job.ErrUnavailable) || !strings.Contains(err.Error(), "group_replication_transaction_size_limit")):
				t.Errorf("the long one ends with %v", err)
			}
		})
	}
	all.Wait()
}

// primaryChanged makes another member the primary under load, as somebody does
// before working on a server. The router follows late, and breaks nothing.
func primaryChanged(t *testing.T, g *throwaway.Group) {
	old, next := g.Primary(t, nil), g.Members[1]
	r := &route{}
	c := Config{DSN: chat.Secret(g.Database(t, old.Addr)), dial: r.dial}
	nodes := openNodes(t, 3, c)
	l := newLoad(t, nodes)
	l.run(func() {
		l.await(100)
		g.SetPrimary(t, next)
		if err := nodes[0].Ping(t.Context()); !errors.Is(err, job.ErrUnavailable) || !strings.Contains(err.Error(), "takes no writes") {
			t.Errorf("at a secondary a write ends with %v", err)
		}
		if _, err := Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "takes no writes") {
			t.Errorf("a secondary is opened: %v", err)
		}
		r.lead(next.Addr)
		l.await(150)
	})
	for _, s := range nodes {
		t.Logf("%t %+v", s.scattered, s.Stats())
	}
}

// primaryStopped stops the primary under load until another one is elected.
// What it had begun it cannot commit when it goes on.
func primaryStopped(t *testing.T, g *throwaway.Group) {
	old := g.Primary(t, nil)
	r := &route{}
	dsn := g.Database(t, old.Addr) + "?readTimeout=2s"
	l := newLoad(t, openNodes(t, 3, Config{DSN: chat.Secret(dsn), dial: r.dial}))
	l.run(func() {
		l.await(100)
		old.Stop()
		r.lead(g.Primary(t, old).Addr)
		l.await(50)
		old.Cont()
		l.await(50)
	})
	g.Readmit(t, old)
}

// primaryKilled kills the primary under load, while another member is behind
// with what the primary has acknowledged, and that one becomes the primary.
func primaryKilled(t *testing.T, g *throwaway.Group) {
	old, next := g.Primary(t, nil), g.Members[2]
	next.Exec(t, "SET GLOBAL group_replication_member_weight = 100")
	r := &route{}
	nodes := openNodes(t, 3, Config{DSN: chat.Secret(g.Database(t, old.Addr)), dial: r.dial})
	l := newLoad(t, nodes)
	l.run(func() {
		l.await(100)
		catchUp := fallBehind(t, next, nodes[0])
		l.await(50)
		last := l.last()
		old.Kill()
		r.lead(next.Addr)
		g.Elected(t, next)
		// It says that it is the primary now, and has not got that job.
		read := make(chan error, 1)
		go func() {
			_, err := l.insist(func() error { _, err := nodes[1].Job(t.Context(), "default", last); return err })
			read <- err
		}()
		select {
		case err := <-read:
			t.Errorf("a primary that is behind answered: %v", err)
			read <- nil
		case <-time.After(100 * time.Millisecond):
		}
		catchUp()
		if err := <-read; err != nil {
			t.Errorf("read a job that was acknowledged: %v", err)
		}
		l.await(150)
	})
	t.Logf("%+v", nodes[0].Stats())
}

// fallBehind keeps a member from doing what the primary does, until the
// function that it returns is called.
func fallBehind(t *testing.T, member *throwaway.DB, s *Store) (catchUp func()) {
	t.Helper()
	var name string
	if _, err := s.row(t.Context(), `SELECT CONVERT(DATABASE() USING utf8mb4)`, nil, &name); err != nil {
		t.Fatal(err)
	}
	db := testDB(t, chat.Secret(member.DSN(name)))
	conn, err := db.Conn(t.Context())
	if err == nil {
		_, err = conn.ExecContext(t.Context(), `LOCK TABLES jobs READ`)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), `UNLOCK TABLES`); err != nil {
			t.Error(err)
		}
		_ = conn.Close()
	}
}

// TestErrorsOfGroups says what is done about what the servers of a group answer.
func TestErrorsOfGroups(t *testing.T) {
	t.Parallel()
	for number, want := range map[uint16]struct{ conflict, lost, readOnly bool }{
		erOptionPrevents:   {readOnly: true}, // a secondary
		erRunHook:          {},
		erRollbackInCommit: {conflict: true},
		erGroupHoldTimeout: {lost: true},
		erGroupHoldKilled:  {lost: true},
		erGroupHoldState:   {lost: true},
		erDeadlock:         {conflict: true},
		erCommit:           {},
	} {
		err := error(&mysql.MySQLError{Number: number})
		if isConflict(err) != want.conflict || isLost(err) != want.lost || isReadOnly(err) != want.readOnly {
			t.Errorf("error %d is %v, want %v", number, []bool{isConflict(err), isLost(err), isReadOnly(err)}, want)
		}
		if !errors.Is(explain(err), job.ErrUnavailable) {
			t.Errorf("error %d does not say that the database is away: %v", number, explain(err))
		}
	}
}
