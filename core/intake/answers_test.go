package intake

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

var (
	t0  = time.Date(2026, 3, 1, 23, 59, 50, 0, time.UTC)
	ada = chat.Sender{Account: "work", Workspace: "T1", User: "ada", Name: "Ada"}
	bob = chat.Sender{Account: "work", Workspace: "T1", User: "bob"}
	ops = chat.ConversationRef{Account: "work", Channel: "ops", Key: "ops/1"}
)

// drill is a job as a test brings it up.
func drill(num int64, change func(*job.Job)) job.Job {
	j := job.Job{
		ID: "id", Space: job.DefaultSpace, Num: num, Agent: "web-1", Message: "deploy v1.2.3",
		Sender: ada, Conversation: &ops, Status: job.Queuing, Version: 1,
		CreatedAt: t0, DueAt: t0.Add(time.Hour),
	}
	if change != nil {
		change(&j)
	}
	return j
}

func code(num int64) string { return job.EncodeCode(num) }

// same compares an answer, in which {1} stands for the code of job 1.
func same(t *testing.T, got, want string) {
	t.Helper()
	for n := int64(1); n < 10; n++ {
		want = strings.ReplaceAll(want, "{"+string(rune('0'+n))+"}", code(n))
	}
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
		t.Errorf("the answer differs (-want +got):\n%s", diff)
	}
}

func TestAgentsTable(t *testing.T) {
	t.Parallel()
	online := func(a job.Agent, now time.Time) bool {
		return !a.LastSeenAt.IsZero() && now.Sub(a.LastSeenAt) < 3*time.Minute
	}
	same(t, agentsTable([]job.Agent{
		{Name: "ci", LastSeenAt: t0, PausedAt: t0.Add(-5 * time.Minute), PausedBy: "work:T1/bob"},
		{Name: "database", LastSeenAt: t0.Add(-2 * time.Hour)},
		{Name: "new"},
		{Name: "web-1", LastSeenAt: t0},
	}, online, t0), `
‖ ci        online; paused by work:T1/bob 5 min ago
○ database  offline for 2 h, since 2026-03-01 21:59:50 UTC
○ new       has never checked in
● web-1     online`)
}

func TestJobsTable(t *testing.T) {
	t.Parallel()
	same(t, jobsTable([]job.Job{
		drill(3, nil),
		drill(2, func(j *job.Job) {
			j.Agent, j.Status, j.CreatedAt = "db", job.Failed, t0.Add(-14*time.Minute)
			j.Message = "a\n\tb\u202e" + strings.Repeat("c", 200)
		}),
		drill(1, func(j *job.Job) { j.Status = job.Sent }),
	}, t0.Add(5*time.Second)), `
○ #{3}     5 s  web-1  deploy v1.2.3
✗ #{2}  14 min  db     a b `+strings.Repeat("c", 95)+`…
▸ #{1}     5 s  web-1  deploy v1.2.3`)
}

