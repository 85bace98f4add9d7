//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	soakPushers = 64
	// soakBehind is how many jobs may wait; then the pushers do, so that what a
	// slow machine cannot do is seen as a lower rate.
	soakBehind = 5000
)

// pushed are the messages that came by the API.
type pushed struct {
	k       *soak
	perSec  int
	stop    context.CancelFunc
	ended   sync.WaitGroup
	next    atomic.Int64
	count   atomic.Int64 // acknowledged
	repeats atomic.Int64
	waits   atomic.Int64 // for jobs that wait

	mu    sync.Mutex
	acked map[string]string // the ID of the job, by key
}

// push has so many messages a second pushed. Each is repeated, at the other
// node, until it is acknowledged.
func (k *soak) push(perSec int) *pushed {
	ctx, cancel := context.WithCancel(k.t.Context())
	p := &pushed{k: k, perSec: perSec, stop: cancel, acked: map[string]string{}}
	for i := range soakPushers {
		p.ended.Go(func() { p.work(ctx, i) })
	}
	k.t.Cleanup(p.end)
	return p
}

func (p *pushed) end() {
	p.stop()
	p.ended.Wait()
}

func (p *pushed) work(ctx context.Context, node int) {
	for {
		n := p.next.Add(1) - 1
		programs.Pause(ctx, time.Until(p.k.began.Add(time.Duration(n)*time.Second/time.Duration(p.perSec))))
		for ctx.Err() == nil && p.behind() > soakBehind {
			p.waits.Add(1)
			programs.Pause(ctx, 50*time.Millisecond)
		}
		if ctx.Err() != nil {
			return
		}
		p.one(ctx, fmt.Sprintf("p-%d", n), node)
	}
}

// one pushes one message until it is acknowledged, also when the load has ended
// meanwhile.
func (p *pushed) one(ctx context.Context, key string, node int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), programs.Patience)
	defer cancel()
	push := agentapi.Push{Agent: fmt.Sprintf("web-%d", 1+rand.IntN(soakAgents)), Message: "run " + key}
	for ctx.Err() == nil {
		once, end := context.WithTimeout(ctx, 5*time.Second)
		j, err := p.k.clients[node%len(p.k.clients)].Push(once, push, agentapi.PushOptions{IdempotencyKey: key})
		end()
		if err == nil {
			p.mu.Lock()
			p.acked[key] = j.ID
			p.mu.Unlock()
			p.count.Add(1)
			return
		}
		var problem *agentapi.Problem
		if errors.As(err, &problem) && !problem.Temporary() {
			p.k.t.Errorf("%s is refused: %v", key, err)
			return
		}
		p.repeats.Add(1)
		node++
		programs.Pause(ctx, 20*time.Millisecond)
	}
	p.k.t.Errorf("%s was never acknowledged", key)
}

// behind is about how many jobs have not begun to run.
func (p *pushed) behind() int {
	written := time.Since(p.k.began).Seconds() * float64(p.k.rate) * soakWritten
	return int(p.count.Load()) + int(written) - p.k.ran()
}

// ran is how many jobs have begun to run.
func (k *soak) ran() int {
	info, err := os.Stat(k.runs)
	if err != nil {
		return 0
	}
	return int(info.Size()) / len("01234567-89ab-cdef-0123-456789abcdef\n")
}

// told is what became of the messages in Slack.
type told struct {
	asked, answers int
	repeated       int // answers beyond the first
	left           int // of these, how many stay as they were: nobody knows their ID
	ends           int // ends of jobs that were shown, again ones too
}

// judge fails the test for whatever is missing or there twice.
func (k *soak) judge() (jobs int, o told) {
	k.t.Helper()
	asked, loose := k.slack.asked()
	if loose > 0 {
		k.t.Errorf("%d answers are in no thread", loose)
	}
	want := map[string]bool{} // by key, whether it was written in Slack
	for key := range k.pushed.acked {
		want[key] = false
	}
	w := wrongs{k: k}
	for _, one := range asked {
		key := one.Text[strings.LastIndexByte(one.Text, ' ')+1:]
		want[key] = true
		o.asked++
		o.answers += len(one.Told)
		o.repeated += max(len(one.Told)-1, 0)
		told := false
		for _, m := range one.Told {
			o.ends += m.Ends
			if strings.Contains(m.Words, "Succeeded") && strings.HasPrefix(after(m.Words, "done "+key), " ") {
				told = true
			} else {
				o.left++
			}
		}
		if !told {
			w.add("the end of %s is not told: %+v", key, one.Told)
		}
	}
	runs, had := k.executions(), map[string]bool{}
	all := k.jobs()
	for _, j := range all {
		key := strings.Fields(j.Message)[1]
		if _, ok := want[key]; !ok {
			w.add("job %s is for %s, which nobody sent", j.ID, key)
		}
		if had[key] {
			w.add("there are several jobs for %s", key)
		}
		had[key] = true
		if id := k.pushed.acked[key]; id != "" && id != j.ID {
			w.add("%s was acknowledged as job %s and is job %s", key, id, j.ID)
		}
		if j.Status != "succeeded" || runs[j.ID] != 1 {
			w.add("job %s is %s %s and ran %d times", j.ID, j.Status, j.Reason, runs[j.ID])
		}
	}
	for key := range want {
		if !had[key] {
			w.add("%s was acknowledged and made no job", key)
		}
	}
	if len(runs) != len(all) {
		w.add("%d jobs ran and there are %d", len(runs), len(all))
	}
	// An answer repeats if Slack took the first without saying so, or if its
	// node was killed before it could record what Slack said.
	if most := k.slack.counts()["failed lost chat.postMessage"] + k.kills*soakChannels; o.repeated > most {
		w.add("%d answers repeat: more than %d, which could have been on their way", o.repeated, most)
	}
	if o.left > o.repeated {
		w.add("%d answers do not show the end, and only %d repeat", o.left, o.repeated)
	}
	w.end()
	return len(all), o
}

// wrongs are errors of the test, of which the first few are shown.
type wrongs struct {
	k *soak
	n int
}

func (w *wrongs) add(format string, args ...any) {
	w.k.t.Helper()
	if w.n++; w.n <= 10 {
		w.k.t.Errorf(format, args...)
	}
}

func (w *wrongs) end() {
	if w.n > 10 {
		w.k.t.Errorf("and %d more errors like these", w.n-10)
	}
}

// after returns what follows a text, and nothing if it is not there.
func after(s, text string) string {
	_, rest, _ := strings.Cut(s+" ", text)
	return rest
}
