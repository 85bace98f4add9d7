//go:build unix

package cluster

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/cluster/room"
	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
)

const (
	pushers = 4
	// conversations are over how many the messages are spread.
	conversations = 12
)

// load sends messages until it is ended, by chat and by the API, and each
// again until it is acknowledged, as a channel and a CI system do.
type load struct {
	s     *site
	stop  context.CancelFunc
	ended sync.WaitGroup

	mu      sync.Mutex
	acked   map[string]bool // by key: whether it came by chat
	repeats int
}

func (s *site) load() *load {
	ctx, cancel := context.WithCancel(s.t.Context())
	l := &load{s: s, stop: cancel, acked: map[string]bool{}}
	for i := range pushers {
		l.ended.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.send(ctx, fmt.Sprintf("p%d-%d", i, n), n%4 > 0)
				programs.Pause(ctx, time.Duration(rand.Int64N(int64(200*time.Millisecond))))
			}
		})
	}
	s.t.Cleanup(func() {
		cancel()
		l.ended.Wait()
	})
	return l
}

// send sends one message until it is acknowledged, also when the load was
// ended meanwhile.
func (l *load) send(ctx context.Context, key string, byChat bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), programs.Patience)
	defer cancel()
	agent := siteAgents[rand.IntN(len(siteAgents))]
	text := fmt.Sprintf("run %s 0.%02d", key, rand.IntN(10))
	for ctx.Err() == nil {
		var err error
		if byChat {
			conversation := fmt.Sprintf("c%d", rand.IntN(conversations))
			err = l.s.say(ctx, room.Message{ID: key, Conversation: conversation, Text: agent + " " + text})
		} else {
			once, end := context.WithTimeout(ctx, l.s.http.Timeout)
			_, err = l.s.client.Push(once, agentapi.Push{Agent: agent, Message: text}, agentapi.PushOptions{IdempotencyKey: key})
			end()
		}
		l.mu.Lock()
		if err == nil {
			l.acked[key] = byChat
			l.mu.Unlock()
			return
		}
		l.repeats++
		l.mu.Unlock()
		programs.Pause(ctx, 50*time.Millisecond)
	}
}

// acknowledged is how many messages were, so far.
func (l *load) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// flows waits until n more messages were acknowledged.
func (l *load) flows(n int) {
	l.s.t.Helper()
	want := l.acknowledged() + n
	programs.Eventually(l.s.t, "messages to be acknowledged", func(context.Context) error {
		if got := l.acknowledged(); got < want {
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
}

// outcome is what a load has led to.
type outcome struct {
	repeated int // final replies that came more than once
	stale    int // replies that came after the job's final one and show less
}

// judge ends the load and waits for all that it must lead to: one job for each
// message, one execution of each job, and a final reply to each message of the
// chat. It fails the test for what is missing or there twice, except replies.
func (l *load) judge() outcome {
	l.s.t.Helper()
	l.stop()
	l.ended.Wait()
	jobs := l.drain()
	runs := l.s.executions()
	byKey := map[string]int{}
	for _, j := range jobs {
		key := strings.Fields(j.Message)[1]
		byKey[key]++
		if _, ok := l.acked[key]; !ok {
			l.s.t.Errorf("job %s is for %s, which nobody sent", j.ID, key)
		}
		if j.Status != "succeeded" {
			l.s.t.Errorf("job %s is %s %s", j.ID, j.Status, j.Reason)
		}
		if runs[j.ID] != 1 {
			l.s.t.Errorf("job %s (%s) ran %d times", j.ID, j.Status, runs[j.ID])
		}
	}
	for key := range l.acked {
		if byKey[key] != 1 {
			l.s.t.Errorf("the message %s was acknowledged and made %d jobs", key, byKey[key])
		}
	}
	finals, o := l.finals()
	l.s.t.Logf("%d messages in (%d sent again), %d jobs, %d executions, %d final replies of which %d repeat another",
		len(l.acked), l.repeats, len(jobs), len(runs), sum(finals), o.repeated)
	return o
}

// drain waits until every job is final and every final reply is there.
func (l *load) drain() []agentapi.Job {
	l.s.t.Helper()
	var jobs []agentapi.Job
	programs.Eventually(l.s.t, "every job to be final", func(context.Context) error {
		jobs = l.s.jobs()
		var open []string
		for _, j := range jobs {
			if !j.Final() {
				open = append(open, j.ID+" "+j.Status)
			}
		}
		if len(open) > 0 {
			return fmt.Errorf("%d are not: %v", len(open), open[:min(len(open), 5)])
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(l.s.t.Context(), programs.Patience)
	defer cancel()
	for {
		finals, _ := l.finals()
		var untold []string
		for key, byChat := range l.acked {
			if byChat && finals[key] == 0 {
				untold = append(untold, key)
			}
		}
		if len(untold) == 0 {
			return jobs
		}
		programs.Pause(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			slices.Sort(untold)
			l.s.t.Errorf("the end of %d jobs was never told: %v", len(untold), untold)
			return jobs
		}
	}
}

// finals counts the final replies by key.
func (l *load) finals() (map[string]int, outcome) {
	l.s.t.Helper()
	var o outcome
	finals := map[string]int{}
	for _, r := range l.s.told() {
		words := strings.Fields(r.Message)
		switch {
		case len(words) < 2:
		case r.Final:
			if finals[words[1]]++; finals[words[1]] > 1 {
				o.repeated++
			}
			if r.Mark != chat.MarkSucceeded {
				l.s.t.Errorf("%s was told to be %s", words[1], r.Mark)
			}
		case finals[words[1]] > 0:
			o.stale++
		}
	}
	return finals, o
}

func sum(counts map[string]int) int {
	n := 0
	for c := range maps.Values(counts) {
		n += c
	}
	return n
}
