//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"

	"github.com/letserverrun/skadi/core/agentapi"
)

// How the processes are killed; SKADI_TEST_KILLS and SKADI_TEST_SEED override
// the first two.
const (
	kills      = 100
	killsShort = 10
	// Each process lives for a random time up to mostLife after it was started,
	// so that some die before they are ready.
	leastLife = 50 * time.Millisecond
	mostLife  = 1500 * time.Millisecond
	// mostDown is how long one stays dead at most.
	mostDown = 200 * time.Millisecond
)

// TestKill kills the real server and the real agents at random moments while
// jobs are pushed, run and canceled, and then holds Skadi to its promises: no
// acknowledged message is lost, no push makes two jobs, no job runs twice, an
// interrupted one says so, and every job gets a final status.
func TestKill(t *testing.T) {
	t.Parallel()
	count, seed := killSettings(t)
	t.Logf("%d kills with SKADI_TEST_SEED=%d", count, seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable
	site := newKillSite(t)
	begin := time.Now()

	ctx, cancel := context.WithCancel(t.Context())
	load := newKillLoad(site.client)
	var pushers sync.WaitGroup
	for i := range 6 {
		own := rand.New(rand.NewPCG(seed, uint64(i+1))) //nolint:gosec // repeatable
		pushers.Go(func() { load.push(ctx, i, own) })
	}
	site.killing(count, random)
	cancel()
	pushers.Wait()

	jobs := site.drain(load)
	runs := site.executions()
	verdict := load.judge(jobs, runs)
	for _, broken := range verdict.broken {
		t.Error(broken)
	}
	t.Logf("%s; %s, in %s", site.killed(), verdict.summary(), time.Since(begin).Round(time.Second))
	if verdict.status["succeeded"] < count {
		t.Errorf("only %d jobs succeeded: there was too little load to say anything", verdict.status["succeeded"])
	}
}

func killSettings(t *testing.T) (count int, seed uint64) {
	t.Helper()
	count, seed = kills, rand.Uint64()
	if testing.Short() {
		count = killsShort
	}
	if v := os.Getenv("SKADI_TEST_KILLS"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			t.Fatalf("SKADI_TEST_KILLS=%q must be a number above 0", v)
		}
		count = n
	}
	if v := os.Getenv("SKADI_TEST_SEED"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("SKADI_TEST_SEED=%q must be a number", v)
		}
		seed = n
	}
	return count, seed
}

// killLoad pushes jobs and remembers what was acknowledged.
type killLoad struct {
	client *agentapi.Client

	mu       sync.Mutex
	acked    map[string]string // job IDs by the key of their push
	canceled map[string]bool   // jobs for which a cancel was acknowledged or may have been
	retries  int
}

func newKillLoad(c *agentapi.Client) *killLoad {
	return &killLoad{client: c, acked: map[string]string{}, canceled: map[string]bool{}}
}

// push pushes jobs until ctx ends. Each push is repeated with its key until it
// is acknowledged, as a CI system would, also when ctx has ended meanwhile.
func (l *killLoad) push(ctx context.Context, pusher int, random *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		key := fmt.Sprintf("p%d-%d", pusher, n)
		agent := "ghost"
		if pick := random.IntN(20); pick > 0 {
			agent = killAgents[pick%len(killAgents)]
		}
		message := fmt.Sprintf("run %s 0.%02d", key, random.IntN(15))
		id := l.acknowledged(key, agentapi.Push{Agent: agent, Message: message})
		if id == "" {
			return
		}
		if random.IntN(20) == 0 {
			// Some are canceled while they wait, some while they run.
			programs.Pause(ctx, time.Duration(random.Int64N(int64(100*time.Millisecond))))
			l.cancel(ctx, id)
		}
		programs.Pause(ctx, time.Duration(random.Int64N(int64(150*time.Millisecond))))
	}
}

// acknowledged pushes until it was told so.
func (l *killLoad) acknowledged(key string, p agentapi.Push) (id string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for ctx.Err() == nil {
		j, err := l.client.Push(ctx, p, agentapi.PushOptions{IdempotencyKey: key})
		l.mu.Lock()
		if err == nil {
			l.acked[key] = j.ID
			l.mu.Unlock()
			return j.ID
		}
		l.retries++
		l.mu.Unlock()
		programs.Pause(ctx, 20*time.Millisecond)
	}
	return ""
}

func (l *killLoad) cancel(ctx context.Context, id string) {
	_, _, err := l.client.Cancel(ctx, id)
	var p *agentapi.Problem
	if errors.As(err, &p) && p.Status == http.StatusConflict {
		return // it was final
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.canceled[id] = true
}

// killVerdict is what became of the load.
type killVerdict struct {
	jobs, ran, retries int
	status             map[string]int // with the reason, where there is one
	broken             []string
}

func (v *killVerdict) breaks(format string, args ...any) {
	v.broken = append(v.broken, fmt.Sprintf(format, args...))
}

// judge holds what was found in the end against what was promised.
func (l *killLoad) judge(jobs map[string]agentapi.Job, runs map[string]int) *killVerdict {
	v := &killVerdict{jobs: len(jobs), retries: l.retries, status: map[string]int{}}
	for key, id := range l.acked {
		if _, ok := jobs[id]; !ok {
			v.breaks("the push %s was acknowledged as job %s, which is gone", key, id)
		}
	}
	if len(jobs) != len(l.acked) {
		v.breaks("%d pushes made %d jobs", len(l.acked), len(jobs))
	}
	for id, n := range runs {
		v.ran++
		if n > 1 {
			v.breaks("job %s ran %d times", id, n)
		}
		if _, ok := jobs[id]; !ok {
			v.breaks("job %s ran and is not there", id)
		}
	}
	for id, j := range jobs {
		v.status[strings.TrimSpace(j.Status+" "+j.Reason)]++
		if why := l.wrong(j, runs[id]); why != "" {
			v.breaks("job %s (%s %s %s) ran %d times: %s", id, j.Agent, j.Status, j.Reason, runs[id], why)
		}
	}
	return v
}

// wrong says what is wrong about a job's end, given how often it began to run.
func (l *killLoad) wrong(j agentapi.Job, began int) string {
	switch {
	case !j.Final():
		return "it has no final status"
	case j.Status == "succeeded" && began != 1:
		return "it cannot have succeeded"
	case j.Status == "failed" && j.Reason != "interrupted":
		return "its command never fails by itself"
	case j.Status == "expired" && began > 0:
		return "its agent came back and should have told what became of it"
	case j.Status == "canceled" && !l.canceled[j.ID]:
		return "nobody canceled it"
	case j.Agent == "ghost" && j.Status != "expired" && j.Status != "canceled":
		return "nobody can have taken it"
	}
	return ""
}

func (v *killVerdict) summary() string {
	var ends []string
	for _, s := range slices.Sorted(maps.Keys(v.status)) {
		ends = append(ends, fmt.Sprintf("%d %s", v.status[s], s))
	}
	return fmt.Sprintf("%d acknowledged jobs of which %d began to run: %s; %d pushes were repeated", v.jobs, v.ran, strings.Join(ends, ", "), v.retries)
}
