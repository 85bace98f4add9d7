package mailbox

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

var errDown = errors.New("the server is down")

// reader is a node of a bubble that does no more than hold the lease.
type reader struct {
	b     *Mailbox
	holds []time.Duration // when it began to read, from the start on
	said  []error
	when  []time.Duration // of said
}

func newReader(t *testing.T, l *leases, name string) *reader {
	t.Helper()
	r, began := &reader{}, time.Now()
	b, err := New(Config{
		Host: "imap.example.com", Username: user, Password: "secret word", Handle: newTaker().take, Lease: l.of(name),
		Report: func(err error) { r.said, r.when = append(r.said, err), append(r.when, time.Since(began)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.b = b
	return r
}

// lead holds the lease when it can for as long as the test lets it. A try ends
// as how does.
func (r *reader) lead(ctx context.Context, how func(context.Context) error) error {
	began := time.Now()
	return r.b.lead(ctx, func(ctx context.Context) error {
		r.holds = append(r.holds, time.Since(began))
		return how(ctx)
	})
}

// fails tries until ctx ends.
func (r *reader) fails(ctx context.Context) error {
	r.b.health.set(r.b.c.Report, "INBOX", errDown)
	<-ctx.Done()
	return nil
}

// reads reads until ctx ends.
func (r *reader) reads(ctx context.Context) error {
	r.b.health.set(r.b.c.Report, "INBOX", nil)
	<-ctx.Done()
	return nil
}

// TestUnreadAlone: a node without others makes a pause, and says all the time
// what is wrong.
func TestUnreadAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, &leases{}, "a")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if err := r.lead(ctx, r.fails); err != nil {
			t.Error(err)
		}
		if want := []time.Duration{0, 130 * time.Second, 260 * time.Second}; !slices.Equal(r.holds, want) {
			t.Errorf("it tries after %v, want %v", r.holds, want)
		}
		if want := []error{errDown, errDown, errDown}; !slices.Equal(r.said, want) {
			t.Errorf("it reports %v", r.said)
		}
	})
}

// afterFailing has b lead for an hour after a, which never reads.
func afterFailing(t *testing.T, a, b *reader, how func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.lead(ctx, a.fails) }()
	synctest.Wait()
	if err := errors.Join(b.lead(ctx, how), <-done); err != nil {
		t.Error(err)
	}
}

// TestUnreadByAll: of nodes none of which can read none takes another for one
// that can.
func TestUnreadByAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l leases
		a, b := newReader(t, &l, "a"), newReader(t, &l, "b")
		afterFailing(t, a, b, b.fails)
		if len(a.holds) < 10 || len(b.holds) < 10 {
			t.Errorf("they try after %v and %v", a.holds, b.holds)
		}
		if slices.Contains(a.said, nil) || slices.Contains(b.said[slices.Index(b.said, errDown):], nil) {
			t.Errorf("they report %v and %v", a.said, b.said)
		}
	})
}

// TestUnreadByOne: another node takes over within two minutes and keeps the
// lease, and the one that cannot read is well once that has lasted.
func TestUnreadByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l leases
		a, b := newReader(t, &l, "a"), newReader(t, &l, "b")
		afterFailing(t, a, b, b.reads)
		if len(a.holds) != 1 || len(b.holds) != 1 || b.holds[0] > 2*time.Minute {
			t.Errorf("they read after %v and %v", a.holds, b.holds)
		}
		if i := slices.Index(a.said, nil); i < 0 || a.when[i] < b.holds[0]+b.b.times.unread || slices.Contains(a.said[i:], errDown) {
			t.Errorf("it reports %v after %v", a.said, a.when)
		}
	})
}

// TestUnreadSilent: a server that leaves even the first try open is reported,
// too.
func TestUnreadSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(t, &leases{}, "a")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		err := r.lead(ctx, func(ctx context.Context) error { <-ctx.Done(); return nil })
		if want := []error{errSilent}; err != nil || !slices.Equal(r.said, want) {
			t.Errorf("it reports %v, and ends with %v", r.said, err)
		}
	})
}

// TestUnreadFinally: what is final while the lease is given up stays final.
func TestUnreadFinally(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, final := newReader(t, &leases{}, "a"), errors.New("no such folder")
		err := r.lead(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return final })
		if !errors.Is(err, final) {
			t.Errorf("it ends with %v", err)
		}
	})
}

// TestGiveUp: a mailbox is given up once none of its folders has been read for
// two seconds, and stays so.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var h health
		var said []error
		report := func(err error) { said = append(said, err) }
		if h.giveUp(0, report) {
			t.Error("it is given up before it begins")
		}
		h.begin([]string{"INBOX", "Jobs"})
		steps := []struct {
			folder string
			err    error
			want   bool // a second after
		}{
			{"INBOX", errDown, false},
			{"Jobs", nil, false},
			{"INBOX", errDown, false}, // for long, but Jobs is read
			{"INBOX", errDown, false},
			{"Jobs", errDown, false},
			{"INBOX", errDown, true},
			{"INBOX", nil, true},
			{"Jobs", nil, true},
		}
		for i, s := range steps {
			h.set(report, s.folder, s.err)
			pause(t.Context(), time.Second)
			if got := h.giveUp(2*time.Second, report); got != s.want {
				t.Errorf("step %d: %v", i, got)
			}
		}
		if slices.Contains(said, nil) {
			t.Errorf("it reports %v", said)
		}
		h.begin([]string{"INBOX"})
		h.set(report, "INBOX", nil)
		if h.giveUp(0, report) || said[len(said)-1] != nil {
			t.Errorf("begun anew it reports %v", said)
		}
	})
}

// TestRefusedNode has a node whose connections are refused read first, and
// another take over.
func TestRefusedNode(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	var l leases
	nowhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := nowhere.Addr().(*net.TCPAddr).Port
	_ = nowhere.Close()

	c, r := f.config(newTaker()), make(reports, 10_000)
	c.Lease, c.Port, c.Report = l.of("refused"), port, func(err error) { r <- err }
	refused := open(t, c)
	refused.times.lease, refused.times.unread = 200*time.Millisecond, 300*time.Millisecond
	start(t, refused)
	r.upTo(t, `folder "INBOX" is not read`)

	c = f.config(k)
	c.Lease = l.of("other")
	other := open(t, c)
	other.times.lease = 200 * time.Millisecond
	start(t, other)
	f.add(letter("one"))
	k.upTo(t, "one")
	r.upTo(t, "")
}

// TestServerIsBack: a single node reads again once the server lets it, and says
// until then that it does not.
func TestServerIsBack(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	var down atomic.Bool
	down.Store(true)
	f.hook = func(c *fakeConn, _, _ string, _ []string) bool {
		if down.Load() {
			_ = c.Close()
		}
		return down.Load()
	}
	l := leases{freed: make(chan struct{}, 1000)}
	c := f.config(k)
	c.Lease = l.of("a")
	c.Report = func(err error) {
		if down.Load() && (err == nil || !errors.Is(err, chat.ErrConnecting) && !strings.Contains(err.Error(), "is not read")) {
			t.Errorf("it reports %v", err)
		}
	}
	b := open(t, c)
	b.times.lease, b.times.unread = 100*time.Millisecond, 200*time.Millisecond
	start(t, b)
	f.add(letter("one"))
	<-l.freed
	<-l.freed
	down.Store(false)
	k.upTo(t, "one")
}
