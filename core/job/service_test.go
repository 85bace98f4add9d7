package job_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/job"
)

func TestWholeLife(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pushed := b.push("deploy v1")
	require.Equal(t, job.Queuing, pushed.Status)
	taken := b.take()
	require.Equal(t, pushed.ID, taken.ID)
	require.Equal(t, "deploy v1", taken.Message)
	require.Empty(t, b.poll(job.PollRequest{Max: 1}).Jobs, "a sent job is never offered again")
	require.NoError(t, b.report(taken, job.Succeeded, "done").Err)

	got, err := b.JobByCode(b.ctx, job.DefaultSpace, "#"+pushed.Code())
	require.NoError(t, err)
	require.Equal(t, job.Succeeded, got.Status)
	require.Equal(t, "done", got.Result.Output)
	history, err := b.History(b.ctx, got.Space, got.ID)
	require.NoError(t, err)
	var statuses []job.Status
	for _, e := range history {
		statuses = append(statuses, e.Status)
	}
	require.Equal(t, []job.Status{job.Queuing, job.Sent, job.Succeeded}, statuses)
}

func TestPollWakesForAJob(t *testing.T) {
	t.Parallel()
	b := setup(t)
	answer := make(chan job.PollAnswer)
	go func() {
		a, err := b.Poll(b.ctx, b.caller, job.PollRequest{Max: 1, Wait: job.MaxWait})
		if err != nil {
			t.Error(err)
		}
		answer <- a
	}()
	pushed := b.push("uptime")
	require.Equal(t, pushed.ID, (<-answer).Jobs[0].ID)
}

func TestWaitWakesForAResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("uptime")
	taken := b.take()
	got := make(chan job.Job)
	go func() {
		j, err := b.Wait(b.ctx, taken.Space, taken.ID, time.Minute)
		if err != nil {
			t.Error(err)
		}
		got <- j
	}()
	b.report(taken, job.Failed, "no")
	require.Equal(t, job.Failed, (<-got).Status)
}

func TestReportsThatCannotCount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	require.NoError(t, b.report(j, job.Succeeded, "a").Err)
	require.NoError(t, b.report(j, job.Succeeded, "a").Err, "an identical repetition is fine")
	u := b.report(j, job.Failed, "b")
	require.ErrorIs(t, u.Err, job.ErrFinal)
	require.Equal(t, job.Succeeded, u.Job.Status)
	require.Len(t, u.Job.Late, 1)
	require.ErrorIs(t, b.report(j, job.Failed, "b").Err, job.ErrFinal)
	got, err := b.Job(b.ctx, j.Space, j.ID)
	require.NoError(t, err)
	require.Len(t, got.Late, 1)

	us, err := b.Report(b.ctx, b.caller, []job.Report{
		{ID: j.ID, Lease: j.Lease, Status: "done"},
		{ID: "019f0000-0000-7000-8000-000000000000", Lease: "L", Status: job.Failed},
		{ID: j.ID, Lease: "wrong", Status: job.Failed},
	})
	require.NoError(t, err)
	var bad *job.InvalidError
	require.ErrorAs(t, us[0].Err, &bad)
	require.Equal(t, "status", bad.Field)
	require.ErrorIs(t, us[1].Err, job.ErrNotFound)
}

func TestReportAfterExpiryIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	b.steady(10*time.Minute + time.Second)
	b.requireStatus(j, job.Expired, job.NoResult)
	u := b.report(j, job.Succeeded, "better late")
	require.ErrorIs(t, u.Err, job.ErrFinal)
	require.Equal(t, job.Expired, u.Job.Status)
	require.Equal(t, "better late", u.Job.Late[0].Output)
}

