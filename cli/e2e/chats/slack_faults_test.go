//go:build unix

package chats

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// TestSlackServerKilled kills the server after it acknowledged messages and
// before it answered them.
func TestSlackServerKilled(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"socket", "http"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newSlackSite(t, mode)
			s.start()
			s.far.Ask("hold", map[string]any{"method": "chat.postMessage"}, nil)
			var all []said
			for n := range 3 {
				all = append(all, s.mention(fmt.Sprintf("C%d", n), fmt.Sprintf("web-1 run now k%d", n)))
			}
			programs.Eventually(t, "an answer under way", func(ctx context.Context) error {
				var n int
				if err := s.far.TryAsk(ctx, "waiting", map[string]any{"method": "chat.postMessage"}, &n); err != nil || n > 0 {
					return err
				}
				return fmt.Errorf("there is none")
			})
			all = append(all, s.mention("C3", "web-1 run now k3")) // and one that is hardly begun
			s.server.Kill()
			s.far.Ask("drop", map[string]any{"method": "chat.postMessage"}, nil)
			for _, one := range all {
				if told := s.thread(one).Told; len(told) > 0 {
					t.Fatalf("it was answered before: %+v", told)
				}
			}
			s.startServer()
			for n, one := range all {
				s.tells(one, "Succeeded", fmt.Sprintf("done k%d", n))
			}
			s.settled(len(all))
			for _, one := range all {
				if told := s.thread(one).Told; len(told) != 1 {
					t.Errorf("%d answers in the thread of one message: %+v", len(told), told)
				}
			}
		})
	}
}

// TestSlackRefresh ends the connections of Socket Mode one after the other, as
// Slack does every few hours, while people write.
func TestSlackRefresh(t *testing.T) {
	t.Parallel()
	s := newSlackSite(t, "socket")
	s.start()
	s.connected(2)
	var all []said
	write := func(n int) {
		for range n {
			i := len(all)
			all = append(all, s.mention(fmt.Sprintf("C%d", i), fmt.Sprintf("web-1 run now k%d", i)))
		}
	}
	write(2)
	for i, warning := range []bool{true, false, true} {
		done := make(chan error, 1)
		go func() {
			done <- s.far.TryAsk(t.Context(), "refresh", map[string]any{"app": s.app.BotToken, "warning": warning}, nil)
		}()
		for over := false; !over; {
			select {
			case err := <-done:
				programs.Must(t, err)
				over = true
			default:
				write(1)
				programs.Pause(t.Context(), 50*time.Millisecond)
			}
		}
		t.Logf("after refresh %d: %d messages", i+1, len(all))
	}
	write(2)
	for n, one := range all {
		s.tells(one, "Succeeded", fmt.Sprintf("done k%d", n))
	}
	s.settled(len(all))
	s.connected(2)
	var counts map[string]int
	s.far.Ask("counts", nil, &counts)
	if counts["refreshes"] != 3 || counts["connections"] < 5 {
		t.Errorf("counts: %v", counts)
	}
	t.Logf("%d messages, of which %d deliveries were repeated", len(all), counts["events not taken"])
}

// TestSlackBadToken has one account whose token Slack refuses.
func TestSlackBadToken(t *testing.T) {
	t.Parallel()
	s := newSlackSite(t, "socket", "socket revoked")
	s.start()
	s.tells(s.mention("C1", "web-1 run now first"), "Succeeded", "done first")
	programs.Eventually(t, "the other account to be unhealthy", func(ctx context.Context) error {
		all, err := s.client.Accounts(ctx)
		if err != nil {
			return err
		}
		states := map[string]string{}
		for _, a := range all {
			states[a.Name] = a.State + " " + a.Error
		}
		if states["slack-0"] != "healthy " || states["slack-1"] == "healthy " {
			return fmt.Errorf("%q", states)
		}
		return slackMessage{Words: states["slack-1"]}.has("unhealthy", "bot_token", "invalid_auth")
	})
	s.tells(s.mention("C1", "web-1 run now second"), "Succeeded", "done second")
	s.settled(2)
}
