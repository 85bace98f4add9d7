//go:build unix

package chats

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// The application of these tests.
const (
	weComCorp  = "ww0123456789abcdef"
	weComAgent = "1000002"
	weComKey   = "hunter2efghijklmnopqrstuvwxyz0123456789ABCD"
)

// weComAnswer is how a call was answered.
type weComAnswer struct {
	Status  int
	Body    string
	ID      string
	Passive string
	MS      int
}

// weComPost is a message that a member got.
type weComPost struct {
	User, Type, Words, Task string
	Buttons                 []struct{ Text, Key string }
}

// weComState is what the far side has counted.
type weComState struct {
	Tokens, Posts int
	Refused       map[string]int
}

// weCom is a server with an application in WeCom, and its agent.
type weCom struct {
	*site
	far *programs.Far
}

func newWeCom(t *testing.T) *weCom {
	t.Helper()
	f := programs.StartFar(t, install(t, "wecom"), "wecom.js", "CORP="+weComCorp, "AGENT="+weComAgent, "SECRET=secret-hunter2",
		"TOKEN=wordhunter2", "KEY="+weComKey, "ROBOT=robot-hunter2")
	s := newSite(t, fmt.Sprintf(`  - name: work-wecom
    kind: wechat
    account: wecom
    corp_id: %s
    agent_id: %s
    secret: secret-hunter2
    token: wordhunter2
    encoding_aes_key: %s
    api_url: %s
  - {name: ops-robot, kind: wechat, account: robot, webhook_url: '%[4]s/cgi-bin/webhook/send?key=robot-hunter2'}
`, weComCorp, weComAgent, weComKey, f.URL),
		`[{who: ["work-wecom:`+weComCorp+`/*"], agents: ["*"], may: ["run * *"], see: true}]`)
	f.Ask("app", map[string]any{"url": "http://" + s.addr + "/adapters/work-wecom/callback"}, nil)
	s.start()
	w := &weCom{site: s, far: f}
	t.Cleanup(func() {
		if log := s.server.Printed() + s.agentd.Printed(); strings.Contains(log, "hunter2") {
			t.Error("a secret is in the logs")
		}
	})
	return w
}

func (w *weCom) say(user, text string) weComAnswer {
	w.t.Helper()
	var a weComAnswer
	w.far.Ask("say", map[string]any{"user": user, "text": text}, &a)
	if a.Status != 200 || a.Body != "" {
		w.t.Errorf("%q was answered with %+v", text, a)
	}
	return a
}

func (w *weCom) posts(user string) []weComPost {
	w.t.Helper()
	var all []weComPost
	w.far.Ask("posts", map[string]any{"user": user}, &all)
	return all
}

// tells waits until the newest message to a member has all of the words.
func (w *weCom) tells(user string, words ...string) weComPost {
	w.t.Helper()
	return newest(w.t, user, func() []weComPost { return w.posts(user) }, func(p weComPost) string { return p.Words }, words)
}

func (w *weCom) state() weComState {
	w.t.Helper()
	var s weComState
	w.far.Ask("state", nil, &s)
	return s
}

