package mysql

import (
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

// passed is which events came by, each once and after the one before. One may
// come again only if it was not known whether it is marked.
type passed struct {
	t        *testing.T
	how      string
	last     map[string]int64 // the version, by job
	again    int
	unmarked int // times that it was not known
}

func newPassed(t *testing.T, how string) *passed {
	return &passed{t: t, how: how, last: map[string]int64{}}
}

func (p *passed) see(es []job.Event) {
	for _, e := range es {
		before := p.last[e.Subject]
		switch {
		case e.Version <= before:
			p.again++
		case e.Version == before+1:
			p.last[e.Subject] = e.Version
		default:
			p.t.Errorf("event %s was %s after version %d", e.ID(), p.how, before)
		}
	}
}

func (p *passed) check() {
	p.t.Helper()
	if p.again > 0 && p.unmarked == 0 {
		p.t.Errorf("%d events were %s again", p.again, p.how)
	}
}
