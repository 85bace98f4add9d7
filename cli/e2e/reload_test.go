//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// reloads is how often TestReloadUnderLoad reloads.
const reloads = 60

// TestReloadUnderLoad has a server read its config again and again, as the API
// and SIGHUP ask for it, while people write to two accounts, of which one
// changes its token each time, and an agent runs jobs. Every message is
// answered once, every job succeeds, and the account that does not change logs
// in once.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	const kept, secret = "xoxb-kept-hunter2", "signing-hunter2"
	far := startSlackAPI(t)
	folder := t.TempDir()
	file, tokenFile := filepath.Join(folder, "skadi.yaml"), filepath.Join(folder, "changing.token")
	account := func(name, token string) string {
		return fmt.Sprintf("  - {name: %s, kind: slack, mode: http, bot_token: '%s', signing_secret: %s, api_url: '%s/api/'}\n", name, token, secret, far.URL)
	}
	config := func(more string) string {
		return "listen: 127.0.0.1:0\nadapters:\n" + account("kept", kept) + account("changing", "${file:changing.token}") +
			"access: {rules: [{who: ['kept:*', 'changing:*'], agents: ['*'], see: true}]}\n" + more
	}
	writeText(t, tokenFile, "xoxb-changing-0-hunter2\n")
	writeText(t, file, config(""))
	p, server := serveText(t, file)
	admin := clientOf(t, server, token(t, "tokens", "create", "root", "--role", "admin", "-c", file))
	writeText(t, filepath.Join(folder, "web-1.token"), token(t, "agents", "create", "web-1", "-c", file))
	writeText(t, filepath.Join(folder, "agentd.yaml"), "server: "+server+"\ntoken_file: web-1.token\nstate_dir: ./state\n"+
		"commands: [{name: say, args: [{name: what, pattern: '[a-z0-9-]+'}], argv: [echo, '{what}']}]\n")
	start(t, nil, "agentd", "run", "-c", filepath.Join(folder, "agentd.yaml"))
	eventually(t, "the agent is there", func() bool {
		all, err := admin.Agents(t.Context())
		return err == nil && len(all) == 1 && all[0].Online
	})

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var said sync.Map
	for _, to := range []string{"kept", "changing"} {
		load.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				user := fmt.Sprintf("U%s%04d", strings.ToUpper(to[:1]), i)
				// What is not taken in Slack sends again.
				for tries := 0; ; tries++ {
					status, answer := mentionBy(t, server, to, secret, "Ev"+user, user)
					if status == http.StatusOK {
						break
					}
					if tries == 50 {
						t.Errorf("%s: %d %s", user, status, answer)
						return
					}
				}
				said.Store(user, true)
			}
		})
	}
	jobs := 0
	load.Go(func() {
		for ; ctx.Err() == nil; jobs++ {
			what := fmt.Sprint("job-", jobs)
			j, err := admin.Push(t.Context(), agentapi.Push{Agent: "web-1", Message: "say " + what}, agentapi.PushOptions{Wait: patience})
			if err != nil || j.Status != "succeeded" || j.Result.Output != what+"\n" {
				t.Errorf("%s: %+v %v", what, j, err)
				return
			}
		}
	})

	for i := 1; i <= reloads; i++ {
		reloadOnce(t, p, admin, file, tokenFile, config, i)
	}
	stop()
	load.Wait()
	count := 0
	said.Range(func(user, _ any) bool {
		count++
		eventually(t, fmt.Sprint(user, " is answered"), func() bool { return far.answers(user.(string)) > 0 })
		if n := far.answers(user.(string)); n != 1 {
			t.Errorf("%s was answered %d times", user, n)
		}
		return true
	})
	t.Logf("%d reloads, %d messages answered, %d jobs succeeded", reloads, count, jobs)
	far.mu.Lock()
	if n := far.logins[kept]; n != 1 {
		t.Errorf("the account that did not change logged in %d times", n)
	}
	far.mu.Unlock()
	p.signal(syscall.SIGTERM)
	code, log := p.ends()
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(log, "hunter2") {
		t.Errorf("a secret is shown:\n%s", log)
	}
}

