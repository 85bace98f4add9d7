//go:build unix

package chats

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// another prepares a second server of the site, on the same database and queue.
func (s *site) another(name string) *site {
	s.t.Helper()
	other := *s
	other.addr = throwaway.Address(s.t)
	other.config = filepath.Join(s.dir, name+".yaml")
	text, err := os.ReadFile(s.config)
	programs.Must(s.t, err)
	s.write(name+".yaml", strings.ReplaceAll(string(text), s.addr, other.addr)+"node: {name: "+name+"}\n")
	other.server = programs.New(s.t, s.dir, name, "skadi", "serve", "-c", other.config)
	return &other
}

// TestWeChatOnTwoNodes has WeChat call two servers in turn, and the token run out
// twice: each time one of them renews it, and everything is told.
func TestWeChatOnTwoNodes(t *testing.T) {
	t.Parallel()
	dsn, redis := throwaway.MariaDB(t).Database(t), throwaway.Redis(t)
	w := newWeChatOn(t, func(adapters, rules string) *site {
		store := fmt.Sprintf("store: {driver: mysql, dsn: %q}\nqueue: {driver: redis, addrs: [%q]}", dsn, redis.Addr)
		return newSiteOn(t, t.TempDir(), store, adapters, rules)
	})
	other := w.another("other")
	other.startServer()
	w.far.Ask("app", map[string]any{"urls": []string{w.callback(), other.callback()}}, nil)

	const rounds, messages = 2, 40
	for round := range rounds {
		var f struct{ Taken, Lost, Again, Forged, Believed int }
		w.far.Ask("flood", map[string]any{
			"text": agentName + " run now", "prefix": "r" + strconv.Itoa(round) + "-", "messages": messages, "rate": 40, "people": 30,
		}, &f)
		if f.Taken != messages || f.Lost != 0 || f.Again != messages/10*3 || f.Believed != 0 {
			t.Errorf("the far side says %+v", f)
		}
	}
	w.settled(rounds * messages)
	told := map[string]int{}
	programs.Eventually(t, "all results", func(context.Context) error {
		clear(told)
		for _, p := range w.posts("") {
			if _, key, ok := strings.Cut(p.Text, "done "); ok {
				told[key]++
			}
		}
		if len(told) < rounds*messages {
			return fmt.Errorf("%d of %d", len(told), rounds*messages)
		}
		return nil
	})
	for key, n := range told {
		if n != 1 {
			t.Errorf("the result of %s was told %d times", key, n)
		}
	}
	// One at first, and each time one that the test spent and one in its place.
	s := w.state()
	if s.Tokens != 1+2*rounds {
		t.Errorf("the far side says %+v", s)
	}
	w.late(rounds * messages)
	t.Logf("%d messages on two nodes; tokens %d, refused %v", rounds*messages, s.Tokens, s.Refused)
}
