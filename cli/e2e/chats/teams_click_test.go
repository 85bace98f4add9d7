//go:build unix

package chats

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// clickOn clicks on a button, as often as times says at once, and returns the
// typed answers, which have the status.
func (tm *teams) clickOn(t *testing.T, where teamsPlace, who teamsPerson, card teamsPost, title string, times int) {
	t.Helper()
	var answers []teamsAnswer
	programs.Must(t, tm.far.TryAsk(t.Context(), "click", map[string]any{
		"where": where, "who": who, "card": card.ID, "title": title, "times": times,
	}, &answers))
	for _, a := range answers {
		if value := invoked(t, a, 200, "application/vnd.microsoft.activity.message"); value == "" || value == "null" {
			t.Errorf("a click on %s was answered with %s", title, a.Body)
		}
	}
}

// invoked checks the answer to an invoke and returns its value as JSON.
func invoked(t *testing.T, a teamsAnswer, status int, kind string) string {
	t.Helper()
	var body struct {
		StatusCode int             `json:"statusCode"`
		Type       string          `json:"type"`
		Value      json.RawMessage `json:"value"`
	}
	err := json.Unmarshal([]byte(a.Body), &body)
	if err != nil || a.Status != 200 || body.StatusCode != status || body.Type != kind {
		t.Errorf("the invoke was answered with %d %s (%v), want %d %s", a.Status, a.Body, err, status, kind)
	}
	return string(body.Value)
}

// clickCancel has somebody click who may not, and then who may, twice at once.
func clickCancel(t *testing.T, tm *teams) {
	thread := channelThread(10)
	tm.say(t, thread, ada, agentName+" run wait canceled")
	card := tm.sees(t, thread, "waiting canceled")
	tm.clickOn(t, thread, eve, card, "Cancel", 1)
	programs.Eventually(t, "the refusal", func(context.Context) error {
		if posts := tm.posts(t, thread); len(posts) != 2 {
			return fmt.Errorf("the bot said %+v", posts)
		}
		return nil
	})
	if p := tm.posts(t, thread)[1]; !strings.Contains(p.Text, "cancel") {
		t.Errorf("the refusal is %+v", p)
	}
	if j := tm.awaitJob(t, "canceled", "sent"); j.CancelRequestedAt != nil {
		t.Errorf("a cancel was asked by somebody who may not: %+v", j)
	}
	tm.clickOn(t, thread, ada, card, "Cancel", 2)
	if final := tm.sees(t, thread, "Canceled", "run wait canceled"); final.ID != card.ID {
		t.Errorf("the final card is %+v, want that of %+v", final, card)
	}
	tm.awaitJob(t, "canceled", "canceled")
}

// clickRunAgain has a double click make one job with a card of its own.
func clickRunAgain(t *testing.T, tm *teams) {
	thread := channelThread(11)
	tm.say(t, thread, ada, agentName+" run now twice")
	card := tm.sees(t, thread, "done twice", "Succeeded")
	tm.clickOn(t, thread, eve, card, "Run again", 1)
	tm.clickOn(t, thread, grace, card, "Run again", 3)
	programs.Eventually(t, "the second card", func(context.Context) error {
		n := 0
		for _, p := range tm.posts(t, thread) {
			if p.Card && has(p.Text, []string{"done twice", "Succeeded"}) {
				n++
			}
		}
		if n != 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	// Another click on the old card, later, is the same click.
	tm.clickOn(t, thread, grace, card, "Run again", 1)
	tm.say(t, thread, ada, agentName+" run now after-twice")
	tm.sees(t, thread, "done after-twice", "Succeeded")
	jobs := tm.jobsOf(t, "twice")
	if len(jobs) != 2 || !strings.Contains(jobs[0].Sender.ID+jobs[1].Sender.ID, grace.Object) {
		t.Errorf("there are the jobs %+v", jobs)
	}
	cards, refusals := 0, 0
	for _, p := range tm.posts(t, thread) {
		if p.Card {
			cards++
		} else {
			refusals++
		}
	}
	if cards != 3 || refusals != 1 {
		t.Errorf("the thread has %d cards and %d texts: %+v", cards, refusals, tm.posts(t, thread))
	}
}

// clickShowOutput has all of a long output shown in pages.
func clickShowOutput(t *testing.T, tm *teams) {
	thread := channelThread(12)
	tm.say(t, thread, ada, agentName+" run long long")
	card := tm.sees(t, thread, "done long", "Succeeded")
	if strings.Contains(card.Text, "line 0 of long") || !strings.Contains(card.Text, "line 1999 of long") {
		t.Errorf("the card does not have the end of the output: %s", card.Text)
	}
	tm.clickOn(t, thread, eve, card, "Show output", 1)
	tm.sees(t, thread, "line 0 of long", "line 1 of long")
}

// otherClicks are those that nothing comes of.
func otherClicks(t *testing.T, tm *teams) {
	thread := channelThread(13)
	tm.say(t, thread, ada, agentName+" run now clicked")
	card := tm.sees(t, thread, "done clicked", "Succeeded")
	invoke := func(name string, value any) (a teamsAnswer) {
		t.Helper()
		programs.Must(t, tm.far.TryAsk(t.Context(), "invoke", map[string]any{"where": thread, "who": ada, "name": name, "value": value}, &a))
		return a
	}
	if a := invoke("composeExtension/query", map[string]any{}); a.Status != 501 {
		t.Errorf("an invoke of another kind: %d %s", a.Status, a.Body)
	}
	unknown := map[string]any{"action": map[string]any{"type": "Action.Execute", "verb": "explode", "data": map[string]any{}}, "trigger": "manual"}
	invoked(t, invoke("adaptiveCard/action", unknown), 400, "application/vnd.microsoft.error")
	// Whoever looks at a card has clients ask for a new one, by themselves.
	var answers []teamsAnswer
	programs.Must(t, tm.far.TryAsk(t.Context(), "click", map[string]any{
		"where": thread, "who": ada, "card": card.ID, "title": "Run again", "trigger": "automatic",
	}, &answers))
	tm.say(t, thread, ada, agentName+" run now after-clicked")
	tm.sees(t, thread, "done after-clicked", "Succeeded")
	if posts, jobs := tm.posts(t, thread), tm.jobsOf(t, "clicked"); len(posts) != 2 || len(jobs) != 1 {
		t.Errorf("there are %+v and the jobs %+v", posts, jobs)
	}
}
