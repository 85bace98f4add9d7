//go:build unix

package chats

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// TestTeams drives one server from many conversations.
func TestTeams(t *testing.T) {
	t.Parallel()
	tm := newTeams(t)
	finish := longJob(t, tm)
	t.Run("together", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *teams){
			"a thread of a channel": inAThread, "a chat": inAChat, "a group chat": inAGroupChat, "delivered again": deliveredAgain,
			"edited": edited, "added": added, "Cancel": clickCancel, "Run again": clickRunAgain, "Show output": clickShowOutput,
			"other clicks": otherClicks, "forged": forged,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, tm)
			})
		}
	})
	finish()
	tm.clean(t)
	if s := tm.state(t); s.Granted != 1 {
		t.Errorf("the bot asked %d times for a token", s.Granted)
	}
}

// longJob begins a job, and finish ends it after more than 30 seconds. Since
// nobody is told of an edit, its asker is then notified by a message of its own.
func longJob(t *testing.T, tm *teams) (finish func()) {
	t.Helper()
	thread := channelThread(30)
	tm.say(t, thread, grace, agentName+" run wait patient")
	card := tm.sees(t, thread, "waiting patient")
	return func() {
		began := tm.awaitJob(t, "patient", "sent").CreatedAt
		programs.Pause(t.Context(), time.Until(began.Add(31*time.Second)))
		tm.release("patient")
		programs.Eventually(t, "the asker to be notified", func(context.Context) error {
			posts := tm.posts(t, thread)
			if len(posts) != 2 || !slices.Contains(posts[1].Mentions, "29:1"+strings.ReplaceAll(grace.Object, "-", "_")) {
				return fmt.Errorf("the thread has %+v", posts)
			}
			return nil
		})
		posts := tm.posts(t, thread)
		if posts[0].ID != card.ID || !has(posts[0].Text, []string{"done patient", "Succeeded"}) ||
			!has(posts[1].Text, []string{"<at>Grace Hopper</at>", "run wait patient"}) {
			t.Errorf("the thread has %+v", posts)
		}
	}
}

// inAThread follows one job by the one card that it has in its thread.
func inAThread(t *testing.T, tm *teams) {
	thread := channelThread(1)
	asked := tm.say(t, thread, ada, agentName+" run wait threaded")
	card := tm.sees(t, thread, "waiting threaded")
	if card.ReplyTo != asked || !card.Card || !strings.Contains(card.Text, "Ada Lovelace") || !strings.Contains(card.Text, "Running") {
		t.Errorf("the live card is %+v, and answers %s", card, asked)
	}
	if b := card.buttons(); !slices.Equal(b, []string{"Cancel"}) {
		t.Errorf("the live card has the buttons %q", b)
	}
	tm.release("threaded")
	final := tm.sees(t, thread, "done threaded", "Succeeded")
	posts := tm.posts(t, thread)
	if len(posts) != 1 || final.ID != card.ID || strings.Contains(final.Summary, "Running") {
		t.Errorf("the thread has %+v", posts)
	}
	if slices.Contains(final.buttons(), "Cancel") || !slices.Contains(final.buttons(), "Run again") {
		t.Errorf("the final card has the buttons %q", final.buttons())
	}
	if other := tm.posts(t, teamsPlace{ID: thread.ID}); len(other) != 0 {
		t.Errorf("the channel itself has %+v", other)
	}
	tm.awaitJob(t, "threaded", "succeeded")
}

