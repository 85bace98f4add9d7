//go:build unix

package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/cluster/room"
	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// How often nodes are killed and stopped; SKADI_TEST_KILLS overrides it.
const (
	rounds      = 4
	roundsShort = 1
	// leaseOver is longer than any lease of a node holds.
	leaseOver = 11 * time.Second
)

// TestNodesKilledAndStopped kills one of three nodes and stops another for
// longer than its leases, again and again.
func TestNodesKilledAndStopped(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, throwaway.MariaDB(t).Database(t), redisQueue(throwaway.Redis(t)))
	l := s.load()
	n := killRounds(t)
	for range n {
		l.flows(10)
		order := rand.Perm(len(s.nodes))
		killed, stopped := s.nodes[order[0]], s.nodes[order[1]]
		stopped.Signal(syscall.SIGSTOP)
		s.balancer.takeOut(stopped.addr)
		programs.Pause(t.Context(), time.Duration(rand.Int64N(int64(time.Second))))
		s.killNode(killed)
		programs.Pause(t.Context(), leaseOver)
		s.startNode(killed)
		stopped.Signal(syscall.SIGCONT)
		s.balancer.takeIn(stopped.addr)
		programs.Ready(s.t, killed.addr)
	}
	l.flows(10)
	o := l.judge()
	// Each conversation has one message on its way at most, and each of the
	// two nodes may leave it unrecorded.
	if most := 2 * n * conversations; o.repeated > most {
		t.Errorf("%d replies repeat: more than could be on their way", o.repeated)
	}
	t.Logf("%d times killed and stopped: %d replies repeat, %d came after the final one", n, o.repeated, o.stale)
}

func killRounds(t *testing.T) int {
	t.Helper()
	n := rounds
	if testing.Short() {
		n = roundsShort
	}
	if v := os.Getenv("SKADI_TEST_KILLS"); v != "" {
		set, err := strconv.Atoi(v)
		if err != nil || set < 1 {
			t.Fatalf("SKADI_TEST_KILLS=%q must be a number above 0", v)
		}
		n = set
	}
	return n
}

// TestKilledBetweenSendingAndRecording kills a node when it has sent a reply
// and could not record it yet: that reply may repeat, and no other.
func TestKilledBetweenSendingAndRecording(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, throwaway.MariaDB(t).Database(t), redisQueue(throwaway.Redis(t)))
	l := s.load()
	node := s.nodes[0]
	const deaths = 3
	for range deaths {
		l.flows(10)
		write(t, s.replies+room.DieSuffix, "")
		node.Died()
		s.balancer.takeOut(node.addr)
		s.startNode(node)
		programs.Ready(s.t, node.addr)
	}
	l.flows(10)
	// Beside the reply that the node died of, others were on their way.
	o := l.judge()
	if o.repeated > deaths*conversations {
		t.Errorf("%d replies repeat: more than could be on their way", o.repeated)
	}
	if o.repeated == 0 {
		t.Error("no reply repeats: the node cannot have died before it recorded one")
	}
}

// TestOneReplyRepeats is the same with nothing else on its way: exactly the
// reply that was not recorded repeats, once.
func TestOneReplyRepeats(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, throwaway.MariaDB(t).Database(t), redisQueue(throwaway.Redis(t)))
	node := s.nodes[0]
	write(t, s.replies+room.DieSuffix, "")
	s.mustSay(room.Message{ID: "a", Conversation: "c1", Text: "web-1 run a 0.01"})
	node.Died()
	s.balancer.takeOut(node.addr)
	s.startNode(node)
	programs.Ready(s.t, node.addr)
	s.mustSay(room.Message{ID: "b", Conversation: "c1", Text: "web-1 run b 0.01"})
	count := map[string]int{}
	programs.Eventually(t, "the second job to be told", func(context.Context) error {
		clear(count)
		for _, r := range s.told() {
			if r.Final {
				count[r.Message]++
			}
		}
		if count["run b 0.01"] == 0 {
			return fmt.Errorf("told so far: %v", count)
		}
		return nil
	})
	if count["run a 0.01"] != 2 || count["run b 0.01"] != 1 {
		t.Errorf("final replies: %v", count)
	}
}

// TestOneConversationHoldsUpNoOther has a conversation that takes nothing now,
// and one that always fails, beside others of their partition.
func TestOneConversationHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, throwaway.MariaDB(t).Database(t), redisQueue(throwaway.Redis(t)))
	for _, kind := range []string{room.Limited, room.Failing} {
		bad := kind + "-0"
		for n := range 5 {
			s.mustSay(room.Message{ID: fmt.Sprintf("%s-%d", bad, n), Conversation: bad, Text: "whoami"})
		}
		// Answers need no agent, so that all the time is the replier's.
		partition := events.PartitionOf("room", bad, events.DefaultPartitions)
		var worst time.Duration
		for n := 0; n < 10; {
			key := fmt.Sprintf("good-%s-%d", kind, rand.Int32())
			if events.PartitionOf("room", key, events.DefaultPartitions) != partition {
				continue
			}
			n++
			worst = max(worst, s.answered(key))
		}
		t.Logf("beside a %s conversation the slowest answer took %s", kind, worst.Round(time.Millisecond))
		if worst > time.Second {
			t.Errorf("beside a %s conversation another waited %s", kind, worst)
		}
	}
}

// answered says something in a conversation, and returns how long after its
// acknowledgement the answer was there.
func (s *site) answered(conversation string) time.Duration {
	s.t.Helper()
	s.mustSay(room.Message{ID: conversation, Conversation: conversation, Text: "whoami"})
	begin := time.Now()
	var at time.Time
	programs.Eventually(s.t, "an answer in "+conversation, func(context.Context) error {
		for _, r := range s.told() {
			if r.Conversation == conversation {
				at = r.At
				return nil
			}
		}
		return fmt.Errorf("none of %d replies", len(s.told()))
	})
	return at.Sub(begin)
}

func (s *site) mustSay(m room.Message) {
	s.t.Helper()
	programs.Eventually(s.t, "an acknowledgement", func(ctx context.Context) error { return s.say(ctx, m) })
}