// reloadOnce changes the token, and by turns reloads over the API, with an
// error in the file, or by SIGHUP with another account that comes and goes.
func reloadOnce(t *testing.T, p *process, admin *agentapi.Client, file, tokenFile string, config func(string) string, i int) {
	t.Helper()
	// Another program may replace the file meanwhile; it does so at once.
	replace := func(path, text string) {
		writeText(t, path+".new", text)
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	replace(tokenFile, fmt.Sprintf("xoxb-changing-%d-hunter2\n", i))
	switch i % 3 {
	case 0:
		replace(file, config("adapters: []\n"))
		_, err := admin.Reload(t.Context())
		var problem *agentapi.Problem
		if !errors.As(err, &problem) || problem.Type != agentapi.ProblemBadConfig || !strings.Contains(problem.Detail, "skadi.yaml:") {
			t.Fatalf("a file with an error: %v", err)
		}
		replace(file, config(""))
	case 1:
		replace(file, config(fmt.Sprintf("limits: {message: %dKiB}\nlog: {format: json}\n", i%50+1)))
		done, err := admin.Reload(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(done.Applied, done.Restart, done.Changed); !strings.Contains(got, "limits.message adapters] [log.format] [changing]") {
			t.Fatalf("%+v", done)
		}
	case 2:
		replace(file, config(fmt.Sprintf("times: {offline: %dm}\n", i)))
		before := strings.Count(p.out.text(), "the config is reloaded")
		p.signal(syscall.SIGHUP)
		eventually(t, "the signal is heard", func() bool { return strings.Count(p.out.text(), "the config is reloaded") > before })
	}
}

// answers counts what was posted that names the user.
func (s *slackAPI) answers(user string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range s.posted {
		for _, text := range all {
			if strings.Contains(text, user) {
				n++
			}
		}
	}
	return n
}

// TestReload changes one thing after the other as an administrator would.
func TestReload(t *testing.T) {
	t.Parallel()
	far := startSlackAPI(t)
	folder := t.TempDir()
	file, adminFile := filepath.Join(folder, "skadi.yaml"), filepath.Join(folder, "admin.token")
	account := func(name string) string {
		return fmt.Sprintf("  - {name: %s, kind: slack, mode: http, bot_token: 'xoxb-%s', signing_secret: s-%s, api_url: '%s/api/'}\n", name, name, name, far.URL)
	}
	const base = "listen: 127.0.0.1:0\nlog: {format: json}\n"
	writeText(t, file, base)
	_, server := serveFile(t, file)
	writeText(t, adminFile, token(t, "tokens", "create", "root", "--role", "admin", "-c", file))
	push := token(t, "tokens", "create", "ci", "--role", "push", "-c", file)
	reload := func(code int, text string) result {
		t.Helper()
		writeText(t, file, text)
		return skadi(t, "reload", "--server", server, "--token-file", adminFile).expect(t, code)
	}
	contains(t, reload(0, base).stdout, "nothing has changed")

	r := reload(0, base+"adapters:\n"+account("one"))
	contains(t, r.stdout, "applied: adapters\n", "accounts added: one\n")
	if status, _ := mention(t, server, "one", "s-one", "Ev1"); status != http.StatusOK {
		t.Errorf("the new account answers %d", status)
	}

	// A file with one error changes nothing, though the rest of it would.
	r = reload(1, base+"times: {offline: 9m}\nlimts: {body: 64KiB}\nadapters:\n"+account("two"))
	contains(t, r.stderr, "the config is refused, and the server works on as before", "skadi.yaml:4:1", `"limts"`, `"limits"`)
	r = reload(1, base+"adapters:\n"+account("two")+"  - {name: three, kind: slack, mode: http}\n")
	contains(t, r.stderr, "skadi.yaml:5", "bot_token")
	if status, _ := mention(t, server, "one", "s-one", "Ev2"); status != http.StatusOK {
		t.Errorf("the account answers %d", status)
	}
	if status, _ := mention(t, server, "two", "s-two", "Ev2"); status != http.StatusNotFound {
		t.Errorf("an account of a file that was refused answers %d", status)
	}

	// Rules and limits hold at once, and what needs a restart is named.
	ci := clientOf(t, server, push)
	pushes := func() error {
		_, err := ci.Push(t.Context(), agentapi.Push{Agent: "web-1", Message: "status " + strings.Repeat("x", 2000)}, agentapi.PushOptions{})
		return err
	}
	skadi(t, "agents", "create", "web-1", "-c", file).expect(t, 0)
	refusedFor(t, pushes(), agentapi.ProblemNotAllowed)
	const rule = "access: {rules: [{who: ['token:ci'], agents: [web-1], may: ['status *']}]}\n"
	r = reload(0, base+rule+"store: {path: other.db}\ntls: {cert: a, key: b}\n")
	contains(t, r.stdout, "applied: adapters, access\n", "accounts removed: one\n", "needs a restart: tls.cert, tls.key, store.path\n")
	if err := pushes(); err != nil {
		t.Error(err)
	}
	if status, _ := mention(t, server, "one", "s-one", "Ev3"); status != http.StatusNotFound {
		t.Errorf("the account that was removed answers %d", status)
	}
	reload(0, base+rule+"limits: {message: 1KiB}\n")
	refusedFor(t, pushes(), agentapi.ProblemInvalidValue)

	// Only an administrator may.
	skadiIn(t, "", []string{"SKADI_TOKEN=" + push}, "reload", "--server", server).expect(t, 2)
	skadi(t, "reload", "--server", "http://127.0.0.1:1", "--token-file", adminFile).expect(t, 1)
	contains(t, skadi(t, "jobs", "-c", file).expect(t, 0).stdout, "web-1")
}

// refusedFor fails the test unless err is a problem of that type.
func refusedFor(t *testing.T, err error, kind string) {
	t.Helper()
	var problem *agentapi.Problem
	if !errors.As(err, &problem) || problem.Type != kind {
		t.Errorf("got %v, want %s", err, kind)
	}
}