func TestJobText(t *testing.T) {
	t.Parallel()
	zero, three := 0, 3
	for _, tc := range []struct {
		name   string
		job    func(*job.Job)
		output string
		want   string
	}{
		{"queuing", nil, "", `
○ #{1} web-1 · deploy v1.2.3
queuing; asked by Ada 1 min ago`},
		{"waiting", func(j *job.Job) { j.Approval, j.Sender.Name = job.ApprovalWaiting, "" }, "", `
○ #{1} web-1 · deploy v1.2.3
queuing, waiting for approval; asked by work:T1/ada 1 min ago`},
		{"running, asked to stop", func(j *job.Job) {
			j.Status, j.SentAt, j.CancelRequestedAt = job.Sent, t0.Add(10*time.Second), t0.Add(50*time.Second)
		}, "one\ntwo\n", `
▸ #{1} web-1 · deploy v1.2.3
sent, running for 50 s; asked by Ada 1 min ago
a cancel was asked 10 s ago
one
two`},
		{"succeeded without output", func(j *job.Job) {
			j.Status, j.SentAt, j.FinishedAt = job.Succeeded, t0, t0.Add(12*time.Second)
			j.Result = &job.Result{ExitCode: &zero}
		}, "", `
✓ #{1} web-1 · deploy v1.2.3
succeeded after 12 s, exit code 0; asked by Ada 1 min ago
(no output)`},
		{"failed with too much output", func(j *job.Job) {
			j.Status, j.SentAt, j.FinishedAt, j.Reason = job.Failed, t0, t0.Add(12*time.Second), "disk_full"
			j.Result = &job.Result{ExitCode: &three, Truncated: true}
			j.Late = []job.LateReport{{}}
		}, strings.Repeat("x", 100) + "\n" + strings.Repeat("y", 2999), `
✗ #{1} web-1 · deploy v1.2.3
failed (disk full) after 12 s, exit code 3; asked by Ada 1 min ago
late reports: 1, see ` + "`why {1}`" + `
… (101 bytes of output before this; ` + "`output {1}`" + ` shows all)
` + strings.Repeat("y", 2999) + `
(the agent left out part of the output)`},
		{"expired", func(j *job.Job) { j.Status, j.Reason = job.Expired, job.AgentOffline }, "", `
⊘ #{1} web-1 · deploy v1.2.3
expired (agent offline); asked by Ada 1 min ago`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			same(t, jobText(drill(1, tc.job), tc.output, t0.Add(time.Minute)), tc.want)
		})
	}
}

func TestHistoryText(t *testing.T) {
	t.Parallel()
	one := 1
	status := func(s job.Status, after time.Duration, by string) job.Event {
		return job.Event{Kind: job.EventJobStatus, Status: s, At: t0.Add(after), By: by}
	}
	queued := status(job.Queuing, 0, "work:T1/ada")
	for _, tc := range []struct {
		name   string
		job    func(*job.Job)
		events []job.Event
		want   string
	}{
		{"queuing", nil, []job.Event{queued}, `
○ #{1} web-1 · deploy v1.2.3
2026-03-01 UTC
  23:59:50  Accepted from Ada, work:T1/ada in work:ops.
  23:59:50  Waiting for web-1 to take it.
web-1 has until 2026-03-02 00:59:50 UTC to take it.`},
		{"offered", func(j *job.Job) {
			j.Attempt, j.OfferedUntil, j.Conversation = 2, t0.Add(35*time.Second), nil
		}, []job.Event{queued}, `
○ #{1} web-1 · deploy v1.2.3
2026-03-01 UTC
  23:59:50  Accepted from Ada, work:T1/ada over the API.
  23:59:50  Waiting for web-1 to take it.
  23:59:55  Offered to web-1, which has not confirmed it yet.
web-1 has until 2026-03-02 00:59:50 UTC to take it.`},
		{"waiting", func(j *job.Job) { j.Approval = job.ApprovalWaiting }, []job.Event{queued}, `
○ #{1} web-1 · deploy v1.2.3
2026-03-01 UTC
  23:59:50  Accepted from Ada, work:T1/ada in work:ops.
  23:59:50  It needs an approval.
It waits for somebody else's ` + "`approve {1}`" + ` until 2026-03-02 00:59:50 UTC.`},
		{"lost and late, over midnight", func(j *job.Job) {
			j.Status, j.Reason, j.Attempt, j.SentAt = job.Expired, job.NoResult, 3, t0.Add(time.Second)
			j.CancelRequestedAt = t0.Add(2 * time.Second)
			j.Late = []job.LateReport{{At: t0.Add(20 * time.Minute), Status: job.Failed, ExitCode: &one, Output: "no\nroom\n"}}
		}, []job.Event{
			queued,
			status(job.Sent, time.Second, "web-1"),
			{Kind: job.EventMessage, At: t0.Add(2 * time.Second), Text: "work:T1/ada asked to cancel it; web-1 is told to stop it.", By: "work:T1/ada"},
			{Kind: job.EventMessage, At: t0.Add(3 * time.Second), Text: "half way", By: "web-1"},
			{Kind: job.EventJobStatus, Status: job.Expired, Reason: job.NoResult, At: t0.Add(10 * time.Minute)},
			{Kind: job.EventMessage, At: t0.Add(20 * time.Minute), Text: "A late report came in"},
		}, `
⊘ #{1} web-1 · deploy v1.2.3
2026-03-01 UTC
  23:59:50  Accepted from Ada, work:T1/ada in work:ops.
  23:59:50  Waiting for web-1 to take it.
  23:59:51  web-1 is running it. It had been offered 3 times.
  23:59:52  work:T1/ada asked to cancel it; web-1 is told to stop it.
  23:59:53  web-1 said: half way
2026-03-02 UTC
  00:09:50  web-1 took it and then said nothing more; whether it ran to its end is not known.
  00:19:50  Late report, which changes nothing: failed, exit code 1: no room`},
		{"offline", func(j *job.Job) { j.Status, j.Reason = job.Expired, job.AgentOffline }, []job.Event{
			queued,
			{Kind: job.EventJobStatus, Status: job.Expired, Reason: job.AgentOffline, At: t0, AgentSeenAt: t0.Add(-time.Hour)},
		}, `
⊘ #{1} web-1 · deploy v1.2.3
2026-03-01 UTC
  23:59:50  Accepted from Ada, work:T1/ada in work:ops.
  23:59:50  Waiting for web-1 to take it.
  23:59:50  Not run: web-1 has been offline for 1 h, since 2026-03-01 22:59:50 UTC.`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			same(t, historyText(drill(1, tc.job), tc.events, job.DefaultTimes()), tc.want)
		})
	}
}

