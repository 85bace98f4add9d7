package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryKeyIsLiveOrNeedsARestart holds the table of effects against the
// keys that there are.
func TestEveryKeyIsLiveOrNeedsARestart(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	walkKeys(reflect.TypeFor[Config](), "", nil, func(path string, _ []int) {
		known[path] = true
		if _, ok := effects[path]; !ok {
			t.Errorf("say in effects whether %s is live or needs a restart, and apply it in cli/reload.go if it is live", path)
		}
	})
	for path := range effects {
		if !known[path] {
			t.Errorf("effects has %s, which is no key of the config", path)
		}
	}
	// What the walk does not enter is compared as a whole.
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		covered := false
		for k := range known {
			covered = covered || k == key || strings.HasPrefix(key, k+".") || strings.HasPrefix(key, k+"[]") || strings.HasPrefix(k, key+".")
		}
		if !covered {
			t.Errorf("a change of %s is not noticed", key)
		}
	}
}

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("f.yaml", []byte(text), fixed())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChangeOfEachKey(t *testing.T) {
	t.Parallel()
	const base = "listen: 127.0.0.1:1\n"
	for _, tc := range []struct {
		text          string
		live, restart []string
	}{
		{base, nil, nil},
		{base + "limits: {message: 65536}\nadapters: []\ntrusted_proxies: []\n", nil, nil}, // the defaults, written out
		{"listen: 127.0.0.1:2\n", nil, []string{"listen"}},
		{base + "store: {path: other.db}\n", nil, []string{"store.path"}},
		{base + "queue: {driver: redis, addrs: ['a:1'], password: x}\n", nil, []string{"queue.driver", "queue.addrs", "queue.password"}},
		{base + "tls: {cert: a, key: b}\n", nil, []string{"tls.cert", "tls.key"}},
		{base + "log: {level: debug, format: json}\n", []string{"log.level"}, []string{"log.format"}},
		{base + "times: {offline: 5m}\nlimits: {body: 4MiB}\nretention: {jobs: 1d}\n", []string{"times.offline", "retention.jobs", "limits.body"}, nil},
		{base + "access: {rules: [{who: ['token:a'], agents: [b], may: [c]}]}\n", []string{"access"}, nil},
		{base + "callbacks: {secrets: [], allow: []}\nchannels: {}\nalerts: {offline: \"\", for: []}\n", nil, nil},
		{base + "callbacks: {secrets: [whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz], allow: [10.0.0.0/8]}\n", []string{"callbacks"}, nil},
		{base + "channels: {ops: {account: a, channel: C1}}\n", []string{"channels"}, nil},
		{base + "adapters: [{name: a, kind: slack}]\n", []string{"adapters"}, nil},
	} {
		was := parsed(t, base)
		ch := was.ChangeTo(parsed(t, tc.text))
		if diff := cmp.Diff([][]string{tc.live, tc.restart}, [][]string{ch.Live, ch.Restart}); diff != "" {
			t.Errorf("%s(-want +got):\n%s", tc.text, diff)
		}
		// What needs a restart stays as it was, and is told again next time.
		if again := ch.Next.ChangeTo(parsed(t, tc.text)); len(again.Live) > 0 || !slices.Equal(again.Restart, tc.restart) {
			t.Errorf("%sagain: %+v", tc.text, again)
		}
		if back := ch.Next.ChangeTo(parsed(t, base)); len(back.Restart) > 0 {
			t.Errorf("%sback: %+v", tc.text, back)
		}
	}
}

func TestChangeOfAccounts(t *testing.T) {
	t.Parallel()
	const was = "adapters:\n" +
		"  - {name: same, kind: slack, bot_token: \"${env:SECRET}\", mode: http}\n" +
		"  - {name: other, kind: slack, bot_token: \"${env:SECRET}\"}\n" +
		"  - {name: gone, kind: slack}\n  - {name: kind, kind: slack}\n"
	const is = "adapters:\n" +
		"  - {name: fresh, kind: slack}\n  - {name: kind, kind: teams}\n" +
		"  # The same, in another order and place, and with its secret written out.\n" +
		"  - {name: same, mode: http, kind: slack, bot_token: hunter2}\n" +
		"  - {name: other, kind: slack, bot_token: hunter3}\n"
	ch := parsed(t, was).ChangeTo(parsed(t, is))
	got := fmt.Sprint(ch.Added, ch.Changed, ch.Removed)
	if want := "[fresh] [kind other] [gone]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	ch = parsed(t, was).ChangeTo(parsed(t, "public_url: https://a.example\n"+was))
	if len(ch.Changed) != 4 {
		t.Errorf("another public_url: %+v", ch)
	}
}
