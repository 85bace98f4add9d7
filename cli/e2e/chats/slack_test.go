//go:build unix

package chats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// slackApp is an app that is installed in the workspace: an account of Skadi's.
type slackApp struct {
	name          string // of the account
	BotToken      string `json:"bot_token"`
	AppToken      string `json:"app_token,omitempty"`
	SigningSecret string `json:"signing_secret,omitempty"`
	URL           string `json:"url,omitempty"` // where its callbacks go
	Team          string `json:"team"`
	AppID         string `json:"app_id"`
	BotUser       string `json:"bot_user"`
	Revoked       bool   `json:"revoked,omitempty"`
}

// slackMessage is a message of the workspace, as a person sees it.
type slackMessage struct {
	TS, Thread, Text string
	Words            string   // all of it
	Before           []string // what was there before each edit
	Buttons, Files   []string
	Reactions        []string // that are there now
	Reacted          []string // that were ever there
}

// has returns an error unless all of the words are in the message.
func (m slackMessage) has(words ...string) error {
	for _, w := range words {
		if !strings.Contains(m.Words, w) {
			return fmt.Errorf("%q is not in %q", w, m.Words)
		}
	}
	return nil
}

// slackThread is a message and what a bot said in its thread.
type slackThread struct {
	Asked slackMessage
	Told  []slackMessage
}

// slackSite is a site with an account in a Slack workspace of its own. Who
// writes is U1, unless a test says otherwise.
type slackSite struct {
	*site
	far *programs.Far
	app slackApp
}

// newSlackSite starts a workspace, and prepares a site with one account per
// mode. The first is the site's.
func newSlackSite(t *testing.T, modes ...string) *slackSite {
	t.Helper()
	f := programs.StartFar(t, install(t, "slack"), "slack.js")
	var adapters strings.Builder
	var apps []slackApp
	for i, mode := range modes {
		app := slackApp{
			name: fmt.Sprintf("slack-%d", i), BotToken: fmt.Sprintf("xoxb-%d-hunter2", i), Team: "T0001",
			AppID: fmt.Sprintf("A000%d", i), BotUser: fmt.Sprintf("UBOT%d", i), Revoked: strings.HasSuffix(mode, " revoked"),
		}
		mode = strings.TrimSuffix(mode, " revoked")
		fmt.Fprintf(&adapters, "  - {name: %s, kind: slack, mode: %s, bot_token: %s, api_url: '%s/api/', ", app.name, mode, app.BotToken, f.URL)
		if mode == "socket" {
			app.AppToken = "xapp-1-" + app.AppID + "-hunter2"
			fmt.Fprintf(&adapters, "app_token: %s}\n", app.AppToken)
		} else {
			app.SigningSecret = "signing-hunter2"
			fmt.Fprintf(&adapters, "signing_secret: %s}\n", app.SigningSecret)
		}
		apps = append(apps, app)
	}
	s := &slackSite{far: f, site: newSite(t, adapters.String(), "[{who: ['slack-0:*', 'slack-1:*'], agents: ['*'], may: ['run * *'], see: true}]")}
	for i := range apps {
		if apps[i].AppToken == "" {
			apps[i].URL = "http://" + s.addr + "/adapters/" + apps[i].name
		}
		f.Ask("install", apps[i], nil)
	}
	s.app = apps[0]
	t.Cleanup(func() {
		if log := s.server.Printed() + s.agentd.Printed(); strings.Contains(log, "hunter2") || strings.Contains(log, "/response/") {
			t.Error("a secret is in a log")
		}
	})
	return s
}

// start starts all, and waits until Slack can reach the account.
func (s *slackSite) start() {
	s.t.Helper()
	s.site.start()
	s.connected(1)
}

// connected waits until the account has so many connections, in mode socket.
func (s *slackSite) connected(want int) {
	s.t.Helper()
	if s.app.AppToken == "" {
		return
	}
	programs.Eventually(s.t, "a connection of Socket Mode", func(ctx context.Context) error {
		var n int
		if err := s.far.TryAsk(ctx, "connections", map[string]any{"app": s.app.BotToken}, &n); err != nil || n >= want {
			return err
		}
		return fmt.Errorf("there are %d", n)
	})
}

// said is a message that somebody wrote.
type said struct {
	Channel string
	TS      string
	EventID string `json:"event_id"`
}