func TestWordsPutOffExpiry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	hold := []job.Hold{{ID: j.ID, Lease: j.Lease}}
	b.steady(9 * time.Minute)
	require.NoError(t, b.Output(b.ctx, b.caller, j.ID, j.Lease, job.OutputChunk{Seq: 1, Text: "still at it\n"}))
	b.steady(9 * time.Minute)
	b.requireStatus(j, job.Sent, "")
	b.poll(job.PollRequest{Running: hold})
	b.steady(9 * time.Minute)
	b.requireStatus(j, job.Sent, "")
	for range 5 {
		b.poll(job.PollRequest{Running: hold})
		b.steady(9 * time.Minute)
	}
	b.requireStatus(j, job.Expired, job.MaxRun)
	require.Equal(t, hold, b.poll(job.PollRequest{Running: hold}).Cancel, "what ran too long is to be stopped")
}

func TestOutput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.push("one")
	j := b.take()
	out := func(lease string, seq int64, text string) error {
		return b.Output(b.ctx, b.caller, j.ID, lease, job.OutputChunk{Seq: seq, Text: text})
	}
	require.NoError(t, out(j.Lease, 1, "a\n"))
	require.NoError(t, out(j.Lease, 1, "a\n"), "a repetition is ignored")
	var gap *job.GapError
	require.ErrorAs(t, out(j.Lease, 3, "c\n"), &gap)
	require.EqualValues(t, 2, gap.Expected)
	require.ErrorIs(t, out("other", 2, "b\n"), job.ErrLease)
	require.NoError(t, out(j.Lease, 2, "b\n"))
	us, err := b.Report(b.ctx, b.caller, []job.Report{{ID: j.ID, Lease: j.Lease, Status: job.Succeeded}})
	require.NoError(t, err)
	require.NoError(t, us[0].Err)
	got, err := b.Job(b.ctx, j.Space, j.ID)
	require.NoError(t, err)
	require.Equal(t, "a\nb\n", got.Result.Output, "without an output of its own the streamed one stands")
	require.ErrorIs(t, out(j.Lease, 3, "c\n"), job.ErrFinal)
}

func TestApproval(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ask := func() job.Job {
		created, err := b.Create(b.ctx, []job.Entry{{Draft: &job.Draft{Space: job.DefaultSpace, Agent: "web-1", Message: "drop", NeedsApproval: true}}})
		require.NoError(t, err)
		return created[0].Job
	}
	j := ask()
	require.Empty(t, b.poll(job.PollRequest{Max: 1}).Jobs)
	_, err := b.Approve(b.ctx, j.Space, j.ID, "terminal:bob", true)
	require.NoError(t, err)
	require.Len(t, b.poll(job.PollRequest{Max: 1}).Jobs, 1)

	denied, err := b.Approve(b.ctx, j.Space, ask().ID, "terminal:bob", false)
	require.NoError(t, err)
	require.Equal(t, job.Denied, denied.Reason)

	late := ask()
	b.steady(10 * time.Minute)
	b.requireStatus(late, job.Queuing, "")
	gone, err := b.Approve(b.ctx, late.Space, late.ID, "terminal:bob", true)
	require.NoError(t, err)
	require.Equal(t, job.AgentOffline, gone.Reason, "approval checks the agent again")
}

func TestCreateAnswersEachEntry(t *testing.T) {
	t.Parallel()
	b := setup(t)
	draft := func(agent, message string) job.Entry {
		return job.Entry{Draft: &job.Draft{Space: job.DefaultSpace, Agent: agent, Message: message}}
	}
	created, err := b.Create(b.ctx, []job.Entry{
		draft("web-1", " \n"), draft("web-1", "a\x00b"), draft("web-1", "\xff"), draft("nobody", "x"),
		draft("Not A Name", "x"), draft("web-1", string(make([]byte, 70<<10))), draft("web-1", "fine"),
	})
	require.NoError(t, err)
	for i, want := range []string{"is empty", "NUL", "UTF-8", "no such agent", "no such agent", "at most", ""} {
		if want == "" {
			require.NoError(t, created[i].Err)
			require.NotEmpty(t, created[i].Job.Code())
			continue
		}
		require.ErrorContains(t, created[i].Err, want)
	}
}
