package queuetest

import (
	"fmt"
	"testing"
)

func testNamedPartitions(t *testing.T, h Harness) {
	if h.Partitions < 3 {
		t.Skip("it has too few partitions")
	}
	q := open(t, h)
	// Partition 2 belongs to neither at first.
	readers := []*reader{newReader(), newReader()}
	consume(t, q, "replies", "one", readers[0], 0)
	consume(t, q, "replies", "one", readers[1], 1)
	const each = 100
	for i := range each {
		for p := range 3 {
			publish(t, q, message(fmt.Sprintf("%d.%d", p, i), p))
		}
	}
	for p, r := range readers {
		for i := range each {
			if got, want := wait(t, r.got, "a message").ID, fmt.Sprintf("%d.%d", p, i); got != want {
				t.Fatalf("the consumer of partition %d got %s, want %s", p, got, want)
			}
		}
	}
	both := newReader()
	consume(t, q, "replies", "one", both, 1, 2)
	for i := range each {
		if got, want := wait(t, both.got, "what waited in partition 2").ID, fmt.Sprintf("2.%d", i); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func testPartitionChangesHands(t *testing.T, h Harness) {
	q := open(t, h)
	const each = 50
	n := 0
	for turn := range 6 {
		r := newReader()
		stop := consume(t, q, "replies", fmt.Sprint("node", turn%2), r, 0)
		for range each {
			publish(t, q, message(fmt.Sprint(n), 0))
			if got, want := wait(t, r.got, "a message").ID, fmt.Sprint(n); got != want {
				t.Fatalf("turn %d got %s, want %s", turn, got, want)
			}
			n++
		}
		stop()
	}
}