// mention has somebody mention the bot in a channel; it was acknowledged when
// this returns.
func (s *slackSite) mention(channel, text string) said {
	s.t.Helper()
	return s.say(channel, "<@"+s.app.BotUser+"> "+text)
}

func (s *slackSite) say(channel, text string) said {
	s.t.Helper()
	one := said{Channel: channel}
	s.far.Ask("say", map[string]any{"app": s.app.BotToken, "channel": channel, "user": "U1", "text": text}, &one)
	return one
}

// thread returns what stands in the thread of a message.
func (s *slackSite) thread(one said) slackThread {
	s.t.Helper()
	var got slackThread
	s.far.Ask("thread", map[string]any{"channel": one.Channel, "ts": one.TS}, &got)
	return got
}

// tells waits until the newest message in the thread that is no file has all of
// the words, and returns it. Nobody but the bot writes there.
func (s *slackSite) tells(one said, words ...string) slackMessage {
	s.t.Helper()
	var m slackMessage
	programs.Eventually(s.t, fmt.Sprintf("an answer with %q", words), func(context.Context) error {
		all := slices.DeleteFunc(s.thread(one).Told, func(m slackMessage) bool { return len(m.Files) > 0 })
		if len(all) == 0 {
			return errors.New("there is none")
		}
		m = all[len(all)-1]
		return m.has(words...)
	})
	return m
}

// runsLive has a job run that waits for the test, and follows its message.
func (s *slackSite) runsLive(one said, key string) {
	s.t.Helper()
	live := s.tells(one, "web-1", "run wait "+key, "Running", "waiting "+key)
	if len(live.Before) == 0 || !slices.Contains(live.Buttons, "Cancel") {
		s.t.Errorf("live output did not come by an edit, or it cannot be canceled: %+v", live)
	}
	s.release(key)
	last := s.tells(one, "Succeeded", "waiting "+key, "done "+key)
	if last.TS != live.TS || len(s.thread(one).Told) != 1 || !slices.Equal(last.Buttons, []string{"Run again"}) {
		s.t.Errorf("the end is not an edit of the one message in the thread: %+v", s.thread(one))
	}
	programs.Eventually(s.t, "the reaction", func(context.Context) error {
		asked := s.thread(one).Asked
		if !slices.Equal(asked.Reactions, []string{"white_check_mark"}) || len(asked.Reacted) < 2 {
			return fmt.Errorf("%v, ever: %v", asked.Reactions, asked.Reacted)
		}
		return nil
	})
}

func TestSlack(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"socket", "http"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newSlackSite(t, mode)
			s.start()
			one := s.mention("C1", "web-1 run wait first")
			s.runsLive(one, "first")
			if jobs := s.settled(1); jobs[0].Sender.ID != "T0001/U1" {
				t.Errorf("the sender is %+v", jobs[0].Sender)
			}

			// Slack delivers it again, also to the next process.
			s.again(one, 1, "timeout")
			s.again(one, 2, "http_error")
			s.server.Kill()
			s.startServer()
			s.connected(1)
			s.again(one, 3, "timeout")

			s.online()
			s.tells(s.mention("C1", "web-1 run fail second"), "Failed", "exit code 1", "done second")

			// What is too long for a message comes as a file too.
			long := s.mention("C2", "web-1 run long third")
			s.tells(long, "Succeeded", "line 1999 of third", "done third")
			programs.Eventually(t, "the whole output as a file", func(context.Context) error {
				for _, m := range s.thread(long).Told {
					if len(m.Files) == 1 && strings.HasPrefix(m.Files[0], "line 0 of third\n") && strings.HasSuffix(m.Files[0], "done third\n") {
						return nil
					}
				}
				return fmt.Errorf("%d messages, none with it", len(s.thread(long).Told))
			})
			s.settled(3)
		})
	}
}

// again has Slack deliver a message again, which must acknowledge it.
func (s *slackSite) again(one said, num int, reason string) {
	s.t.Helper()
	var answer struct{ Taken bool }
	s.far.Ask("again", map[string]any{"event_id": one.EventID, "num": num, "reason": reason}, &answer)
	if !answer.Taken {
		s.t.Errorf("the redelivery %d of %s was not acknowledged", num, one.EventID)
	}
}
