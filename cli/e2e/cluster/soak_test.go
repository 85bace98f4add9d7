//go:build linux

package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// What a soak is made of. It lasts as long as SKADI_TEST_SOAK says, 15m for
// instance; without that it is short, and shows that it works.
const (
	soakRate      = 300 // messages a second, in all
	soakRateShort = 60
	soakShort     = 20 * time.Second
	soakWritten   = 0.1  // of the messages are written in Slack, the others pushed
	soakFails     = 0.05 // of all calls of Slack fail
	soakChannels  = 100
	soakAgents    = 4
	soakAtOnce    = 50 // jobs that one agent runs at once
)

// soakAccounts are the accounts in Slack that messages are written to.
var soakAccounts = []string{"slack-0", "slack-1"}

// soakGuest is an account that comes and goes.
const soakGuest = "slack-2"

const soakConfig = `listen: %s
public_url: http://%s
node: {name: %s}
store: {driver: mysql, dsn: %q}
queue: {driver: redis, %s}
times: {check_in: 1s, offline: 1m, offer: 5s}
`

// soak is what goes on meanwhile: nodes are killed and their config changes,
// under a load, while figures are taken.
type soak struct {
	*site
	slack *workspace
	// config is the part of the nodes' config that does not change; reloads
	// adds the rest.
	config []string
	lasts  time.Duration
	rate   int
	began  time.Time

	clients []*agentapi.Client // of each node
	workers []*process
	servers []*process
	pushed  *pushed

	kills, reloads int
	took           time.Duration
	rates          []int // messages pushed a second, between samples
	counted        int   // messages pushed at the last sample
	sampled        time.Time
	samples        []sample
}

// TestSoak has two nodes on MariaDB and Redis work for a while as they would
// have to in a bad year: one of them is killed again and again, the config
// changes, and Slack fails one call in twenty. Every message that was
// acknowledged makes one job, each job runs once and succeeds, and each message
// in Slack is answered.
func TestSoak(t *testing.T) {
	k := newSoak(t)
	idle := k.idle()
	k.run()
	k.pushed.end()
	k.took = time.Since(k.began)
	k.slack.flooded()
	k.settle()
	settled := k.idle()
	jobs, told := k.judge()
	k.report(jobs, told, idle, settled)
	k.sound()
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	k := &soak{lasts: soakShort, rate: soakRateShort}
	if v := os.Getenv("SKADI_TEST_SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < soakShort {
			t.Fatalf("SKADI_TEST_SOAK=%q must be a time of at least %s", v, soakShort)
		}
		k.lasts, k.rate = d, soakRate
	}
	dsn := throwaway.NewMariaDB(t, "--innodb-buffer-pool-size=512M", "--loose-innodb-log-file-size=256M").Database(t)
	queue := redisQueue(throwaway.Redis(t))
	k.slack = newWorkspace(t)
	k.site = newNodes(t, 2, func(s *site, addr, name string) string {
		for _, account := range append([]string{soakGuest}, soakAccounts...) {
			k.install(s, account)
		}
		base := fmt.Sprintf(soakConfig, addr, s.balancer.addr(), name, dsn, queue)
		k.config = append(k.config, base)
		return base + k.changing()
	})
	for _, node := range k.nodes {
		k.clients = append(k.clients, k.clientOf(node.addr))
		k.servers = append(k.servers, &process{program: node.Program, node: node, figures: node.addr, since: time.Now()})
	}
	var names []string
	for i := range soakAgents {
		name := fmt.Sprintf("web-%d", i+1)
		names = append(names, name)
		home, addr := k.newAgent(name), throwaway.Address(t)
		p := programs.New(t, k.dir, name, "worker", "-server", "http://"+k.balancer.addr(), "-token-file", filepath.Join(home, "token"),
			"-state", filepath.Join(home, "state"), "-runs", k.runs, "-concurrency", fmt.Sprint(soakAtOnce), "-figures", addr)
		p.Start()
		k.workers = append(k.workers, &process{program: p, figures: addr, since: time.Now()})
	}
	programs.Online(t, k.client, names...)
	return k
}

// install makes an account's token known to Slack.
func (k *soak) install(s *site, account string) {
	k.slack.install(account, k.tokenOf(account), "http://"+s.balancer.addr()+"/adapters/"+account)
}

// tokenOf is the token of an account. That of the last one is another after
// each reload.
func (k *soak) tokenOf(account string) string {
	if account == soakAccounts[len(soakAccounts)-1] {
		return fmt.Sprintf("xoxb-%s-%d", account, k.reloads)
	}
	return "xoxb-" + account
}

// changing is the part of the config that is another after each reload: a
// token, a limit, a rule, and an account that comes and goes.
func (k *soak) changing() string {
	var b strings.Builder
	fmt.Fprintf(&b, "limits: {message: %dKiB}\nadapters:\n", 4+k.reloads%4)
	accounts := soakAccounts
	if k.reloads%2 == 1 {
		accounts = append(accounts[:len(accounts):len(accounts)], soakGuest)
	}
	for _, account := range accounts {
		fmt.Fprintf(&b, "  - {name: %s, kind: slack, mode: http, bot_token: %s, signing_secret: %s, api_url: '%s/api/'}\n",
			account, k.tokenOf(account), slackSecret, k.slack.URL)
	}
	fmt.Fprintf(&b, "access: {rules: [{who: ['slack-0:*', 'slack-1:*'], agents: ['*'], may: ['run *', 'more-%d'], see: true}]}\n", k.reloads)
	return b.String()
}