func TestRecordText(t *testing.T) {
	t.Parallel()
	same(t, recordText(access.Record{
		Code: "r-12345678", At: t0, Who: "work:T1/bob", Name: "Bob", Where: "work:ops", Action: "send",
		Target: "web-1", Text: "web-1 deploy\nv1", Why: "no rule lets work:T1/bob do so",
	}), `
r-12345678  2026-03-01 23:59:50 UTC: send web-1 was refused
who:  work:T1/bob (Bob) in work:ops
text: web-1 deploy v1
why:  no rule lets work:T1/bob do so`)
}

func TestCommandTable(t *testing.T) {
	t.Parallel()
	got := commandTable("web-1", []job.Command{
		{Name: "deploy", Usage: "deploy VERSION", Help: "Put a version\nonline."},
		{Name: "logs", Usage: "[LINES]"},
		{Name: "status", Help: "Is it well?"},
		{Name: "*", Usage: "<anything>"},
		{Name: ""},
		{Name: "more"},
		{Name: "and more"},
	}, 5)
	same(t, strings.Join(got, "\n"), `
web-1 deploy VERSION  Put a version online.
web-1 logs [LINES]
web-1 status          Is it well?
web-1 <anything>
web-1 <anything>
…                     and 2 more: `+"`help web-1`")
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\n", "\x00", "\xff", "\u202e", " ", strings.Repeat("é", 400)})))
		max := rapid.IntRange(1, 50).Draw(t, "max")
		got := oneLine(strings.Join(parts.Draw(t, "parts"), ""), max)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > max || strings.ContainsFunc(strings.ReplaceAll(got, " ", ""), notShown) {
			t.Fatalf("%q is no line of at most %d characters", got, max)
		}
	})
}

func TestTail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		got, cut := tail(text, rapid.IntRange(1, 20).Draw(t, "limit"))
		if text[cut:] != got || !utf8.ValidString(got) {
			t.Fatalf("tail(%q) = %q, %d", text, got, cut)
		}
	})
}
