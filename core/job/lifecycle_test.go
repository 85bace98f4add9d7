package job

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	t0   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	live = rules{times: DefaultTimes(), limits: DefaultLimits()}
	conv = &chat.ConversationRef{Account: "terminal", Key: "k"}
)

// drill is one job as a test brings it up: queuing unless changed.
func drill(change func(*Job)) Job {
	j := Job{
		ID: "0190-job", Space: DefaultSpace, Num: 7, Agent: "web-1", Message: "deploy v1",
		Sender:       chat.Sender{Account: "terminal", User: "ada"},
		Conversation: conv, Status: Queuing, Version: 1,
		CreatedAt: t0, DueAt: t0.Add(live.times.NotTaken),
	}
	if change != nil {
		change(&j)
	}
	return j
}

func sent(j *Job) {
	j.Status, j.Lease, j.Attempt, j.Version = Sent, "L", 1, 2
	j.SentAt, j.LastWordAt = t0, t0
	j.DueAt = live.sentDue(*j)
}

func agentSeen(ago time.Duration) *Agent {
	return &Agent{ID: "a", Space: DefaultSpace, Name: "web-1", LastSeenAt: t0.Add(-ago)}
}

func text(s string) *string { return &s }

// TestArrows takes every arrow of the lifecycle by the decision that owns it.
func TestArrows(t *testing.T) {
	t.Parallel()
	canceling := func(j *Job) { sent(j); j.CancelRequestedAt = t0 }
	waiting := func(j *Job) { j.Approval = ApprovalWaiting; j.DueAt = t0.Add(live.times.Approval) }
	offered := func(j *Job) { j.Lease, j.Attempt, j.OfferedUntil = "L", 1, t0.Add(30*time.Second) }
	report := func(s Status) Decide {
		return live.report("web-1", Report{ID: "0190-job", Lease: "L", Status: s, Output: text("out")})
	}
	tests := []struct {
		name   string
		job    func(*Job)
		at     time.Duration
		agent  *Agent
		decide Decide
		want   Arrow
	}{
		{"plain poll", nil, 0, nil, live.send("seed", false), Arrow{Queuing, Sent, ""}},
		{"start after an offer", offered, time.Second, nil, live.start("web-1", "L"), Arrow{Queuing, Sent, ""}},
		{"agent silent", nil, 0, agentSeen(3 * time.Minute), live.silent, Arrow{Queuing, Expired, AgentOffline}},
		{"agent never seen", nil, 0, &Agent{Name: "web-1"}, live.silent, Arrow{Queuing, Expired, AgentOffline}},
		{"agent gone", nil, 0, nil, live.silent, Arrow{Queuing, Canceled, AgentRemoved}},
		{"not taken", nil, time.Hour, nil, live.due, Arrow{Queuing, Expired, NotTaken}},
		{"canceled while queuing", nil, 0, nil, live.cancel("terminal:ada"), Arrow{Queuing, Canceled, ""}},
		{"canceled while waiting", waiting, 0, nil, live.cancel("terminal:ada"), Arrow{Queuing, Canceled, ""}},
		{"agent removed", nil, 0, nil, live.removed("token:root"), Arrow{Queuing, Canceled, AgentRemoved}},
		{"denied", waiting, 0, agentSeen(0), live.approve("terminal:bob", false, false), Arrow{Queuing, Canceled, Denied}},
		{"approved, agent removed", waiting, 0, nil, live.approve("terminal:bob", true, false), Arrow{Queuing, Canceled, AgentRemoved}},
		{"approved, agent offline", waiting, 0, agentSeen(time.Hour), live.approve("terminal:bob", true, false), Arrow{Queuing, Expired, AgentOffline}},
		{"nobody approved", waiting, time.Hour, nil, live.due, Arrow{Queuing, Expired, ApprovalTimeout}},
		{"succeeded", sent, time.Second, nil, report(Succeeded), Arrow{Sent, Succeeded, ""}},
		{"failed", sent, time.Second, nil, report(Failed), Arrow{Sent, Failed, ""}},
		{"succeeded though canceled", canceling, time.Second, nil, report(Succeeded), Arrow{Sent, Succeeded, ""}},
		{"failed though canceled", canceling, time.Second, nil, report(Failed), Arrow{Sent, Failed, ""}},
		{"canceled", canceling, time.Second, nil, report(Canceled), Arrow{Sent, Canceled, ""}},
		{"no result", sent, 10 * time.Minute, nil, live.due, Arrow{Sent, Expired, NoResult}},
		{"ran too long", func(j *Job) { sent(j); j.LastWordAt = t0.Add(59 * time.Minute); j.DueAt = live.sentDue(*j) }, time.Hour, nil, live.due, Arrow{Sent, Expired, MaxRun}},
	}
	taken := map[Arrow]bool{{"", Queuing, ""}: true}
	for _, tt := range tests {
		taken[tt.want] = true
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before := drill(tt.job)
			c, err := tt.decide(View{Now: t0.Add(tt.at), Job: before, Agent: tt.agent})
			require.NoError(t, err)
			require.NotNil(t, c)
			got := Arrow{before.Status, c.Job.Status, c.Job.Reason}
			require.Equal(t, tt.want, got)
			require.Greater(t, c.Job.Version, before.Version)
			require.Len(t, c.Events, 1)
			e := c.Events[0]
			require.Equal(t, c.Job.Version, e.Version)
			require.Equal(t, c.Job.Status, e.Status)
			require.Equal(t, conv, e.Conversation)
			require.Equal(t, c.Job.Status.Final(), !c.Job.FinishedAt.IsZero())
			require.NotEmpty(t, Explain(e, Job{Agent: "web-1"}))
		})
	}
	for _, a := range Arrows() {
		require.True(t, taken[a], "no test takes the arrow %v", a)
	}
}

