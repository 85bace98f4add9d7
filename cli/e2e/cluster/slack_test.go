//go:build linux

package cluster

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// slackSecret is the signing secret of all apps in the workspace.
const slackSecret = "signing-hunter2"

// farside is the program that plays Slack.
const farside = "../chats/farside/slack"

// workspace is the far side of Slack, of the tests in package chats.
type workspace struct {
	*programs.Far
	t      *testing.T
	floods sync.WaitGroup
}

// newWorkspace starts a workspace. It takes any number of edits, since by
// Slack's limit of some 50 a minute it would take hours until all jobs are told.
func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "slack")
	throwaway.NPM(t, farside, dir)
	w := &workspace{Far: programs.StartFar(t, dir, "slack.js"), t: t}
	w.Ask("lift", map[string]any{"methods": []string{"chat.update"}}, nil)
	return w
}

// install gives the app of an account a token. Its callbacks go to a URL.
func (w *workspace) install(account, token, url string) {
	w.t.Helper()
	w.Ask("install", map[string]string{
		"bot_token": token, "signing_secret": slackSecret, "url": url,
		"team": "T0001", "app_id": "A" + account, "bot_user": botOf(account),
	}, nil)
}

func botOf(account string) string { return "UBOT" + account[strings.LastIndexByte(account, '-')+1:] }

// flood begins to have so many messages a second written, half of them to each
// account, for a time.
func (w *workspace) flood(perSec int, lasts time.Duration) {
	w.t.Helper()
	rate := float64(perSec) / float64(len(soakAccounts))
	for i, account := range soakAccounts {
		w.floods.Go(func() {
			err := w.TryAsk(w.t.Context(), "flood", map[string]any{
				"app": "xoxb-" + account + first(i), "count": int(rate * lasts.Seconds()), "rate": rate, "channels": soakChannels, "again": 0.05,
				"text": fmt.Sprintf("<@%s> web-%d run s%d-%%d", botOf(account), 1+i, i),
			}, nil)
			if err != nil {
				w.t.Error(err)
			}
		})
	}
}

// first is what the first token of an account ends with.
func first(i int) string {
	if i == len(soakAccounts)-1 {
		return "-0"
	}
	return ""
}

// flooded waits until all messages were acknowledged. Slack tries again after a
// minute and after five.
func (w *workspace) flooded() { w.floods.Wait() }

func (w *workspace) counts() (counts map[string]int) {
	w.t.Helper()
	w.Ask("counts", nil, &counts)
	return counts
}

// asked is a message that somebody wrote, with what was said in its thread.
type asked struct {
	Text string
	Told []struct {
		Words       string
		Edits, Ends int
	}
}

func (w *workspace) asked() (all []asked, loose int) {
	w.t.Helper()
	var got struct {
		Asked []asked
		Loose int
	}
	w.Ask("asked", nil, &got)
	return got.Asked, got.Loose
}
