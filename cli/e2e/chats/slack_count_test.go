//go:build unix

package chats

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// slackFlood is what the far side has delivered, and how long it took until all
// was written and until all was acknowledged.
type slackFlood struct {
	Written, Repeats int
	WroteMS          int `json:"wrote_ms"`
	AcknowledgedMS   int `json:"acknowledged_ms"`
}

// TestSlackMessagesAreCounted has 500 messages a second written, of which every
// tenth is delivered twice: each makes one job, and is answered in its thread.
// SKADI_TEST_MESSAGES says how many.
//
// Slack's limits hold, of one post a second in a channel and of 50 reactions a
// minute, except that of some 50 edits a minute in a workspace, by which so
// many jobs would take hours to end; and the messages are spread over many
// channels.
func TestSlackMessagesAreCounted(t *testing.T) {
	messages := 500
	if n, err := strconv.Atoi(os.Getenv("SKADI_TEST_MESSAGES")); err == nil {
		messages = n
	}
	channels := max(messages/20, min(messages, 100))
	s := newSlackSite(t, "socket")
	s.far.Ask("lift", map[string]any{"methods": []string{"chat.update"}}, nil)
	s.start()
	s.connected(2)
	began := time.Now()
	var f slackFlood
	s.far.Ask("flood", map[string]any{
		"app": s.app.BotToken, "count": messages, "rate": 500, "channels": channels, "again": 0.1,
		"text": "<@" + s.app.BotUser + "> " + agentName + " run now n%d",
	}, &f)
	if f.Written != messages || f.Repeats != messages/10 {
		t.Errorf("the far side says %+v", f)
	}
	s.awaitDone(messages)
	told := time.Since(began)
	jobs := s.settled(messages)

	var got struct {
		Asked []struct {
			Text string
			Told []struct {
				Words string
				Edits int
			}
		}
		Loose int
	}
	s.far.Ask("asked", nil, &got)
	wrong, replies, edits := got.Loose, 0, 0
	for _, one := range got.Asked {
		key := one.Text[strings.LastIndexByte(one.Text, ' ')+1:]
		replies += len(one.Told)
		if len(one.Told) == 1 && strings.HasPrefix(after(one.Told[0].Words, "done "+key), " ") && strings.Contains(one.Told[0].Words, "Succeeded") {
			edits += one.Told[0].Edits
		} else if wrong++; wrong <= 5 {
			t.Errorf("%q was answered by %+v", one.Text, one.Told)
		}
	}
	if wrong > 0 || len(got.Asked) != messages {
		t.Errorf("of %d messages, %d were not answered as they should be; %d answers are in no thread", len(got.Asked), wrong, got.Loose)
	}
	var counts map[string]int
	s.far.Ask("counts", nil, &counts)
	t.Logf("%d messages in %d channels, written in %.1f s, acknowledged after %.1f s; %d delivered again on purpose and %d for want of an acknowledgement; "+
		"%d jobs, all told after %.1f s by %d answers and %d edits; %d posts were told to wait",
		messages, channels, float64(f.WroteMS)/1000, float64(f.AcknowledgedMS)/1000, f.Repeats, counts["events not taken"],
		len(jobs), told.Seconds(), replies, edits, counts["limited chat.postMessage"])
}

// after returns what follows a text, and nothing if it is not there.
func after(s, text string) string {
	_, rest, _ := strings.Cut(s+" ", text)
	return rest
}

// awaitDone waits until so many messages show that a job succeeded. It gives up
// when there is no new one for long.
func (s *slackSite) awaitDone(want int) {
	s.t.Helper()
	for done, last := 0, time.Now(); done < want; {
		programs.Pause(s.t.Context(), 100*time.Millisecond)
		var now int
		s.far.Ask("done", nil, &now)
		if now > done {
			done, last = now, time.Now()
		}
		if time.Since(last) > programs.Patience || s.t.Context().Err() != nil {
			s.t.Fatalf("%d of %d messages were answered, and no more are", done, want)
		}
	}
}
