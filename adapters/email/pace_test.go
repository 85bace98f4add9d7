package email

import (
	"fmt"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPace(3, func() time.Time { return now })
	try := func(who, id string, want, tell bool) {
		t.Helper()
		if ok, told := p.allow(who, id); ok != want || told != tell {
			t.Errorf("the mail %s of %s is allowed: %t, and they are told: %t; want %t and %t", id, who, ok, told, want, tell)
		}
	}
	for i := range 3 {
		try("ada", fmt.Sprint(i), true, false)
	}
	try("ada", "1", true, false) // again
	try("ada", "3", false, true)
	try("ada", "4", false, false)
	try("bob", "3", true, false)
	now = now.Add(pacePeriod)
	try("ada", "5", true, false)
	now = now.Add(-time.Hour) // a clock that was put back
	try("ada", "6", true, false)
}

func TestPaceForgets(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := newPace(1, func() time.Time { return now })
	for i := range pacePeople + 10 {
		p.allow(fmt.Sprint("somebody ", i), "1")
	}
	now = now.Add(2 * pacePeriod)
	p.allow("ada", "1")
	if len(p.people) != 1 {
		t.Errorf("%d people are remembered", len(p.people))
	}
}