func TestWeCom(t *testing.T) {
	t.Parallel()
	w := newWeCom(t)

	var echo weComAnswer
	w.far.Ask("test", map[string]any{}, &echo)
	if echo.Status != 200 || echo.Body != "1616140317555161061" {
		t.Errorf("the address is tested, and answers %+v", echo)
	}
	w.far.Ask("test", map[string]any{"forged": "word"}, &echo)
	if echo.Status != 403 {
		t.Errorf("a forged test of the address is answered with %+v", echo)
	}

	for range 2 {
		w.far.Ask("event", map[string]any{"user": "Ada", "event": "enter_agent"}, nil)
	}
	hello := w.tells("Ada", "Skadi")

	// A job that is done at once is one card with its output.
	began := time.Now()
	first := w.say("Ada", agentName+" run now first")
	done := w.tells("Ada", "Succeeded", "run now first", "done first")
	t.Logf("the result came %s after the message", time.Since(began).Round(time.Millisecond))
	if all := w.posts("Ada"); len(all) != 2 || all[0].Words != hello.Words {
		t.Errorf("Ada got %+v", all)
	}
	for range 3 {
		w.far.Ask("again", map[string]any{"id": first.ID}, nil)
	}

	// Its button runs it again, once.
	for range 2 {
		var a weComAnswer
		w.far.Ask("click", map[string]any{"user": "Ada", "task": done.Task, "label": "Run again"}, &a)
		if a.Status != 200 || !strings.Contains(a.Passive, "<![CDATA[update_button]]>") || !strings.Contains(a.Passive, "✓ rerun") {
			t.Errorf("the click was answered with %+v", a)
		}
	}
	programs.Eventually(t, "the second result", func(context.Context) error {
		if n := len(w.posts("Ada")); n != 3 {
			return fmt.Errorf("Ada got %d messages", n)
		}
		return nil
	})

	// One that takes longer can be canceled by its card.
	w.say("Grace", agentName+" run wait slow")
	running := w.tells("Grace", "Running", "run wait slow")
	w.far.Ask("click", map[string]any{"user": "Grace", "task": running.Task, "label": "Cancel"}, nil)
	w.tells("Grace", "Canceled")

	// A click in the menu is a command. Long output becomes a text and a card.
	w.far.Ask("event", map[string]any{"user": "Menu", "event": "click", "key": agentName + " run long menu"}, nil)
	last := w.tells("Menu", "Succeeded")
	all := w.posts("Menu")
	text := all[len(all)-2]
	if text.Type != "text" || !strings.Contains(text.Words, "done menu") || len(text.Words) > 2048 || len(last.Buttons) != 2 {
		t.Errorf("long output came as %+v", all)
	}

	for _, how := range []string{"word", "stale", "receiver", "unsigned", "changed", "plain"} {
		var a weComAnswer
		w.far.Ask("say", map[string]any{"user": "Ada", "text": agentName + " run now forged", "forged": how}, &a)
		if a.Status < 400 || a.Status >= 500 {
			t.Errorf("%s: it is answered with %+v", how, a)
		}
	}
	jobs := w.settled(4)
	for _, j := range jobs {
		if strings.Contains(j.Message, "forged") {
			t.Errorf("a forged message made %+v", j)
		}
	}
	if s := w.state(); s.Tokens != 1 || len(s.Refused) > 0 {
		t.Errorf("the far side says %+v", s)
	}
}

// TestWeComMessagesAreCounted has members send encrypted messages, of which one
// in ten comes four times and one in ten is forged, with a token that runs out in
// the middle. SKADI_TEST_MESSAGES says how many.
func TestWeComMessagesAreCounted(t *testing.T) {
	messages := 300
	if n, err := strconv.Atoi(os.Getenv("SKADI_TEST_MESSAGES")); err == nil {
		messages = n
	}
	w := newWeCom(t)
	began := time.Now()
	var f struct{ Taken, Late, Again, Forged, Believed, MS int }
	w.far.Ask("flood", map[string]any{
		"text": agentName + " run now", "messages": messages, "workers": 16, "members": max(messages/10, 10),
	}, &f)
	if f.Taken != messages || f.Again != messages/10*3 || f.Forged != messages/10 || f.Believed != 0 {
		t.Errorf("the far side says %+v", f)
	}
	jobs := w.settled(messages)
	for _, j := range jobs {
		if strings.Contains(j.Message, "forged") {
			t.Errorf("a forged message made %+v", j)
		}
	}
	var posts []weComPost
	for last := time.Now(); ; programs.Pause(t.Context(), 200*time.Millisecond) {
		before := len(posts)
		posts = w.posts("")
		finished := slices.DeleteFunc(slices.Clone(posts), func(p weComPost) bool { return !strings.Contains(p.Words, "Succeeded") })
		if len(finished) >= messages {
			break
		}
		if len(posts) > before {
			last = time.Now()
		}
		if time.Since(last) > 2*programs.Patience {
			t.Fatalf("%d of %d results were told", len(finished), messages)
		}
	}
	told := map[string]int{}
	for _, p := range posts {
		if _, key, ok := strings.Cut(p.Words, "done "); ok {
			told[key]++
		}
	}
	for n := range messages {
		if key := fmt.Sprintf("m%d", n); told[key] != 1 {
			t.Errorf("the result of %s was told %d times", key, told[key])
		}
	}
	s := w.state()
	if s.Tokens != 3 || s.Refused["thrown away"] > 0 { // the test spent one
		t.Errorf("the far side says %+v", s)
	}
	t.Logf("%d callbacks acknowledged in %.1f s, %d delivered again on purpose and %d for want of an answer, %d forged; %d jobs, all told after %.1f s by %d messages; tokens %d, refused %v",
		f.Taken, float64(f.MS)/1000, f.Again, f.Late, f.Forged, len(jobs), time.Since(began).Seconds(), len(posts), s.Tokens, s.Refused)
}
