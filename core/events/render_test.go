package events

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

// looks are jobs as they are told; golden files show them in each kind of
// channel.
func looks() map[string]shown {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	one := 1
	base := func(s job.Status, reason job.Reason) shown {
		j := job.Job{
			ID: "0195-1", Num: 7, Agent: "web-1", Message: "deploy v1.2.3", Status: s,
			Sender:       chat.Sender{Account: "work", Workspace: "T1", User: "U1", Name: "Ada"},
			Conversation: &chat.ConversationRef{Account: "work", Channel: "C1", Key: "C1/1"},
			CreatedAt:    at.Add(-50 * time.Second),
		}
		if s != job.Queuing {
			j.SentAt = at.Add(-42 * time.Second)
		}
		return shown{job: j, now: at, event: job.Event{
			Subject: j.ID, Version: 3, Kind: job.EventJobStatus, Status: s, Reason: reason, At: at, Num: 7, Agent: "web-1",
		}}
	}
	with := func(s shown, change func(*shown)) shown { change(&s); return s }
	return map[string]shown{
		"waiting": base(job.Queuing, ""),
		"approval": with(base(job.Queuing, ""), func(s *shown) {
			s.job.Approval = job.ApprovalWaiting
		}),
		"approved": with(base(job.Queuing, ""), func(s *shown) {
			s.job.Approval = job.ApprovalGranted
		}),
		"running": base(job.Sent, ""),
		"succeeded": with(base(job.Succeeded, ""), func(s *shown) {
			s.output, s.job.Result = "all\ngood\n", &job.Result{ExitCode: new(int)}
		}),
		"failed": with(base(job.Failed, ""), func(s *shown) {
			s.output, s.job.Result = "no such file\n", &job.Result{ExitCode: &one}
			s.event.At = s.job.SentAt.Add(85 * time.Millisecond)
		}),
		"interrupted": base(job.Failed, job.Interrupted),
		"offline": with(base(job.Expired, job.AgentOffline), func(s *shown) {
			s.job.SentAt = time.Time{}
			s.event.AgentSeenAt = at.Add(-2 * time.Hour)
		}),
		"denied": with(base(job.Canceled, job.Denied), func(s *shown) { s.event.By, s.job.SentAt = "work:T1/U2", time.Time{} }),
		"long": with(base(job.Succeeded, ""), func(s *shown) {
			var b strings.Builder
			for i := range 200 {
				fmt.Fprintf(&b, "line %d of the output\n", i)
			}
			s.output, s.job.Result = b.String(), &job.Result{}
		}),
		"awkward": with(base(job.Succeeded, ""), func(s *shown) {
			s.job.Message = "say <!channel> & \"quotes\"\n@everyone שלום 👋🏽 " + strings.Repeat("very long ", 30)
			s.output, s.job.Result = "\x1b[31mred\x1b[0m <b>你好</b> \u202e\n", &job.Result{}
		}),
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	channels := map[string]chat.Capabilities{
		"rich":  {Edit: true, Buttons: true, Files: true, MaxBytes: 600},
		"plain": {MaxBytes: 600, ReplyQuota: 5},
	}
	for name, s := range looks() {
		for channel, caps := range channels {
			m := render(s, caps)
			for i := range m.Files {
				m.Files[i].Text = fmt.Sprintf("(%d bytes)", len(m.Files[i].Text))
			}
			data, err := json.MarshalIndent(m.Card, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+"."+channel+".txt", fmt.Sprintf("%s\n\n-- %d bytes, files %v --\n%s\n", m.Text, len(m.Text), m.Files, data))
		}
	}
	long := looks()["long"]
	long.event.Status = job.Sent
	if m := renderLive(long, channels["rich"]); len(m.Files) != 0 || m.Card.More != "" || len(m.Card.Buttons) != 1 {
		t.Errorf("a running job with much output has the card %+v", m.Card)
	}
	golden(t, "farewell.txt", farewell(looks()["failed"]).Text+"\n")
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; run with -update to accept.\ngot:\n%s\nwant:\n%s", name, text, want)
	}
}

// Whatever a job says, its messages keep the channel's limit and are text.
func TestRenderKeepsTheLimit(t *testing.T) {
	t.Parallel()
	all := looks()
	names := []string{"waiting", "running", "succeeded", "failed", "long", "awkward", "offline"}
	rapid.Check(t, func(t *rapid.T) {
		s := all[rapid.SampledFrom(names).Draw(t, "look")]
		s.output = rapid.String().Draw(t, "output") + strings.Repeat(rapid.String().Draw(t, "repeated"), 20)
		s.job.Message = rapid.String().Draw(t, "message")
		caps := chat.Capabilities{
			MaxBytes: rapid.IntRange(1, 3000).Draw(t, "limit"),
			Edit:     rapid.Bool().Draw(t, "edit"), Files: rapid.Bool().Draw(t, "files"), Buttons: rapid.Bool().Draw(t, "buttons"),
		}
		for _, m := range []chat.Outbound{render(s, caps), renderLive(s, caps)} {
			if len(m.Text) > caps.MaxBytes {
				t.Fatalf("%d bytes where %d are taken: %q", len(m.Text), caps.MaxBytes, m.Text)
			}
			if utf8.ValidString(s.output) && utf8.ValidString(s.job.Message) && !utf8.ValidString(m.Text) {
				t.Fatalf("a character was cut in two: %q", m.Text)
			}
			shown := strings.TrimRight(s.output, "\n")
			if from := m.Card.OutputStart; !strings.HasPrefix(s.output[from:], m.Card.Output) || len(m.Card.Output)+int(from) < len(shown) {
				t.Fatalf("the card shows %q from byte %d of %q", m.Card.Output, from, s.output)
			}
		}
		for _, part := range pieces(s.output, caps.MaxBytes, 5) {
			if len(part) > caps.MaxBytes {
				t.Fatalf("a piece of %d bytes where %d are taken", len(part), caps.MaxBytes)
			}
		}
	})
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		85 * time.Millisecond: "85 ms", 4250 * time.Millisecond: "4.2 s", 42 * time.Second: "42 s", 3 * time.Minute: "3 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}
