package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
)

// testReloader is one of a node that runs, with a far side that knows no
// token, and a function that writes its config.
func testReloader(t *testing.T) (r *reloader, log *bytes.Buffer, write func(text string)) {
	t.Helper()
	far := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(far.Close)
	n := testNode(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = n.accounts.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	log = &bytes.Buffer{}
	level := &slog.LevelVar{}
	r = &reloader{file: file, level: level, log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})), node: n}
	r.api = n.api(false, r.reload)
	return r, log, func(text string) {
		text = strings.ReplaceAll(text, "SLACK", "kind: slack, mode: http, bot_token: xoxb-hunter2, api_url: '"+far.URL+"/'")
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Error(err)
		}
	}
}

func TestReloadAppliesAllOrNothing(t *testing.T) {
	r, log, write := testReloader(t)
	n := r.node
	write("adapters: [{name: a, signing_secret: one, SLACK}]\nlimits: {message: 1KiB}\nlog: {level: debug}\n")
	if _, err := r.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, ok := n.mounts.get("a")
	if !ok || n.jobs.Limits().MessageBytes != 1<<10 || r.level.Level() != slog.LevelDebug {
		t.Errorf("not applied: %t, %+v", ok, n.jobs.Limits())
	}
	policy := n.currentPolicy()
	for _, bad := range []string{
		"adapters: [{name: b, signing_secret: one, SLACK}, {name: c, kind: slack}]\nlimits: {message: 2KiB}\n",
		"adapters: [{name: b, kind: nothing}]\nlimits: {message: 2KiB}\n",
		"adapters: [{name: b, signing_secret: '${env:NO_SUCH_SECRET}', SLACK}]\nlimits: {message: 2KiB}\n",
		"log: {level: error}\nlimits: {message: 2GiB}\n",
		"adapters: [{name: b, signing_secret: one, SLACK}]\nchannels: {ops: {account: b, channel: '#ops'}}\nlimits: {message: 2KiB}\n",
		"adapters: [{name: b, signing_secret: one, SLACK}]\naccess: {rules: [{who: ['b:T1/ada'], agents: ['*'], see: true}]}\nlimits: {message: 2KiB}\n",
		"",
	} {
		write(bad)
		if bad == "" {
			if err := os.Remove(r.file); err != nil {
				t.Fatal(err)
			}
		}
		_, err := r.reload(t.Context())
		var refused *httpapi.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", bad, err)
		}
		if got, _ := n.mounts.get("a"); got != first || n.jobs.Limits().MessageBytes != 1<<10 || n.currentPolicy() != policy || r.level.Level() != slog.LevelDebug {
			t.Errorf("%s: something changed", bad)
		}
		if _, ok := n.mounts.get("b"); ok || len(n.accounts.Health()) != 1 {
			t.Errorf("%s: %+v", bad, n.accounts.Health())
		}
	}
	write("adapters: [{name: a, signing_secret: two, SLACK}]\n")
	if done, err := r.reload(t.Context()); err != nil || fmt.Sprint(done.Changed) != "[a]" {
		t.Errorf("%+v %v", done, err)
	}
	if got, _ := n.mounts.get("a"); got == first {
		t.Error("the changed account is called as before")
	}
	write("")
	if done, err := r.reload(t.Context()); err != nil || fmt.Sprint(done.Removed) != "[a]" {
		t.Errorf("%+v %v", done, err)
	}
	if _, ok := n.mounts.get("a"); ok || len(n.accounts.Health()) != 0 {
		t.Errorf("%+v", n.accounts.Health())
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("a secret is logged:\n%s", log)
	}
}

// TestReloadAppliesCallbacks: they can be turned on, changed and turned off
// without a restart, and a file that is refused leaves them alone.
func TestReloadAppliesCallbacks(t *testing.T) {
	r, log, write := testReloader(t)
	n := r.node
	all := senders{n.accounts, n.callbacks}
	sender := func() chat.Adapter {
		a, _ := all.Adapter(job.CallbackAccount)
		return a
	}
	const private, public = "http://10.1.2.3/hook", "https://ci.example.com/hook"
	const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	reload := func(text string) {
		t.Helper()
		write(text)
		done, err := r.reload(t.Context())
		if err != nil || fmt.Sprint(done.Applied) != "[callbacks]" || slices.Contains(done.Restart, "callbacks") {
			t.Fatalf("%s: %+v, %v", text, done, err)
		}
	}
	if err := n.callbacks.check(public); !errors.Is(err, job.ErrCallbacksOff) || sender() != nil {
		t.Errorf("without a secret: %v, %v", err, sender())
	}
	reload("callbacks: {secrets: [" + secret + "]}\n")
	first := sender()
	if n.callbacks.check(public) != nil || n.callbacks.check(private) == nil || first == nil {
		t.Errorf("turned on: %v, %v, %v", n.callbacks.check(public), n.callbacks.check(private), first)
	}
	reload("callbacks: {secrets: [" + secret + "], allow: [10.0.0.0/8]}\n")
	second := sender()
	if err := n.callbacks.check(private); err != nil || second == first {
		t.Errorf("allowed: %v; the same sender: %t", err, second == first)
	}
	for _, bad := range []string{"callbacks: {secrets: [short]}\n", "callbacks: {secrets: [" + secret + "]}\nadapters: [{name: c, kind: slack}]\n"} {
		write(bad)
		if _, err := r.reload(t.Context()); err == nil || sender() != second || n.callbacks.check(private) != nil {
			t.Errorf("%s: %v, and something changed", bad, err)
		}
	}
	reload("")
	if err := n.callbacks.check(public); !errors.Is(err, job.ErrCallbacksOff) || sender() != nil {
		t.Errorf("turned off: %v, %v", err, sender())
	}
	if strings.Contains(log.String(), secret) {
		t.Errorf("a secret is logged:\n%s", log)
	}
}

// TestReloadsAtOnce is for the race detector: some reload, others call the
// accounts.
func TestReloadsAtOnce(t *testing.T) {
	r, _, write := testReloader(t)
	write("")
	handler := r.api.Handler()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range 25 {
				if i == 0 {
					write(fmt.Sprintf("adapters: [{name: a, signing_secret: s%d, SLACK}, {name: b%d, signing_secret: s, SLACK}]\nlimits: {message: %dKiB}\n", k, k%2, k+1))
				}
				if _, err := r.reload(t.Context()); err != nil {
					t.Error(err)
				}
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/adapters/a/events", strings.NewReader("{}")))
			}
		})
	}
	all.Wait()
	if _, err := r.reload(t.Context()); err != nil {
		t.Error(err)
	}
	if h := r.node.accounts.Health(); len(h) != 2 || r.node.jobs.Limits().MessageBytes != 25<<10 {
		t.Errorf("%+v", h)
	}
}