// run lets it all happen.
func (k *soak) run() {
	k.t.Helper()
	k.slack.Ask("fail", map[string]any{"share": soakFails}, nil)
	killEvery, reloadEvery := within(k.lasts/5, 4*time.Second, 30*time.Second), within(k.lasts/4, 4*time.Second, time.Minute)
	sampleEvery := within(k.lasts/20, time.Second, 10*time.Second)
	k.began = time.Now()
	written := int(float64(k.rate) * soakWritten)
	k.slack.flood(written, k.lasts)
	k.pushed = k.push(k.rate - written)

	kill, reload, sample := k.began.Add(around(killEvery)), k.began.Add(reloadEvery), k.began
	var down *process
	var up time.Time
	// On a slow machine it lasts until each has happened.
	for time.Since(k.began) < k.lasts || k.kills == 0 || k.reloads == 0 {
		programs.Pause(k.t.Context(), 200*time.Millisecond)
		now := time.Now()
		if now.After(sample) {
			k.sample(down)
			sample = now.Add(sampleEvery)
		}
		if down != nil && now.After(up) {
			k.startNode(down.node)
			down.since, down = time.Now(), nil
		}
		if down != nil || !k.ready() {
			continue
		}
		switch {
		case now.After(kill):
			kill = now.Add(around(killEvery))
			down, up = k.servers[unevenly(len(k.servers))], now.Add(rand.N(within(k.lasts/60, time.Second, 5*time.Second)))
			k.killNode(down.node)
			k.kills++
		case now.After(reload):
			k.reload()
			reload = time.Now().Add(reloadEvery)
			k.t.Logf("after %s: %d pushed, %d jobs ran, %d times killed", time.Since(k.began).Round(time.Second), k.pushed.count.Load(), k.ran(), k.kills)
		}
	}
	if down != nil {
		k.startNode(down.node)
		down.since = time.Now()
	}
}

// ready reports whether all nodes are.
func (k *soak) ready() bool {
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Second)
	defer cancel()
	for _, node := range k.nodes {
		if k.call(ctx, http.MethodGet, node.addr, "/readyz", nil) != nil {
			return false
		}
	}
	return true
}

// reload changes the config of all nodes. The first is told by the API, the
// others by a signal.
func (k *soak) reload() {
	k.t.Helper()
	k.reloads++
	k.install(k.site, soakAccounts[len(soakAccounts)-1])
	for i, node := range k.nodes {
		path := filepath.Join(k.dir, node.Name+".yaml")
		write(k.t, path+".new", k.config[i]+k.changing())
		programs.Must(k.t, os.Rename(path+".new", path))
		if i == 0 {
			ctx, cancel := context.WithTimeout(k.t.Context(), programs.Patience)
			done, err := k.clients[i].Reload(ctx)
			cancel()
			if err != nil || len(done.Restart) > 0 || len(done.Changed) != 1 {
				k.t.Errorf("reload %d: %+v %v", k.reloads, done, err)
			}
			continue
		}
		const heard = "the config is reloaded"
		before := strings.Count(node.Printed(), heard)
		node.Signal(syscall.SIGHUP)
		programs.Eventually(k.t, "the signal to be heard", func(context.Context) error {
			if strings.Count(node.Printed(), heard) == before {
				return fmt.Errorf("it has not said %q again", heard)
			}
			return nil
		})
	}
}

// settle waits until every job is final and every event is told.
func (k *soak) settle() {
	k.t.Helper()
	for _, node := range k.nodes {
		programs.Ready(k.t, node.addr)
	}
	for _, name := range []string{"skadi_open_jobs", "skadi_untold_events"} {
		k.shrinks(name)
	}
	for _, c := range k.clients {
		c.CloseIdle()
	}
}

// shrinks waits until a figure of the whole database is 0. It gives up when the
// figure does not become less for long.
func (k *soak) shrinks(name string) {
	k.t.Helper()
	least, since := -1, time.Now()
	for k.t.Context().Err() == nil {
		now, err := k.figure(k.nodes[0].addr, name)
		if err == nil && now == 0 {
			return
		}
		if err == nil && (least < 0 || now < least) {
			least, since = now, time.Now()
		}
		if time.Since(since) > programs.Patience {
			k.t.Errorf("%s stays at %d (%v)", name, now, err)
			return
		}
		programs.Pause(k.t.Context(), 200*time.Millisecond)
	}
}

// sound checks the logs of the programs.
func (k *soak) sound() {
	k.t.Helper()
	for _, p := range append(append([]*process{}, k.servers...), k.workers...) {
		log := p.program.Printed()
		for _, bad := range []string{"DATA RACE", "panic:", "xoxb-", slackSecret} {
			if strings.Contains(log, bad) {
				k.t.Errorf("%s has logged %q", p.program.Name, bad)
			}
		}
	}
}

// unevenly is a random number below n, and the first only one time in five, so
// that one node becomes old enough to show whether it grows.
func unevenly(n int) int {
	if rand.IntN(5) == 0 {
		return 0
	}
	return 1 + rand.IntN(n-1)
}

// around is a random time of two to four thirds of d.
func around(d time.Duration) time.Duration { return d*2/3 + rand.N(d*2/3) }

func within(d, least, most time.Duration) time.Duration { return min(max(d, least), most) }
