package events_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
)

// fairly reports whether each has its share of the partitions.
func fairly(shares []int) bool {
	sum := 0
	for _, n := range shares {
		sum += n
	}
	low := events.DefaultPartitions / len(shares)
	return sum == events.DefaultPartitions && slices.Min(shares) >= low && slices.Max(shares) <= low+1
}

// One node, then three, then two, while jobs come all the time: the partitions
// are shared fairly, and every status is told once and in order.
func TestNodesShareThePartitions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: editing}
		n := 0
		busy := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				j := c.create(fmt.Sprint("C", n%40), fmt.Sprint("job ", n))
				n++
				after(100 * time.Millisecond)
				c.move(j.ID, job.Sent, "", nil)
				after(400 * time.Millisecond)
				c.succeed(j.ID, "done")
			}
		}
		a := c.join("a", ch, nil)
		busy(10 * time.Second)
		if got := c.shares(a); !fairly(got) {
			t.Errorf("alone it serves %v", got)
		}
		b, d := c.join("b", ch, nil), c.join("d", ch, nil)
		busy(30 * time.Second)
		if got := c.shares(a, b, d); !fairly(got) {
			t.Errorf("three serve %v", got)
		}
		steady := append(append(slices.Clone(a.replier.Serving()), -1), b.replier.Serving()...)
		busy(time.Minute)
		if got := append(append(slices.Clone(a.replier.Serving()), -1), b.replier.Serving()...); !slices.Equal(got, steady) {
			t.Errorf("partitions change hands without a reason: %v, then %v", steady, got)
		}
		b.stop()
		left := time.Now()
		for !fairly(c.shares(a, d)) && time.Since(left) < time.Minute {
			busy(500 * time.Millisecond)
		}
		t.Logf("shared by two %s after the third stopped", time.Since(left))
		if d := time.Since(left); d > 10*time.Second {
			t.Errorf("two share the partitions only %s after the third left", d)
		}
		busy(10 * time.Second)
		after(15 * time.Second)
		told := finals(ch)
		for i := range n {
			if got := told[fmt.Sprint("job ", i)]; got != 1 {
				t.Errorf("the result of job %d was told %d times", i, got)
			}
		}
		inOrder(t, ch.messages())
		if c.open() != 0 {
			t.Errorf("%d events are open", c.open())
		}
		c.close(a, d)
	})
}

// A node that stops gives its partitions to the others at once, one that is
// killed when its leases have run out.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(*member)
		within time.Duration
	}{
		"stopped": {func(m *member) { m.stop() }, 7 * time.Second},
		"killed":  {(*member).kill, 13 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cl, ch := newCluster(t), &channel{caps: editing}
				a, b := cl.join("a", ch, nil), cl.join("b", ch, nil)
				after(30 * time.Second)
				key := keyIn(3, 0)
				first, second := cl.owner(key, a, b)
				j := cl.create(key, "deploy")
				after(time.Second)
				wantLooks(t, &system{channel: ch}, "waiting")
				c.end(first)
				began := time.Now()
				cl.move(j.ID, job.Sent, "", nil)
				for len(ch.messages()) < 2 && time.Since(began) < time.Minute {
					after(50 * time.Millisecond)
				}
				if d := time.Since(began); d > c.within {
					t.Errorf("the others took over after %s", d)
				}
				// Live output goes on in the same message, and so does the rest.
				cl.output(j.ID, "line 1\n")
				after(3 * time.Second)
				cl.succeed(j.ID, "done")
				after(5 * time.Second)
				wantLooks(t, &system{channel: ch}, "waiting", "m1=running", "m1=running", "m1=succeeded")
				cl.close(second)
			})
		})
	}
}

