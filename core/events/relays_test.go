package events_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
)

// Nodes relay one at a time. One that is killed is replaced, one that was cut
// off stops, and the queue gets each job's events in order and none is missing.
func TestOneNodeRelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: editing}
		tail, err := c.queue.Subscribe(t.Context(), job.DefaultSpace)
		if err != nil {
			t.Fatal(err)
		}
		var got []queue.Message
		read := make(chan struct{})
		go func() {
			defer close(read)
			for batch := range tail {
				got = append(got, batch...)
			}
		}()
		a := c.join("a", ch, nil)
		after(time.Second)
		b := c.join("b", ch, nil)
		const jobs = 300
		for i := range jobs {
			j := c.create("", fmt.Sprint("job ", i))
			after(10 * time.Millisecond)
			c.move(j.ID, job.Sent, "", nil)
			switch i {
			case 100:
				if h := c.holder("relay"); h != "a" {
					t.Errorf("%q relays", h)
				}
				a.kill()
			case 200:
				b.away.Store(true)
				after(time.Minute)
				b.away.Store(false)
			}
			after(50 * time.Millisecond)
			c.succeed(j.ID, "done")
		}
		after(time.Minute)
		if h := c.holder("relay"); h != "b" {
			t.Errorf("%q relays", h)
		}
		c.close(b)
		<-read
		last, seen := map[string]string{}, map[string]bool{}
		for _, m := range got {
			if seen[m.ID] {
				continue // it may repeat
			}
			seen[m.ID] = true
			id := m.ID[:len(m.ID)-2]
			if m.ID < last[id] {
				t.Errorf("%s came after %s", m.ID, last[id])
			}
			last[id] = m.ID
		}
		if len(seen) != 3*jobs {
			t.Errorf("%d of %d events came to the queue", len(seen), 3*jobs)
		}
	})
}

// A backlog goes to the queue in bounded steps, with time between them.
func TestABacklogIsPaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: editing}
		c.queueDown.Store(true)
		a := c.join("a", ch, nil)
		for i := range 4_000 {
			c.say(fmt.Sprint("C", i%50), fmt.Sprint("text", i), "hello")
		}
		after(time.Hour)
		if c.open() != 0 {
			t.Fatalf("%d events are open without the queue", c.open())
		}
		marked := c.count("MarkPublished")
		c.queueDown.Store(false)
		after(15 * time.Second)
		if n := c.count("MarkPublished") - marked; n != 4 {
			t.Errorf("the backlog was published in %d steps", n)
		}
		if n := len(ch.messages()); n != 4_000 {
			t.Errorf("%d messages", n)
		}
		c.close(a)
	})
}
