package events

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

var planNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// status makes an event of a job, of that age.
func status(id string, version int64, s job.Status, age time.Duration) job.Event {
	return job.Event{Subject: id, Version: version, Kind: job.EventJobStatus, Status: s, At: planNow.Add(-age)}
}

func text(id string) job.Event {
	return job.Event{Subject: id, Kind: job.EventMessage, At: planNow, Text: id}
}

// in moves an event to an exchange of its own.
func in(data string, e job.Event) job.Event {
	e.Conversation = &chat.ConversationRef{Account: "work", Key: "C1", Data: []byte(data)}
	return e
}

// write writes a plan as a1+a2 t b3, each step's newest last.
func write(steps []step) string {
	var all []string
	for _, s := range steps {
		var ids []string
		for _, e := range s.events {
			ids = append(ids, fmt.Sprintf("%s%d", e.Subject, e.Version))
		}
		if newest := fmt.Sprintf("%s%d", s.newest.Subject, s.newest.Version); ids[len(ids)-1] != newest {
			ids = append(ids, "newest="+newest)
		}
		all = append(all, strings.Join(ids, "+"))
	}
	return strings.Join(all, " ")
}

func TestPlan(t *testing.T) {
	t.Parallel()
	const old, fresh = time.Minute, 50 * time.Millisecond
	edit, none := chat.Capabilities{Edit: true}, chat.Capabilities{}
	for name, c := range map[string]struct {
		open  []job.Event
		caps  chat.Capabilities
		want  string
		again time.Duration
	}{
		"nothing":          {nil, edit, "", 0},
		"a final status":   {[]job.Event{status("a", 3, job.Succeeded, 0)}, edit, "a3", 0},
		"a fresh status":   {[]job.Event{status("a", 1, job.Queuing, fresh)}, edit, "", 200 * time.Millisecond},
		"an old status":    {[]job.Event{status("a", 1, job.Queuing, old)}, edit, "a1", 0},
		"no edit, fresh":   {[]job.Event{status("a", 1, job.Queuing, time.Second)}, none, "", 4 * time.Second},
		"no edit, old":     {[]job.Event{status("a", 1, job.Queuing, old)}, none, "a1", 0},
		"from the future":  {[]job.Event{status("a", 1, job.Queuing, -old)}, edit, "a1", 0},
		"overtaken":        {[]job.Event{status("a", 1, job.Queuing, old), status("a", 2, job.Sent, fresh)}, edit, "", 200 * time.Millisecond},
		"all the way":      {[]job.Event{status("a", 1, job.Queuing, old), status("a", 2, job.Sent, fresh), status("a", 3, job.Failed, 0)}, edit, "a1+a2+a3", 0},
		"jobs do not wait": {[]job.Event{status("a", 1, job.Queuing, fresh), status("b", 1, job.Expired, fresh)}, edit, "b1", 200 * time.Millisecond},
		"a text is told after what was before it": {
			[]job.Event{status("a", 1, job.Queuing, fresh), text("t"), status("a", 2, job.Succeeded, 0)}, edit, "a1 t0 a2", 0,
		},
		"a text passes a status of another exchange": {
			[]job.Event{status("a", 1, job.Queuing, fresh), in("other", text("t")), status("a", 2, job.Succeeded, 0)}, edit, "t0 a1+a2", 0,
		},
		"a text passes a status that cannot be edited": {
			[]job.Event{status("a", 1, job.Queuing, fresh), text("t"), status("a", 2, job.Succeeded, 0)}, none, "t0 a1+a2", 0,
		},
		"a text passes no final status": {
			[]job.Event{status("a", 1, job.Queuing, fresh), status("a", 2, job.Expired, fresh), text("t")}, none, "a1+a2 t0", 0,
		},
		"the earliest of several": {
			[]job.Event{status("a", 1, job.Queuing, fresh), status("b", 1, job.Queuing, 2*fresh)}, edit, "", 150 * time.Millisecond,
		},
	} {
		steps, again := plan(c.open, nil, c.caps, defaultHolds(), planNow)
		if got := write(steps); got != c.want || again != c.again {
			t.Errorf("%s: %q, again in %s; want %q, in %s", name, got, again, c.want, c.again)
		}
	}
}

// Whatever is open, a plan tells each event at most once, a job's statuses in
// order, and everything in the end.
func TestPlanTellsEverythingOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		caps := chat.Capabilities{Edit: rapid.Bool().Draw(t, "edit")}
		versions := map[string]int64{}
		var open []job.Event
		for i := range rapid.IntRange(0, 30).Draw(t, "events") {
			if rapid.IntRange(0, 4).Draw(t, "text") == 0 {
				open = append(open, text(fmt.Sprint("t", i)))
				continue
			}
			id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "job")
			versions[id]++
			s := rapid.SampledFrom([]job.Status{job.Queuing, job.Sent, job.Succeeded}).Draw(t, "status")
			open = append(open, status(id, versions[id], s, time.Duration(rapid.IntRange(-1, 9).Draw(t, "age"))*time.Second))
		}
		now := planNow
		told := map[string]bool{}
		last := map[string]int64{}
		for range 100 {
			var left []job.Event
			for _, e := range open {
				if !told[e.ID()] {
					left = append(left, e)
				}
			}
			steps, again := plan(left, nil, caps, defaultHolds(), now)
			for _, s := range steps {
				for _, e := range s.events {
					if told[e.ID()] {
						t.Fatalf("%s is told twice", e.ID())
					}
					told[e.ID()] = true
				}
				if s.newest.Version < last[s.newest.Subject] {
					t.Fatalf("%s comes after version %d", s.newest.ID(), last[s.newest.Subject])
				}
				last[s.newest.Subject] = s.newest.Version
			}
			if again == 0 {
				break
			}
			now = now.Add(again)
		}
		if len(told) != len(open) {
			t.Fatalf("%d of %d events were told", len(told), len(open))
		}
	})
}
