package mailbox

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// reports is what a mailbox reports.
type reports chan error

// next waits for a report.
func (r reports) next(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r:
		return err
	case <-time.After(time.Minute):
		t.Fatal("nothing is reported")
		return nil
	}
}

// upTo waits for a report that says so; empty: that the mailbox works.
func (r reports) upTo(t *testing.T, says string) {
	t.Helper()
	for {
		err := r.next(t)
		if says == "" && err == nil || says != "" && err != nil && strings.Contains(err.Error(), says) {
			return
		}
	}
}

func TestHealthIsThatOfAllFolders(t *testing.T) {
	t.Parallel()
	var h health
	var all []error
	report := func(err error) { all = append(all, err) }
	down, away := errors.New("down"), errors.New("away")
	h.begin([]string{"INBOX", "Jobs"})
	h.set(report, "INBOX", nil) // Jobs is not read yet
	h.set(report, "Jobs", down)
	h.set(report, "INBOX", nil)
	h.set(report, "INBOX", away)
	h.set(report, "Jobs", nil)
	h.set(report, "INBOX", nil)
	want := []error{down, away, nil}
	if len(all) != len(want) {
		t.Fatalf("it reports %v, want %v", all, want)
	}
	for i := range want {
		if !errors.Is(all[i], want[i]) {
			t.Errorf("report %d is %v, want %v", i, all[i], want[i])
		}
	}
}

// TestReports breaks the connection, and lets IDLE begin anew, which is no
// trouble.
func TestReports(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	c, r := f.config(k), make(reports, 10_000)
	c.Report = func(err error) { r <- err }
	b := open(t, c)
	b.times.idle = 20 * time.Millisecond
	start(t, b)
	if err := r.next(t); !errors.Is(err, chat.ErrConnecting) {
		t.Errorf("the first report is %v", err)
	}
	for range 5 { // each time that the folder is opened again
		if err := r.next(t); err != nil {
			t.Errorf("it reports %v", err)
		}
	}
	for range 2 {
		f.drop()
		r.upTo(t, `folder "INBOX" is not read`)
		r.upTo(t, "")
	}
	f.add(letter("one"))
	k.upTo(t, "one")
}

// TestReportsOfNodes: one that waits while another reads is well.
func TestReportsOfNodes(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	l := &leases{holder: "another", until: time.Now().Add(time.Hour)}
	c, r := f.config(k), make(reports, 10_000)
	c.Report, c.Lease = func(err error) { r <- err }, l.of("this")
	b := open(t, c)
	b.times.lease = 30 * time.Millisecond
	start(t, b)
	r.upTo(t, chat.ErrConnecting.Error())
	r.upTo(t, "")
	l.mu.Lock()
	l.down = true
	l.mu.Unlock()
	r.upTo(t, "the database is down")
	l.mu.Lock()
	l.down = false
	l.mu.Unlock()
	r.upTo(t, "")
}
