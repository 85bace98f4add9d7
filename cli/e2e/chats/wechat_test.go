//go:build unix

package chats

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// The account of these tests.
const (
	weChatApp = "wx0123456789abcdef"
	weChatKey = "hunter2efghijklmnopqrstuvwxyz0123456789ABCD"
)

// weChatAnswer is how a call was answered.
type weChatAnswer struct {
	Status  int
	Body    string
	ID      string
	Passive string
	MS      int
}

// weChatPost is a message that a person got.
type weChatPost struct {
	User, Text string
	Passive    bool
}

// weChatState is what the far side has counted.
type weChatState struct {
	Tokens, Taken, Posts int
	Refused              map[string]int
}

// weChat is a server with an official account, and its agent.
type weChat struct {
	*site
	far *programs.Far
}

func newWeChat(t *testing.T) *weChat {
	t.Helper()
	return newWeChatOn(t, func(adapters, rules string) *site { return newSite(t, adapters, rules) })
}

// newWeChatOn is newWeChat on a site that is made so.
func newWeChatOn(t *testing.T, make func(adapters, rules string) *site) *weChat {
	t.Helper()
	f := programs.StartFar(t, install(t, "wechat"), "wechat.js", "APP="+weChatApp, "SECRET=secret-hunter2", "TOKEN=wordhunter2", "KEY="+weChatKey)
	s := make(fmt.Sprintf(`  - name: shop
    kind: wechat
    account: official
    app_id: %s
    app_secret: secret-hunter2
    token: wordhunter2
    encoding_aes_key: %s
    api_url: %s
`, weChatApp, weChatKey, f.URL),
		`[{who: ["shop:`+weChatApp+`/*"], agents: ["*"], may: ["run * *"], see: true}]`)
	f.Ask("app", map[string]any{"urls": []string{s.callback()}}, nil)
	s.start()
	w := &weChat{site: s, far: f}
	t.Cleanup(func() {
		if log := s.server.Printed() + s.agentd.Printed(); strings.Contains(log, "hunter2") {
			t.Error("a secret is in the logs")
		}
	})
	return w
}

// callback is where WeChat calls the site.
func (s *site) callback() string { return "http://" + s.addr + "/adapters/shop/callback" }

func (w *weChat) say(user, text string) weChatAnswer {
	w.t.Helper()
	var a weChatAnswer
	w.far.Ask("say", map[string]any{"user": user, "text": text}, &a)
	if a.Status != 200 {
		w.t.Errorf("%q was answered with %+v", text, a)
	}
	if a.MS >= 5000 {
		w.t.Errorf("%q was answered after %d ms", text, a.MS)
	}
	return a
}

func (w *weChat) posts(user string) []weChatPost {
	w.t.Helper()
	var all []weChatPost
	w.far.Ask("posts", map[string]any{"user": user}, &all)
	return all
}

// tells waits until the newest message to a person has all of the words.
func (w *weChat) tells(user string, words ...string) weChatPost {
	w.t.Helper()
	return newest(w.t, user, func() []weChatPost { return w.posts(user) }, func(p weChatPost) string { return p.Text }, words)
}

func (w *weChat) state() weChatState {
	w.t.Helper()
	var s weChatState
	w.far.Ask("state", nil, &s)
	return s
}

func TestWeChat(t *testing.T) {
	t.Parallel()
	w := newWeChat(t)

	var echo weChatAnswer
	w.far.Ask("test", map[string]any{}, &echo)
	if echo.Status != 200 || echo.Body != "5838479218127813673" {
		t.Errorf("the address is tested, and answers %+v", echo)
	}
	w.far.Ask("test", map[string]any{"forged": "word"}, &echo)
	if echo.Status != 403 {
		t.Errorf("a forged test of the address is answered with %+v", echo)
	}

	// Who follows is greeted; a job that is done at once is answered within its
	// call, and a message that comes again gets the same answer.
	var hello weChatAnswer
	w.far.Ask("event", map[string]any{"user": "oAda", "event": "subscribe"}, &hello)
	if !strings.Contains(hello.Passive, "Skadi") {
		t.Errorf("who follows is told %+v", hello)
	}
	first := w.say("oAda", agentName+" run now first")
	if !strings.Contains(first.Passive, "done first") || !strings.Contains(first.Passive, "✓") {
		t.Errorf("a job that is done at once is answered with %+v", first)
	}
	for range 3 {
		var again weChatAnswer
		w.far.Ask("again", map[string]any{"id": first.ID}, &again)
		if again.Passive != first.Passive {
			t.Errorf("the message came again and was answered with %+v", again)
		}
	}
	if all := w.posts("oAda"); len(all) != 2 {
		t.Errorf("Ada got %+v", all)
	}

	// A click in the menu and a voice are commands.
	var menu, voice weChatAnswer
	w.far.Ask("event", map[string]any{"user": "oMenu", "event": "CLICK", "key": agentName + " run now menu"}, &menu)
	w.far.Ask("say", map[string]any{"user": "oVoice", "kind": "voice", "text": agentName + " run now voice"}, &voice)
	if !strings.Contains(menu.Passive, "done menu") || !strings.Contains(voice.Passive, "done voice") {
		t.Errorf("a click is answered with %+v, a voice with %+v", menu, voice)
	}

	// What takes longer is acknowledged, and its result comes later.
	slow := w.say("oGrace", agentName+" run wait slow")
	if slow.Body != "success" || slow.MS < 3000 {
		t.Errorf("a job that takes long is answered with %+v", slow)
	}
	w.release("slow")
	if p := w.tells("oGrace", "done slow"); p.Passive {
		t.Errorf("the result came as %+v", p)
	}

	w.late(4)

	// Long output says where all of it is.
	w.say("oLong", agentName+" run long long")
	if p := w.tells("oLong", "done long", "`output "); len(p.Text) > 2048 {
		t.Errorf("a text has %d bytes", len(p.Text))
	}

	for _, how := range []string{"word", "stale", "receiver", "unsigned", "changed", "plain", "downgraded"} {
		var a weChatAnswer
		w.far.Ask("say", map[string]any{"user": "oAda", "text": agentName + " run now forged", "forged": how}, &a)
		if a.Status < 400 || a.Status >= 500 {
			t.Errorf("%s: it is answered with %+v", how, a)
		}
	}
	for _, j := range w.settled(6) {
		if strings.Contains(j.Message, "forged") {
			t.Errorf("a forged message made %+v", j)
		}
	}
	if s := w.state(); s.Tokens != 1 {
		t.Errorf("the far side says %+v", s)
	}
}