// A node dies after it sent a reply and before that was recorded: that one
// reply repeats, and nothing else.
func TestKilledBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: plain}
		a, b := c.join("a", ch, nil), c.join("b", ch, nil)
		after(30 * time.Second)
		key := keyIn(3, 0)
		first, second := c.owner(key, a, b)
		ch.failing(func(m chat.Outbound) error {
			if m.Text == "two" {
				first.dead.Store(true) // it is sent, and never recorded
			}
			return nil
		})
		for i, text := range []string{"one", "two", "three"} {
			c.say(key, fmt.Sprint("text", i), text)
		}
		after(time.Second)
		first.stop()
		after(30 * time.Second)
		wantLooks(t, &system{channel: ch}, "one", "two", "two", "three")
		c.close(second)
	})
}

// A node that was stopped for longer than its lease finds that out before it
// sends anything.
func TestAStoppedNodeSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		one, two := &channel{caps: editing}, &channel{caps: editing}
		a, b := c.join("a", one, nil), c.join("b", two, nil)
		after(30 * time.Second)
		key := keyIn(3, 0)
		first, second := c.owner(key, a, b)
		stopped := func() {
			first.before.Store(nil)
			first.away.Store(true) // nor does it renew its leases
			<-time.After(time.Minute)
			first.away.Store(false)
		}
		first.before.Store(&stopped)
		j := c.create(key, "deploy")
		c.succeed(j.ID, "done")
		after(3 * time.Minute)
		if n := len(first.messages()); n != 0 {
			t.Errorf("the node that was stopped sent %d messages", n)
		}
		wantLooks(t, &system{channel: second.channel}, "succeeded")
		c.close(a, b)
	})
}

// A reply that was on its way when the node lost its lease is not recorded by
// that node, and it forgets the conversation.
func TestAStaleOwnerRecordsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		one, two := &channel{caps: plain}, &channel{caps: plain}
		a, b := c.join("a", one, nil), c.join("b", two, nil)
		after(30 * time.Second)
		key := keyIn(3, 0)
		first, second := c.owner(key, a, b)
		began := false
		first.failing(func(chat.Outbound) error {
			if !began {
				began = true
				first.away.Store(true)
				<-time.After(time.Minute) // whatever its context says
				first.away.Store(false)
			}
			return nil
		})
		c.say(key, "text", "hello")
		c.say(key, "text2", "again")
		after(3 * time.Minute)
		wantLooks(t, &system{channel: first.channel}, "hello")
		wantLooks(t, &system{channel: second.channel}, "hello", "again")
		c.mu.Lock()
		for _, d := range c.told {
			if l := c.leases[d.Guard.Lease]; l == nil || d.Guard.Epoch == 0 {
				t.Errorf("a delivery was recorded without a guard: %+v", d)
			}
		}
		c.mu.Unlock()
		c.close(a, b)
	})
}

// The database is away for longer than the leases: what was sent before is not
// sent again when it is back, for nobody else can have served it.
func TestADatabaseThatIsAwayForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: plain}
		a := c.join("a", ch, nil)
		after(10 * time.Second)
		ch.failing(func(m chat.Outbound) error {
			if m.Text == "hello" {
				a.away.Store(true)
			}
			return nil
		})
		for i := range 20 {
			c.say(fmt.Sprint("C", i), fmt.Sprint("text", i), "hello")
		}
		after(time.Minute)
		if len(a.replier.Serving()) != 0 {
			t.Error("it serves partitions without the database")
		}
		a.away.Store(false)
		ch.failing(nil)
		after(time.Minute)
		seen := map[string]int{}
		for _, m := range ch.messages() {
			seen[m.To.Key]++
		}
		for i := range 20 {
			if n := seen[fmt.Sprint("C", i)]; n != 1 {
				t.Errorf("C%d was told %d times", i, n)
			}
		}
		if c.open() != 0 {
			t.Errorf("%d events are open", c.open())
		}
		c.close(a)
	})
}