func inAChat(t *testing.T, tm *teams) {
	chat := chatWith(ada)
	asked := tm.say(t, chat, ada, agentName+" run fail chatted")
	card := tm.sees(t, chat, "done chatted", "Failed", "exit 1")
	if posts := tm.posts(t, chat); len(posts) != 1 || card.ReplyTo != asked {
		t.Errorf("the chat has %+v", posts)
	}
	j := tm.awaitJob(t, "chatted", "failed")
	if want := teamsTenant + "/" + ada.Object; !strings.Contains(j.Sender.ID, ada.Object) || j.Sender.Adapter != "work-teams" {
		t.Errorf("the sender is %+v, want %s", j.Sender, want)
	}
	// Who may not run is told so, by name, with nothing that could be markup.
	chat = chatWith(eve)
	tm.say(t, chat, eve, agentName+" run now forbidden")
	programs.Eventually(t, "the refusal", func(context.Context) error {
		if len(tm.posts(t, chat)) != 1 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	if p := tm.posts(t, chat)[0]; p.Card || strings.Contains(p.Text, "<b>") {
		t.Errorf("the refusal is %+v", p)
	}
	if jobs := tm.jobsOf(t, "forbidden"); len(jobs) != 0 {
		t.Errorf("there are %+v", jobs)
	}
}

func inAGroupChat(t *testing.T, tm *teams) {
	group := teamsPlace{Type: "groupChat", ID: "19:abc_def@thread.v2"}
	tm.say(t, group, grace, agentName+" run wait grouped")
	tm.sees(t, group, "waiting grouped")
	if s := tm.state(t); !slices.Contains(s.Typing, group.ID) {
		t.Errorf("typing was shown in %q", s.Typing)
	}
	tm.release("grouped")
	tm.sees(t, group, "done grouped", "Succeeded")
	if posts := tm.posts(t, group); len(posts) != 1 {
		t.Errorf("the group chat has %+v", posts)
	}
}

// deliveredAgain has Teams deliver a message more than once, also after its job
// has ended.
func deliveredAgain(t *testing.T, tm *teams) {
	thread := channelThread(2)
	id := tm.say(t, thread, ada, agentName+" run now again")
	again := func() {
		t.Helper()
		for range 3 {
			var a teamsAnswer
			programs.Must(t, tm.far.TryAsk(t.Context(), "again", map[string]any{"id": id}, &a))
			if a.Status != 200 {
				t.Errorf("the bot answers %d %s", a.Status, a.Body)
			}
		}
	}
	again()
	tm.sees(t, thread, "done again", "Succeeded")
	again()
	// What comes after it in the thread is told after it.
	tm.say(t, thread, ada, agentName+" run now after-again")
	tm.sees(t, thread, "done after-again", "Succeeded")
	if posts, jobs := tm.posts(t, thread), tm.jobsOf(t, "again"); len(posts) != 2 || len(jobs) != 1 {
		t.Errorf("there are %+v and the jobs %+v", posts, jobs)
	}
}

func edited(t *testing.T, tm *teams) {
	thread := channelThread(3)
	id := tm.say(t, thread, ada, agentName+" run now unedited")
	var a teamsAnswer
	programs.Must(t, tm.far.TryAsk(t.Context(), "edit", map[string]any{"id": id, "text": agentName + " run now edited"}, &a))
	if a.Status != 200 {
		t.Errorf("the bot answers an edit with %d %s", a.Status, a.Body)
	}
	tm.sees(t, thread, "done unedited", "Succeeded")
	if jobs := tm.jobsOf(t, "edited"); len(jobs) != 0 {
		t.Errorf("the edit made %+v", jobs)
	}
}

// added has the bot added to a chat and to a team. Teams says each twice, and
// once more when it is added again.
func added(t *testing.T, tm *teams) {
	for _, where := range []teamsPlace{chatWith(grace), {Type: "channel", ID: "19:general@thread.tacv2"}} {
		joined := map[string]any{"where": where, "who": grace}
		for range 2 {
			var answers []teamsAnswer
			programs.Must(t, tm.far.TryAsk(t.Context(), "join", joined, &answers))
			for _, a := range answers {
				if a.Status != 200 {
					t.Errorf("the bot answers %d %s", a.Status, a.Body)
				}
			}
		}
		programs.Must(t, tm.far.TryAsk(t.Context(), "arrive", joined, nil))
		tm.sees(t, where, "help")
		if where.Type == "personal" {
			tm.say(t, where, grace, agentName+" run now greeted")
			tm.sees(t, where, "done greeted", "Succeeded")
		} else {
			tm.say(t, where, grace, agentName+" run now welcomed")
			tm.sees(t, where, "done welcomed", "Succeeded")
		}
		if posts := tm.posts(t, where); len(posts) != 2 || !strings.Contains(posts[0].Text, "Skadi") {
			t.Errorf("the bot said %+v, want one greeting and one card", posts)
		}
	}
}