// TestNoOtherArrow tries every decision on jobs in every state: whatever
// comes out is an arrow, and a final status never changes.
func TestNoOtherArrow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		j := drill(nil)
		j.Status = rapid.SampledFrom([]Status{Queuing, Sent, Succeeded, Failed, Expired, Canceled}).Draw(t, "status")
		j.Approval = rapid.SampledFrom([]Approval{NoApproval, ApprovalWaiting, ApprovalGranted}).Draw(t, "approval")
		at := func(name string) time.Time {
			return t0.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Hour)).Draw(t, name)))
		}
		if rapid.Bool().Draw(t, "leased") {
			j.Lease, j.OfferedUntil = "L", at("offered")
		}
		if j.Status == Sent {
			j.Lease, j.Approval, j.OfferedUntil = "L", NoApproval, time.Time{}
			j.SentAt, j.LastWordAt = at("sent"), at("word")
			j.DueAt = live.sentDue(j)
		}
		if rapid.Bool().Draw(t, "canceling") {
			j.CancelRequestedAt = t0
		}
		lease := rapid.SampledFrom([]string{"L", "other", ""}).Draw(t, "lease")
		agent := rapid.SampledFrom([]string{"web-1", "db-1"}).Draw(t, "agent")
		status := rapid.SampledFrom([]Status{Succeeded, Failed, Canceled}).Draw(t, "report")
		decide := rapid.SampledFrom([]Decide{
			live.send("s", false), live.send("s", true), live.start(agent, lease), live.running(agent, lease),
			live.cancel("x"), live.approve("x", true, false), live.approve("x", false, false), live.removed("x"),
			live.silent, live.due, live.report(agent, Report{Lease: lease, Status: status}),
		}).Draw(t, "decide")
		v := View{Now: at("now"), Job: j}
		if rapid.Bool().Draw(t, "known") {
			v.Agent = agentSeen(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "seen")))
		}
		c, err := decide(v)
		if err != nil && c != nil && c.Job.Status != j.Status {
			t.Fatalf("a transition together with the error %v", err)
		}
		if c == nil || err != nil {
			return
		}
		if c.Job.Version <= j.Version {
			t.Fatalf("version %d did not grow", c.Job.Version)
		}
		if c.Job.Status == j.Status {
			return
		}
		if j.Status.Final() {
			t.Fatalf("%s became %s", j.Status, c.Job.Status)
		}
		if !arrows[Arrow{j.Status, c.Job.Status, c.Job.Reason}] {
			t.Fatalf("no arrow from %s to %s (%s)", j.Status, c.Job.Status, c.Job.Reason)
		}
	})
}

