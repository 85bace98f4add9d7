package queuetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/queue"
)

// picky is a reader that has no use for what is named dull.
type picky struct{ *reader }

func (picky) Wants(m queue.Message) bool { return !strings.HasPrefix(m.ID, "dull") }

// testSelective publishes what a handler wants between what it does not want:
// it gets the former in order, and a handler of another group gets all.
func testSelective(t *testing.T, h Harness) {
	q := open(t, h)
	some, all := newReader(), newReader()
	consumeWith(t, q, "replies", "one", picky{some}, some.lost)
	consume(t, q, "mine", "one", all)
	const rounds = 50
	total := 0
	for i := range rounds {
		for p := range h.Partitions {
			var batch []queue.Message
			for n := range i % 4 {
				batch = append(batch, message(fmt.Sprintf("dull.%d.%d.%d", p, i, n), p))
			}
			if len(batch) > 0 {
				publish(t, q, batch...)
			}
			publish(t, q, message(fmt.Sprintf("%d.%d", p, i), p))
			total += len(batch) + 1
		}
	}
	next := make([]int, h.Partitions)
	for seen := 0; seen < rounds*h.Partitions; {
		m := wait(t, some.got, "a message")
		if !(picky{}).Wants(m) {
			continue // which is allowed
		}
		if want := fmt.Sprintf("%d.%d", m.Partition, next[m.Partition]); m.ID != want {
			t.Fatalf("got %s, want %s next", m.ID, want)
		}
		next[m.Partition]++
		seen++
	}
	for range total {
		wait(t, all.got, "a message of the other group")
	}
}
