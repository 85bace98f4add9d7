//go:build unix

package chats

import (
	"context"
	"fmt"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// teamsPlaces are conversations of all kinds.
func teamsPlaces() []teamsPlace {
	return []teamsPlace{
		chatWith(ada), {Type: "groupChat", ID: "19:abc_def@thread.v2"}, channelThread(1), channelThread(2),
	}
}

// answered waits until each place has the results of its keys, and checks that
// it has one card for each, and that the first is a reply to the message asked.
func (tm *teams) answered(asked map[string]string, keys map[string]teamsPlace) {
	tm.t.Helper()
	cards := map[string]int{}
	for key, where := range keys {
		card := tm.sees(tm.t, where, "done "+key, "Succeeded")
		if card.ReplyTo != asked[key] {
			tm.t.Errorf("the card of %s answers %s, want %s", key, card.ReplyTo, asked[key])
		}
		cards[where.conversation()]++
	}
	for _, where := range keys {
		if posts := tm.posts(tm.t, where); len(posts) != cards[where.conversation()] {
			tm.t.Errorf("%d messages in %s, want %d: %+v", len(posts), where.conversation(), cards[where.conversation()], posts)
		}
	}
}

// ask says one message everywhere, each with a key that begins with word.
func (tm *teams) ask(word string, asked map[string]string, keys map[string]teamsPlace) {
	tm.t.Helper()
	for i, where := range teamsPlaces() {
		key := fmt.Sprintf("%s-%d", word, i)
		asked[key], keys[key] = tm.say(tm.t, where, ada, agentName+" run now "+key), where
	}
}

// TestTeamsServerIsKilled kills the server after it has acknowledged messages
// and before it could answer, and then while a job runs. Every answer comes to
// where it was asked, after the restart.
func TestTeamsServerIsKilled(t *testing.T) {
	t.Parallel()
	tm := newTeams(t)
	asked, keys := map[string]string{}, map[string]teamsPlace{}
	long := teamsPlace{Type: "channel", ID: "19:ops_channel@thread.tacv2", Thread: "1700000700000"}
	tm.say(t, long, grace, agentName+" run wait long-lived")
	card := tm.sees(t, long, "waiting long-lived")

	tm.far.Ask("hold", nil, nil)
	tm.ask("killed", asked, keys)
	programs.Eventually(t, "the server to be about to answer", func(context.Context) error {
		if tm.state(t).Held == 0 {
			return fmt.Errorf("it does not call")
		}
		return nil
	})
	tm.server.Kill()
	tm.far.Ask("drop", nil, nil)
	tm.release("long-lived") // agentd keeps the result until somebody takes it
	for _, where := range teamsPlaces() {
		if posts := tm.posts(t, where); len(posts) != 0 {
			t.Fatalf("it answered before it was killed: %+v", posts)
		}
	}
	tm.startServer()
	tm.answered(asked, keys)
	final := tm.sees(t, long, "done long-lived", "Succeeded")
	if posts := tm.posts(t, long); len(posts) != 1 || final.ID != card.ID {
		t.Errorf("the thread of the job that ran has %+v", posts)
	}
	tm.settled(len(keys) + 1)
	tm.clean(t)
}

// TestTeamsHasTrouble has the Bot Connector refuse calls, break connections, and
// be away. Every answer arrives at last, and once.
func TestTeamsHasTrouble(t *testing.T) {
	t.Parallel()
	tm := newTeams(t)
	asked, keys := map[string]string{}, map[string]teamsPlace{}
	fault := func(status, times, retryAfter int) {
		t.Helper()
		tm.far.Ask("fail", map[string]any{"status": status, "times": times, "retry_after": retryAfter}, nil)
	}

	fault(429, 4, 6) // longer than Skadi waits by itself
	tm.ask("limited", asked, keys)
	tm.answered(asked, keys)
	fault(412, 2, 0)
	fault(0, 2, 0)
	fault(502, 1, 0)
	tm.ask("flaky", asked, keys)
	tm.answered(asked, keys)
	tm.far.Ask("revoke", nil, nil)
	tm.ask("revoked", asked, keys)
	tm.answered(asked, keys)

	// Away altogether, while people go on to write and jobs to run.
	fault(503, 0, 0)
	for i := range 3 {
		tm.ask(fmt.Sprintf("away-%d", i), asked, keys)
	}
	tm.settled(len(keys))
	programs.Eventually(t, "every conversation to be tried again", func(context.Context) error {
		if s := tm.state(t); s.Faulted["503"] <= 2*len(teamsPlaces()) {
			return fmt.Errorf("%d calls", s.Faulted["503"])
		}
		return nil
	})
	tm.far.Ask("heal", nil, nil)
	tm.answered(asked, keys)

	s := tm.state(t)
	if s.Faulted["429"] != 4 || s.Faulted["412"] != 2 || s.Faulted["0"] != 2 || s.Faulted["502"] != 1 || s.Faulted["401"] == 0 || s.Granted != 2 {
		t.Errorf("calls failed like this: %v, and %d tokens were granted", s.Faulted, s.Granted)
	}
	tm.clean(t)
}
