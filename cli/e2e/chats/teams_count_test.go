//go:build unix

package chats

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// teamsFlood is what the far side has delivered.
type teamsFlood struct {
	Statuses map[int]int `json:"statuses"`
	Again    int         `json:"again"`
	Sent     []struct {
		Key          string `json:"key"`
		ID           string `json:"id"`
		Conversation string `json:"conversation"`
	} `json:"sent"`
	// In seconds: until the last was sent, until the last was answered, and
	// the longest that a call waited for its answer.
	Offered float64 `json:"offered"`
	Taken   float64 `json:"taken"`
	Slowest float64 `json:"slowest"`
}

// TestTeamsMessagesAreCounted has 500 messages a second come, and every tenth
// again: each makes one job, and each job is answered in its thread by one card.
// SKADI_TEST_MESSAGES says how many.
func TestTeamsMessagesAreCounted(t *testing.T) {
	messages := 500
	if n, err := strconv.Atoi(os.Getenv("SKADI_TEST_MESSAGES")); err == nil {
		messages = n
	}
	tm := newTeams(t)
	began := time.Now()
	var f teamsFlood
	tm.far.Ask("flood", map[string]any{
		"where": teamsPlace{Type: "channel", ID: "19:busy_channel@thread.tacv2"}, "who": ada, "text": agentName + " run now",
		"messages": messages, "rate": 500, "threads": max(messages/5, 1), "every": 10,
	}, &f)
	if all := messages + f.Again; len(f.Sent) != messages || f.Statuses[200] != all {
		t.Errorf("%d messages and %d of them again were answered so: %v", len(f.Sent), f.Again, f.Statuses)
	}
	tm.awaitDone(t, messages)
	told := time.Since(began)
	tm.settled(messages)

	var posts []teamsPost
	tm.far.Ask("posts", nil, &posts)
	if len(posts) != messages {
		t.Errorf("the bot said %d messages, want %d", len(posts), messages)
	}
	byAsked := map[string][]teamsPost{}
	edits := 0
	for _, p := range posts {
		id := p.Conversation + " " + p.ReplyTo
		byAsked[id] = append(byAsked[id], p)
		edits += len(p.Versions) - 1
	}
	wrong := 0
	for _, m := range f.Sent {
		cards := byAsked[m.Conversation+" "+m.ID]
		if len(cards) != 1 || !has(cards[0].Text+"\n", []string{"done " + m.Key + "\n", "Succeeded"}) {
			if wrong++; wrong <= 5 {
				t.Errorf("%s in %s was answered by %+v", m.Key, m.Conversation, cards)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d messages were not answered as they should be", wrong, messages)
	}
	tm.clean(t)
	t.Logf("%d messages, %d of them again: offered in %.1f s, taken in %.1f s, none waited over %.2f s; all told after %.1f s by as many cards and %d edits",
		messages, f.Again, f.Offered, f.Taken, f.Slowest, told.Seconds(), edits)
}

// awaitDone waits until so many cards have a result. It gives up when there is
// no new one for long.
func (tm *teams) awaitDone(t *testing.T, want int) {
	t.Helper()
	for done, last := 0, time.Now(); done < want; {
		programs.Pause(t.Context(), 50*time.Millisecond)
		s := tm.state(t)
		if s.Done > done {
			done, last = s.Done, time.Now()
		}
		if time.Since(last) > programs.Patience || t.Context().Err() != nil {
			t.Fatalf("%d of %d messages were answered, and no more are", done, want)
		}
	}
}
