package mysql

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
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
	t.Run("opened while it is told", func(t *testing.T) {
		t.Parallel()
		testOpenedWhileTold(t, on(t, g.Nodes[0].Database(t), 0, 1))
	})
	for name, at := range lateCommits {
		t.Run("a late COMMIT "+name, func(t *testing.T) {
			t.Parallel()
			testLateCommit(t, g.Nodes[0].Database(t), g.Nodes[1].Addr, at)
		})
	}
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
	var once sync.Once
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
	j := putJob(t, nodes[1], "web-1", testRoom)
	close(finish)
	all.Wait()
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

// route is a way to a server. One COMMIT gets lost on it, and arrives later at
// the server it was for, when the statements go to another one already.
type route struct {
	mu     sync.Mutex
	addr   string // empty: as the caller says
	lose   string // the next COMMIT, and go there then
	late   func() // sends it
	arrive func(before, statement string) bool
	err    error // of what was sent late
}

func (r *route) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.mu.Lock()
	addr = cmp.Or(r.addr, addr)
	r.mu.Unlock()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &routeConn{Conn: c, route: r}, nil
}

type routeConn struct {
	net.Conn
	route  *route
	before string // the statement before
	kept   bool
}

func (c *routeConn) Write(b []byte) (int, error) {
	if len(b) < 5 || b[4] != comQuery || b[3] != 0 {
		return c.Conn.Write(b)
	}
	c.route.mu.Lock()
	defer c.route.mu.Unlock()
	r, text := c.route, string(b[5:])
	if r.late != nil && r.arrive(c.before, text) {
		r.late()
		r.late = nil
	}
	c.before = text
	if r.lose != "" && text == "COMMIT" {
		r.addr, r.lose, c.kept = r.lose, "", true
		packet := bytes.Clone(b)
		r.late = func() {
			_, err := c.Conn.Write(packet)
			if err == nil {
				_, err = c.Conn.Read(make([]byte, 100)) // it has been done, or refused
			}
			r.err = errors.Join(err, c.Conn.Close())
		}
		return 0, errCut
	}
	return c.Conn.Write(b)
}

func (c *routeConn) Close() error {
	if c.kept {
		return nil
	}
	return c.Conn.Close()
}

// lateCommits says when the lost COMMIT arrives: while it is found out whether
// it did, or after that.
var lateCommits = map[string]func(before, statement string) bool{
	"is found":   func(before, _ string) bool { return strings.HasPrefix(before, "SELECT operation FROM writers") },
	"is refused": func(_, statement string) bool { return strings.HasPrefix(statement, "UPDATE writers SET operation") },
}

func testLateCommit(t *testing.T, dsn, other string, arrive func(before, statement string) bool) {
	r := &route{arrive: arrive}
	s := openTest(t, Config{DSN: chat.Secret(dsn), dial: r.dial})
	putAgent(t, s, "web-1")
	l := newLife(s)
	if err := createStep.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.lose = other
	r.mu.Unlock()
	if err := claimStep.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	if r.late != nil || r.lose != "" || r.err != nil {
		t.Fatalf("the COMMIT did not arrive late: %v", r.err)
	}
	r.mu.Unlock()
	l.check(t, 2)
	if st := s.Stats(); st.Unsure != 1 {
		t.Errorf("%+v", st)
	}
}
