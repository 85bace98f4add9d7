package chattest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// reports is what the adapter reports of its Run.
type reports struct {
	mu      sync.Mutex
	all     []error
	changed chan struct{} // closed when there is another
}

func newReports() *reports { return &reports{changed: make(chan struct{})} }

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, err)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *reports) list() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// text is all that was reported.
func (r *reports) text() string {
	var b strings.Builder
	for _, err := range r.list() {
		if err != nil {
			b.WriteString(err.Error() + "\n")
		}
	}
	return b.String()
}

// wait waits until ok says so of all reports.
func (r *reports) wait(t *testing.T, missing string, ok func(all []error) bool) {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		done, changed, text := ok(r.all), r.changed, r.all
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%s; it reported %v", missing, text)
		}
	}
}

// works waits until the last report is that the adapter works.
func (r *reports) works(t *testing.T) {
	t.Helper()
	r.wait(t, "the adapter does not report that it works (chat.Env.Report; see CallsNobody, too)", func(all []error) bool {
		return len(all) > 0 && all[len(all)-1] == nil
	})
}

// unreachable checks that an adapter whose far side cannot be reached from the
// beginning says so, and that it works once it can.
func unreachable(t *testing.T, h Harness) {
	s := prepare(t, h)
	s.Far = h.Start(t, s.env)
	if h.CallsNobody != "" {
		s.stop = s.run(t, s.Adapter())
		s.said(t, Message{Text: "local hello"})
		s.stop()
		if n := s.net.called(); n > 0 {
			t.Errorf("Run made %d calls; the harness says that it makes none: %s", n, h.CallsNobody)
		}
		t.Skip("Run calls nobody: " + h.CallsNobody)
	}
	mend := s.net.mended
	if far, ok := s.Far.(Leaves); ok {
		far.Leave(t, true)
		mend = func() { far.Leave(t, false) }
	} else {
		s.net.refuses()
	}
	s.stop = s.run(t, s.Adapter())
	s.reports.wait(t, "the adapter does not report that its far side cannot be reached", func(all []error) bool {
		last := len(all) - 1
		return last >= 0 && all[last] != nil && !errors.Is(all[last], chat.ErrConnecting)
	})
	if slices.Contains(s.reports.list(), nil) {
		t.Errorf("it reports that it works, while nothing can be reached: %v", s.reports.list())
	}
	mend()
	s.reports.works(t)
	m := Message{Text: "local hello"}
	s.sameAs(t, s.said(t, m), s.Expect(m))
}