// Without the queue, replies are as prompt, and when it is back nothing
// is told again.
func TestWithoutTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: plain}
		a, b := c.join("a", ch, nil), c.join("b", ch, nil)
		after(30 * time.Second)
		c.queueDown.Store(true)
		after(2 * time.Second)
		for i := range 100 {
			began := time.Now()
			c.say(fmt.Sprint("C", i), fmt.Sprint("text", i), "hello")
			for c.open() > 0 && time.Since(began) < time.Minute {
				after(10 * time.Millisecond)
			}
			if d := time.Since(began); d > 100*time.Millisecond {
				t.Errorf("a reply took %s", d)
			}
			after(time.Duration(i) * time.Millisecond)
		}
		after(10 * time.Minute)
		read := c.count("Open")
		c.queueDown.Store(false)
		after(30 * time.Second)
		if n := len(ch.messages()); n != 100 {
			t.Errorf("%d messages", n)
		}
		if n := c.count("Open") - read; n > 100 {
			t.Errorf("the backlog made %d reads", n)
		}
		began := time.Now()
		c.say("C1", "after", "hello")
		synctest.Wait()
		if c.open() != 0 {
			after(time.Second)
			t.Errorf("the queue does not bring events after its recovery (%s)", time.Since(began))
		}
		c.close(a, b)
	})
}

// Whatever befalls one conversation, the others of its partition go on.
func TestOneConversationHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"limited":      func() error { return class(chat.RateLimited, 10*time.Minute) },
		"failing":      func() error { return class(chat.Temporary, 0) },
		"unclassified": func() error { return fmt.Errorf("what?") },
		"gone":         func() error { return class(chat.Gone, 0) },
		"hanging":      func() error { <-time.After(25 * time.Second); return context.DeadlineExceeded },
		"panicking":    func() error { panic("oh") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, ch := newCluster(t), &channel{caps: plain}
				a := c.join("a", ch, nil)
				after(10 * time.Second)
				bad := keyIn(5, 0)
				ch.failing(func(m chat.Outbound) error {
					if m.To.Key == bad {
						return fail()
					}
					return nil
				})
				for i := range 60 {
					c.say(bad, fmt.Sprint("bad", i), "bad")
					c.say(keyIn(5, 1+i%3), fmt.Sprint("good", i), "good")
					after(time.Second)
					if got := len(ch.messages()); got != i+1 {
						t.Fatalf("%d of %d others were told", got, i+1)
					}
				}
				c.close(a)
			})
		})
	}
}

// An account that each process has for itself, such as a terminal, is served
// where it is, whoever has the partition.
func TestLocalAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, ch := newCluster(t), &channel{caps: plain}
		term := &channel{caps: appending}
		local := func(cfg *events.ReplierConfig, _ *events.Accounts) { cfg.Local = []string{"terminal"} }
		a := c.join("a", ch, local)
		after(10 * time.Second)
		if got := c.shares(a); got[0] != events.DefaultPartitions {
			t.Fatalf("a serves %v", got)
		}
		tell := func(id string, age time.Duration) {
			c.mu.Lock()
			c.rows = append(c.rows, &row{event: job.Event{
				Subject: id, Space: job.DefaultSpace, Kind: job.EventMessage, At: time.Now().Add(-age), Text: id,
				Conversation: &chat.ConversationRef{Account: "terminal", Key: "ada"},
			}})
			c.mu.Unlock()
			c.Wake(job.WakeEvents)
		}
		tell("early", 0)
		after(5 * time.Minute)
		b := c.join("b", ch, func(cfg *events.ReplierConfig, accounts *events.Accounts) {
			local(cfg, accounts)
			add(t, accounts, "terminal", term)
		})
		after(time.Second)
		tell("hello", 0)
		after(2 * time.Second)
		wantLooks(t, &system{channel: term}, "early", "hello")
		b.stop()
		tell("late", 24*time.Hour-10*time.Minute)
		after(5 * time.Minute)
		if c.open() != 1 || len(c.given()) != 0 {
			t.Errorf("%d open, given up: %v", c.open(), c.given())
		}
		after(10 * time.Minute)
		if c.open() != 0 || len(c.given()) != 1 {
			t.Errorf("after a day %d open, given up: %v", c.open(), c.given())
		}
		c.close(a)
	})
}