// TestRefused is what a decision must not do, with the error that says why.
func TestRefused(t *testing.T) {
	t.Parallel()
	done := func(j *Job) { sent(j); j.Status = Expired; j.Reason = NoResult }
	tests := []struct {
		name   string
		job    func(*Job)
		at     time.Duration
		decide Decide
		want   error
	}{
		{"start with another lease", func(j *Job) { j.Lease = "L"; j.OfferedUntil = t0.Add(time.Minute) }, 0, live.start("web-1", "other"), ErrLease},
		{"start of an offer that ran out", func(j *Job) { j.Lease = "L"; j.OfferedUntil = t0 }, 0, live.start("web-1", "L"), ErrLease},
		{"start without an offer", nil, 0, live.start("web-1", ""), ErrLease},
		{"start by another agent", sent, 0, live.start("db-1", "L"), ErrNotFound},
		{"start of a final job", done, 0, live.start("web-1", "L"), ErrFinal},
		{"start of a sent job with another lease", sent, 0, live.start("web-1", "other"), ErrLease},
		{"report with another lease", sent, 0, live.report("web-1", Report{Lease: "x", Status: Failed}), ErrLease},
		{"report by another agent", sent, 0, live.report("db-1", Report{Lease: "L", Status: Failed}), ErrNotFound},
		{"report before start", func(j *Job) { j.Lease = "L" }, 0, live.report("web-1", Report{Lease: "L", Status: Failed}), ErrConflict},
		{"canceled without a cancel", sent, 0, live.report("web-1", Report{Lease: "L", Status: Canceled}), ErrConflict},
		{"cancel of a final job", done, 0, live.cancel("x"), ErrFinal},
		{"approval that nobody asked for", nil, 0, live.approve("x", true, false), ErrConflict},
		{"offer of an offered job", func(j *Job) { j.OfferedUntil = t0.Add(time.Second) }, 0, live.send("s", true), ErrConflict},
		{"offer of a job that waits for approval", func(j *Job) { j.Approval = ApprovalWaiting }, 0, live.send("s", false), ErrConflict},
		{"word for a final job", done, 0, live.running("web-1", "L"), ErrFinal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.decide(View{Now: t0.Add(tt.at), Job: drill(tt.job), Agent: agentSeen(0)})
			require.ErrorIs(t, err, tt.want)
		})
	}
}

func TestWaitingIsNeitherOfferedNorExpiredAsOffline(t *testing.T) {
	t.Parallel()
	j := drill(func(j *Job) { j.Approval = ApprovalWaiting })
	c, err := live.silent(View{Now: t0, Job: j, Agent: agentSeen(time.Hour)})
	require.NoError(t, err)
	require.Nil(t, c)
}

func TestWordPutsOffExpiry(t *testing.T) {
	t.Parallel()
	j := drill(sent)
	c, err := live.running("web-1", "L")(View{Now: t0.Add(time.Second), Job: j})
	require.NoError(t, err)
	require.Nil(t, c, "a word within the extend period costs no write")

	c, err = live.running("web-1", "L")(View{Now: t0.Add(9 * time.Minute), Job: j})
	require.NoError(t, err)
	require.Equal(t, t0.Add(19*time.Minute), c.Job.DueAt)
	require.Empty(t, c.Events)

	c, err = live.due(View{Now: t0.Add(18 * time.Minute), Job: c.Job})
	require.NoError(t, err)
	require.Nil(t, c)
}

func TestOffer(t *testing.T) {
	t.Parallel()
	c, err := live.send("seed", true)(View{Now: t0, Job: drill(nil)})
	require.NoError(t, err)
	require.Equal(t, Queuing, c.Job.Status)
	require.Equal(t, t0.Add(30*time.Second), c.Job.OfferedUntil)
	require.Equal(t, 1, c.Job.Attempt)
	require.Empty(t, c.Events)

	again, err := live.send("seed", true)(View{Now: t0, Job: drill(nil)})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(c, again), "a repeated transaction decides the same")

	second, err := live.send("other", true)(View{Now: t0.Add(31 * time.Second), Job: c.Job})
	require.NoError(t, err)
	require.NotEqual(t, c.Job.Lease, second.Job.Lease)
	require.Equal(t, 2, second.Job.Attempt)
	_, err = live.start("web-1", c.Job.Lease)(View{Now: t0.Add(32 * time.Second), Job: second.Job})
	require.ErrorIs(t, err, ErrLease, "the first offer is void")
}

