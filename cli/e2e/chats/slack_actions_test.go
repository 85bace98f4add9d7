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

// click has somebody press a button of a message, so many times at once.
func (s *slackSite) click(channel string, m slackMessage, user, label string, times int) {
	s.t.Helper()
	var answer struct{ Taken int }
	s.far.Ask("click", map[string]any{
		"app": s.app.BotToken, "channel": channel, "ts": m.TS, "user": user, "label": label, "times": times,
	}, &answer)
	if answer.Taken != times {
		s.t.Errorf("%d of %d clicks on %s were acknowledged", answer.Taken, times, label)
	}
}

// card waits until the card of a job, of those in the thread of a message, has
// all of the words.
func (s *slackSite) card(one said, nth int, words ...string) slackMessage {
	s.t.Helper()
	var m slackMessage
	programs.Eventually(s.t, fmt.Sprintf("a card with %q", words), func(context.Context) error {
		all := slices.DeleteFunc(s.thread(one).Told, func(m slackMessage) bool { return !strings.Contains(m.Words, "asked by") })
		if len(all) <= nth {
			return fmt.Errorf("there are %d cards", len(all))
		}
		m = all[nth]
		return m.has(words...)
	})
	return m
}

func TestSlackButtons(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"socket", "http"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newSlackSite(t, mode)
			s.start()
			one := s.mention("C1", "web-1 run wait slow")
			m := s.card(one, 0, "Running", "waiting slow")
			s.click("C1", m, "U1", "Cancel", 2)
			m = s.card(one, 0, "Canceled")
			if jobs := s.settled(1); jobs[0].Status != "canceled" {
				t.Errorf("the job is %s", jobs[0].Status)
			}

			// A double click makes one job, and so does one more click; somebody
			// else's makes another. All are answered in the thread.
			s.release("slow")
			s.click("C1", m, "U1", "Run again", 2)
			s.card(one, 1, "Succeeded", "done slow")
			s.click("C1", m, "U1", "Run again", 1)
			s.click("C1", m, "U2", "Run again", 2)
			s.card(one, 2, "Succeeded", "done slow")
			jobs := s.settled(3)
			senders := []string{jobs[2].Sender.ID, jobs[1].Sender.ID, jobs[0].Sender.ID}
			if !slices.Equal(senders, []string{"T0001/U1", "T0001/U1", "T0001/U2"}) {
				t.Errorf("the senders are %v", senders)
			}
			for _, m := range s.thread(one).Told {
				if m.Thread != one.TS {
					t.Errorf("it is in another thread: %+v", m)
				}
			}
		})
	}
}

// slackResponse is what came to a response_url.
type slackResponse struct {
	Channel, User, About string
	Took                 []struct {
		Words string
		Type  string `json:"response_type"`
	}
}

func TestSlackCommand(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"socket", "http"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newSlackSite(t, mode)
			s.far.Ask("guest", map[string]any{"channel": "C9"}, nil)
			s.start()
			command := func(channel, text string) {
				t.Helper()
				var got struct{ Answer any }
				s.far.Ask("slash", map[string]any{"app": s.app.BotToken, "channel": channel, "user": "U1", "text": text}, &got)
				if got.Answer == nil {
					t.Errorf("the command %q was not acknowledged", text)
				}
			}

			// Where the bot is no member, the asker alone is answered.
			command("C9", "web-1 run wait aside")
			s.release("aside")
			programs.Eventually(t, "the answer at the response_url", func(context.Context) error {
				one := s.responses("web-1 run wait aside")
				if len(one.Took) > 0 {
					last := one.Took[len(one.Took)-1]
					if last.Type != "ephemeral" {
						t.Errorf("everybody sees it: %+v", one)
					}
					return slackMessage{Words: last.Words}.has("Succeeded", "done aside")
				}
				return errors.New("there is none")
			})
			if n := len(s.responses("web-1 run wait aside").Took); n > 3 {
				t.Errorf("it took %d of five answers", n)
			}

			// Where it is one, everybody is.
			s.tells(s.mention("C1", "web-1 run now first"), "Succeeded")
			command("C1", "web-1 run now second")
			programs.Eventually(t, "the answer in the channel", func(context.Context) error {
				var all []slackMessage
				s.far.Ask("channel", map[string]any{"channel": "C1"}, &all)
				if len(all) == 1 {
					return all[0].has("Succeeded", "done second")
				}
				return fmt.Errorf("there are %d messages", len(all))
			})
			s.settled(3)
		})
	}
}

// responses is what came to the response_url of a command.
func (s *slackSite) responses(text string) slackResponse {
	s.t.Helper()
	var all []slackResponse
	s.far.Ask("responses", nil, &all)
	i := slices.IndexFunc(all, func(r slackResponse) bool { return r.About == text })
	if i < 0 {
		return slackResponse{}
	}
	return all[i]
}
