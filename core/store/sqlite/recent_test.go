package sqlite

import (
	"slices"
	"strconv"
	"testing"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// numbered returns events of these numbers.
func numbered(seqs ...int64) (all []*row.NewEvent) {
	for _, seq := range seqs {
		all = append(all, &row.NewEvent{Event: job.Event{Subject: strconv.FormatInt(seq, 10), Version: 1}, Seq: seq})
	}
	return all
}

// subjects returns the numbers as the events have them.
func subjects(events []job.Event) (all []string) {
	for i := range events {
		all = append(all, events[i].Subject)
	}
	return all
}

func TestRecent(t *testing.T) {
	t.Parallel()
	var r recent
	run := func(what string, max int, want ...string) []job.Event {
		t.Helper()
		got := r.run(max)
		if !slices.Equal(subjects(got), want) {
			t.Fatalf("%s: %v are next, want %v", what, subjects(got), want)
		}
		return got
	}
	mark := func(events []job.Event, wantAll bool) {
		t.Helper()
		seqs, others, all := r.seqs(events)
		if len(seqs)+len(others) != len(events) || all != wantAll {
			t.Fatalf("of %v the numbers are %v, not known are %v, all: %v", subjects(events), seqs, others, all)
		}
		r.published(seqs, all)
	}
	r.add(numbered(8, 9))
	run("before the database was asked", 10)

	from := numbered(7, 8)
	r.give([]int64{7, 8}, []job.Event{from[0].Event, from[1].Event})
	mark([]job.Event{from[0].Event, from[1].Event}, true)
	first := run("after all up to 8 was published", 10, "9")
	mark(first, true)
	run("with nothing new", 10)

	r.add(numbered(10, 11, 12))
	some := run("with room for two", 2, "10", "11")
	again := run("asked again", 2, "10", "11")
	mark(some, true)
	run("after a mark that others were given since", 10, "12")
	mark(again, false) // those were marked already
	run("after a part was marked", 10)

	r.add(numbered(14))
	r.give([]int64{12}, []job.Event{numbered(12)[0].Event})
	mark([]job.Event{numbered(12)[0].Event}, true)
	run("where another process took 13", 10)
	r.add(numbered(13))
	run("without the gap", 10, "13", "14")

	r.forget()
	run("after another process wrote", 10)
}

// TestRecentWraps has more events than are remembered.
func TestRecentWraps(t *testing.T) {
	t.Parallel()
	var r recent
	r.give([]int64{1}, []job.Event{numbered(1)[0].Event})
	r.published([]int64{1}, true)
	for seq := int64(2); seq < 2*recentMax; seq++ {
		r.add(numbered(seq))
	}
	if got := r.run(10); len(got) != 0 {
		t.Fatalf("%v are next, but 2 is not remembered any more", subjects(got))
	}
}