func TestReports(t *testing.T) {
	t.Parallel()
	one := 1
	first := Report{ID: "0190-job", Lease: "L", Status: Failed, Output: text("no space"), ExitCode: &one}
	done, err := live.report("web-1", first)(View{Now: t0, Job: drill(sent)})
	require.NoError(t, err)
	require.Equal(t, "no space", done.Job.Result.Output)

	again, err := live.report("web-1", first)(View{Now: t0.Add(time.Hour), Job: done.Job})
	require.NoError(t, err)
	require.Nil(t, again, "an identical report changes nothing")

	other := first
	other.Status = Succeeded
	late, err := live.report("web-1", other)(View{Now: t0.Add(time.Hour), Job: done.Job})
	require.NoError(t, err)
	require.Equal(t, Failed, late.Job.Status)
	require.Len(t, late.Job.Late, 1)
	require.Len(t, late.Events, 1)
	require.Equal(t, EventMessage, late.Events[0].Kind)
	require.False(t, late.Job.counted(other.digest()))

	twice, err := live.report("web-1", other)(View{Now: t0.Add(time.Hour), Job: late.Job})
	require.NoError(t, err)
	require.Nil(t, twice, "the same late report is kept once")

	third := other
	third.Output = text("something else")
	more, err := live.report("web-1", third)(View{Now: t0.Add(time.Hour), Job: late.Job})
	require.NoError(t, err)
	require.Len(t, more.Job.Late, 2)
	require.Empty(t, more.Events, "only the first late report is told")
}

func TestAdmit(t *testing.T) {
	t.Parallel()
	d := Draft{ID: "0190-job", Num: 7, Space: DefaultSpace, Agent: "web-1", Message: "x", Conversation: conv}
	tests := []struct {
		name     string
		agent    *Agent
		approval bool
		hold     bool
		want     Status
		err      error
	}{
		{"online", agentSeen(time.Minute), false, false, Queuing, nil},
		{"offline", agentSeen(3 * time.Minute), false, false, Expired, nil},
		{"never seen", &Agent{Name: "web-1"}, false, false, Expired, nil},
		{"offline, but the silence may be ours", agentSeen(time.Hour), false, true, Queuing, nil},
		{"never seen is no outage of ours", &Agent{Name: "web-1"}, false, true, Expired, nil},
		{"offline, but it waits for approval anyway", agentSeen(time.Hour), true, false, Queuing, nil},
		{"unknown", nil, false, false, "", ErrUnknownAgent},
		{"removed", &Agent{Name: "web-1", RemovedAt: t0}, false, false, "", ErrUnknownAgent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := d
			d.NeedsApproval = tt.approval
			j, events, err := live.admit(t0, d, tt.agent, tt.hold)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, tt.want, j.Status)
			if err == nil {
				require.Equal(t, Queuing, events[0].Status, "every job begins as queuing")
				require.Equal(t, j.Version, events[len(events)-1].Version)
			}
		})
	}
}

func TestDigestTellsReportsApart(t *testing.T) {
	t.Parallel()
	zero := 0
	seen := map[string]Report{}
	for _, r := range []Report{
		{Status: Succeeded},
		{Status: Failed},
		{Status: Succeeded, Output: text("")},
		{Status: Succeeded, ExitCode: &zero},
		{Status: Succeeded, Truncated: true},
		{Status: Succeeded, Reason: "x"},
		{Status: Succeeded, Output: text("0")},
	} {
		if other, twice := seen[r.digest()]; twice {
			t.Errorf("%+v and %+v have one digest", r, other)
		}
		seen[r.digest()] = r
	}
}

func TestStepRefusesWhatIsNoArrow(t *testing.T) {
	t.Parallel()
	all := []Status{"", Queuing, Sent, Succeeded, Failed, Expired, Canceled}
	reasons := []Reason{"", AgentOffline, NotTaken, NoResult, MaxRun, ApprovalTimeout, Denied, AgentRemoved, "other"}
	for _, from := range all {
		for _, to := range all {
			for _, reason := range reasons {
				j := drill(func(j *Job) { j.Status = from })
				c := Change{Job: j}
				err := step(&c, t0, to, reason, "")
				own := from == Sent && (to == Succeeded || to == Failed) // with a reason of the agent's
				if arrows[Arrow{from, to, reason}] || own {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, ErrConflict, fmt.Sprint(from, to, reason))
				require.Empty(t, cmp.Diff(j, c.Job))
			}
		}
	}
}

func TestErrorsNest(t *testing.T) {
	t.Parallel()
	for _, err := range []error{ErrFinal, ErrLease, &GapError{Expected: 3}} {
		require.True(t, errors.Is(err, ErrConflict), err)
	}
}