// late has a job end when nothing can be said to the asker any more: its result
// comes with the next message. There are so many jobs before.
func (w *weChat) late(before int) {
	w.t.Helper()
	w.say("oEve", agentName+" run wait late")
	w.far.Ask("shut", map[string]any{"user": "oEve"}, nil)
	seen := len(w.posts("oEve"))
	w.release("late")
	jobs := w.settled(before + 1)
	programs.Eventually(w.t, "the result to be refused", func(context.Context) error {
		if s := w.state(); s.Refused["45015"] == 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if all := w.posts("oEve"); len(all) != seen {
		w.t.Errorf("Eve got %+v", all)
	}
	var code string
	for _, j := range jobs {
		if strings.Contains(j.Message, "late") {
			code = j.Code
		}
	}
	w.say("oEve", "job "+strings.TrimPrefix(code, "#"))
	programs.Eventually(w.t, "both answers", func(context.Context) error {
		var results, shown int
		for _, p := range w.posts("oEve") {
			if strings.Contains(p.Text, "done late") {
				results++
			}
			if strings.Contains(p.Text, strings.TrimPrefix(code, "#")) {
				shown++
			}
		}
		if results == 0 || shown < 2 {
			return fmt.Errorf("Eve got %+v", w.posts("oEve"))
		}
		return nil
	})
}

// TestWeChatMessagesAreCounted has people send encrypted messages, of which one
// in ten comes four times and one in ten is forged. In the middle the token runs
// out, and the server is killed and started again. SKADI_TEST_MESSAGES says how
// many.
func TestWeChatMessagesAreCounted(t *testing.T) {
	t.Parallel()
	messages := 200
	if n, err := strconv.Atoi(os.Getenv("SKADI_TEST_MESSAGES")); err == nil {
		messages = n
	}
	w := newWeChat(t)
	began := time.Now()
	var f struct{ Taken, Lost, Again, Forged, Believed, MS int }
	done := make(chan error, 1)
	go func() {
		done <- w.far.TryAsk(t.Context(), "flood", map[string]any{
			"text": agentName + " run now", "messages": messages, "rate": 100, "people": max(messages/2, 10),
		}, &f)
	}()
	programs.Eventually(t, "half of the messages to be taken", func(context.Context) error {
		if s := w.state(); s.Taken < messages/2 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	w.server.Kill()
	w.startServer()
	select {
	case err := <-done:
		programs.Must(t, err)
	case <-time.After(10 * programs.Patience):
		t.Fatal("the messages are not delivered")
	}
	if f.Taken != messages || f.Lost != 0 || f.Again != messages/10*3 || f.Forged != messages/10 || f.Believed != 0 {
		t.Errorf("the far side says %+v", f)
	}
	for _, j := range w.settled(messages) {
		if strings.Contains(j.Message, "forged") {
			t.Errorf("a forged message made %+v", j)
		}
	}
	// A message on its way when the server was killed may be told again.
	var posts []weChatPost
	told := map[string]int{}
	for last := time.Now(); len(told) < messages; programs.Pause(t.Context(), 200*time.Millisecond) {
		before := len(told)
		posts = w.posts("")
		clear(told)
		for _, p := range posts {
			if _, key, ok := strings.Cut(p.Text, "done "); ok {
				told[key]++
			}
		}
		if len(told) > before {
			last = time.Now()
		}
		if time.Since(last) > 2*programs.Patience {
			t.Fatalf("%d of %d results were told", len(told), messages)
		}
	}
	passive, again := 0, 0
	for _, p := range posts {
		if p.Passive {
			passive++
		}
	}
	for n := range messages {
		key := fmt.Sprintf("m%d", n)
		if told[key] < 1 {
			t.Errorf("the result of %s was not told", key)
		}
		again += told[key] - 1
	}
	if again > 16 { // as many as a replier has on their way
		t.Errorf("%d results were told again", again)
	}
	s := w.state()
	// The test spent the first. It is renewed once, if anything had to be told
	// after it: what is told within its call needs none.
	renewed := min(len(s.Refused), 1)
	if s.Tokens != 2+renewed {
		t.Errorf("the far side says %+v", s)
	}
	t.Logf("%d callbacks taken in %.1f s with a server killed among them, %d delivered again, %d forged; all told after %.1f s by %d messages, %d of them within their call and %d a second time; tokens %d, refused %v",
		f.Taken, float64(f.MS)/1000, f.Again, f.Forged, time.Since(began).Seconds(), len(posts), passive, again, s.Tokens, s.Refused)
}
