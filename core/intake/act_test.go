package intake

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

func TestRerun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.sends(ada, "web-1 say “a”  b")
	second := w.sends(root, "rerun #"+first.Code())
	assert.NotEqual(t, first.ID, second.ID)
	assert.Equal(t, first.Message, second.Message)
	assert.Equal(t, root, second.Sender, "whoever reruns it is its sender")
	assert.Equal(t, 2, w.countJobs(job.DefaultSpace))

	forbidden := w.sends(root, "web-1 reboot")
	got := w.ask(ada, "rerun "+forbidden.Code())
	assert.True(t, strings.HasPrefix(got.Text, "You may not send that to web-1: no rule lets work:T1/ada send \"reboot\""), got.Text)
	assert.True(t, got.Refused)

	require.NoError(t, w.jobs.RemoveAgent(w.ctx, job.DefaultSpace, "web-1", "test"))
	assert.Equal(t, "There is no agent “web-1” that you may use. Did you mean `web-2`?", w.ask(ada, "rerun "+first.Code()).Text)
	assert.Equal(t, 3, w.countJobs(job.DefaultSpace))
}

func TestRerunOfWhatNeedsApprovalNeedsItAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.sends(root, "db drop table")
	assert.Equal(t, job.NoApproval, first.Approval)
	m := w.message(ada, "rerun "+first.Code())
	caused := w.accept(m)
	require.Len(t, caused, 1)
	assert.Equal(t, job.ApprovalWaiting, w.job(caused[0].Subject).Approval)
}

func TestApprove(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "db drop users")
	require.Equal(t, job.ApprovalWaiting, j.Approval)
	assert.Empty(t, w.takes("db"))

	got := w.ask(ada, "approve "+j.Code())
	assert.True(t, got.Refused)
	assert.Contains(t, got.Text, "You may not approve #"+j.Code()+": work:T1/ada asked for it, and somebody else must approve it.")
	assert.Equal(t, "There is no job “#"+j.Code()+"” that you may see.", w.ask(bob, "approve "+j.Code()).Text)
	require.Equal(t, job.ApprovalWaiting, w.job(j.ID).Approval)

	assert.Equal(t, "Approved: db gets “drop users” (#"+j.Code()+").", w.ask(eve, "approve "+j.Code()).Text)
	assert.Equal(t, job.ApprovalGranted, w.job(j.ID).Approval)
	assert.Equal(t, []string{"approve", "#" + j.Code()}, []string{w.audit()[0].Action, w.audit()[0].Target})
	assert.Equal(t, "#"+j.Code()+" is approved already.", w.ask(eve, "approve "+j.Code()).Text)
	late := w.ask(eve, "deny "+j.Code())
	assert.True(t, late.Refused)
	assert.Equal(t, "#"+j.Code()+" is approved already.", late.Text)
	assert.Len(t, w.takes("db"), 1)
	assert.Contains(t, w.ask(ada, "why "+j.Code()).Text, "It needed an approval.\n")
}

func TestDeny(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "db drop users")
	assert.Equal(t, "Denied: db does not get “drop users” (#"+j.Code()+").", w.ask(eve, "deny "+j.Code()).Text)
	got := w.job(j.ID)
	assert.Equal(t, []any{job.Canceled, job.Denied}, []any{got.Status, got.Reason})
	assert.Equal(t, "#"+j.Code()+" is denied already.", w.ask(eve, "deny "+j.Code()).Text)
	assert.True(t, w.ask(eve, "approve "+j.Code()).Refused)
}

func TestApproveWhatCannotRun(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "db drop users")
	w.pass(10 * time.Minute) // db falls silent
	assert.Equal(t, "Approved, but #"+j.Code()+" is expired and db did not get “drop users”: `why "+j.Code()+"` says why.", w.ask(eve, "approve "+j.Code()).Text)
	assert.Equal(t, job.AgentOffline, w.job(j.ID).Reason)

	j = w.sends(root, "db status")
	assert.Equal(t, "#"+j.Code()+" needs no approval.", w.ask(eve, "approve "+j.Code()).Text)
}

func TestApproveCanceled(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "db drop users")
	w.ask(ada, "cancel "+j.Code())
	got := w.ask(eve, "approve "+j.Code())
	assert.Equal(t, "#"+j.Code()+" does not wait for approval any more: it is canceled.", got.Text)
	assert.True(t, got.Refused)
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	w := setup(t)
	assert.Equal(t, "web-1 is paused: it takes no jobs until `resume web-1`. What it runs now goes on.", w.ask(ada, "pause Web-1").Text)
	assert.Contains(t, w.ask(bob, "agents").Text, "‖ web-1  online; paused by work:T1/ada 0 ms ago")
	assert.Equal(t, "web-1 is paused already, by work:T1/ada.", w.ask(root, "pause web-1").Text)
	assert.Contains(t, w.ask(ada, "help web-1").Text, "`resume web-1`: let a paused agent take jobs again.")
	w.sends(ada, "web-1 status")
	assert.Empty(t, w.takes("web-1"))
	assert.Equal(t, "web-1 takes jobs again.", w.ask(ada, "resume web-1").Text)
	assert.Len(t, w.takes("web-1"), 1)
	got := w.ask(bob, "pause web-1")
	assert.True(t, got.Refused)
	assert.Contains(t, got.Text, "You may not pause web-1: no rule lets work:T1/bob pause web-1 in work:ops")
	var actions []string
	for _, r := range w.audit() {
		actions = append(actions, r.Action)
	}
	assert.ElementsMatch(t, []string{"pause", "resume", "pause"}, actions)
}

func TestALateRedeliveryUndoesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.inbox()
	pause, use := w.message(ada, "pause web-1"), w.message(ada, "use web-1")
	require.NoError(t, b.Accept(w.ctx, pause))
	require.NoError(t, b.Accept(w.ctx, use))
	w.ask(ada, "resume web-1")
	w.ask(ada, "use web-2")
	assert.Empty(t, w.said(func() {
		require.NoError(t, b.Accept(w.ctx, pause))
		require.NoError(t, b.Accept(w.ctx, use))
	}))
	a, err := w.jobs.Agent(w.ctx, job.DefaultSpace, "web-1")
	require.NoError(t, err)
	assert.True(t, a.PausedAt.IsZero())
	assert.Equal(t, "What names no agent goes to web-2 here. `use -` ends that.", w.ask(ada, "use").Text)
}

// TestACrashBetweenActAndAnswer lets the answer fail after the act was done,
// as a crash would; the redelivery must end the same as if nothing had been.
func TestACrashBetweenActAndAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"cancel", "cancel CODE", "#CODE is canceled."},
		{"approve", "approve CODE", "#CODE is approved already."},
		{"deny", "deny CODE", "#CODE is denied already."},
		{"pause", "pause db", "db is paused: it takes no jobs until `resume db`. What it runs now goes on."},
		{"resume", "resume db", "db takes jobs again."},
		{"use", "use db", "From now on, what names no agent goes to db here. `use -` ends that."},
		{"rerun", "rerun CODE", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			j := w.sends(ada, "db drop users")
			m := w.message(root, strings.ReplaceAll(tc.text, "CODE", j.Code()))
			b := w.inbox()
			crash := errors.New("crash")
			w.broken.create = crash
			statuses := w.said(func() { require.ErrorIs(t, b.Accept(w.ctx, m), crash) })
			for _, e := range statuses {
				assert.False(t, e.Kind == job.EventMessage && e.Conversation != nil, "nothing was answered")
			}
			w.broken.create = nil
			caused := w.accept(m)
			require.Len(t, caused, 1)
			assert.Equal(t, strings.ReplaceAll(tc.want, "CODE", j.Code()), caused[0].Text)
			assert.False(t, caused[0].Refused)
		})
	}
}

func TestAFailureToActIsNotAnswered(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 status")
	w.broken.cancel = job.ErrUnavailable
	m := w.message(ada, "cancel "+j.Code())
	assert.Empty(t, w.said(func() { require.ErrorIs(t, w.inbox().Accept(w.ctx, m), job.ErrUnavailable) }))
	w.broken.cancel = nil
	w.accept(m)
	assert.Equal(t, job.Canceled, w.job(j.ID).Status)
}

func TestUse(t *testing.T) {
	t.Parallel()
	w := setup(t)
	assert.Equal(t, "There is no default agent here. `use <agent>` sets one.", w.ask(ada, "use").Text)
	assert.Equal(t, "From now on, what names no agent goes to web-1 here. `use -` ends that.", w.ask(ada, "use Web-1").Text)
	j := w.sends(ada, "say  a  b")
	assert.Equal(t, []string{"web-1", "say  a  b"}, []string{j.Agent, j.Message})
	assert.Contains(t, w.ask(ada, "help").Text, "What names no agent goes to web-1 here.")
	assert.Contains(t, w.ask(ada, "dance").Text, "You may not send that to web-1")
	assert.Equal(t, "db", w.sends(root, "db status").Agent, "an agent's name goes before the default")

	// bob sees web-1, eve does not.
	assert.Equal(t, "web-1", w.sends(bob, "status").Agent)
	assert.Equal(t, "“status” is no agent that you may use and no command. `help` shows what you can do.", w.ask(eve, "status").Text)
	assert.Equal(t, "There is no default agent here. `use <agent>` sets one.", w.ask(eve, "use").Text)

	assert.Equal(t, "No default agent here any more: begin a message with an agent's name.", w.ask(ada, "use –").Text)
	assert.Contains(t, w.ask(ada, "deploy v1").Text, "“deploy” is no agent")
}

func TestUseNeedsTheRightToSend(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.ask(eve, "use db")
	assert.True(t, got.Refused)
	assert.Contains(t, got.Text, "You may not use db: no rule lets work:T1/eve send anything to db in work:ops.")
}

func TestDefaultsBelongToTheirConversation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.inbox()
	in := func(c chat.ConversationRef, direct bool, from chat.Sender, text string) job.Event {
		t.Helper()
		m := w.message(from, text)
		m.Conversation, m.Direct = c, direct
		caused := w.said(func() { require.NoError(t, b.Accept(w.ctx, m)) })
		require.Len(t, caused, 1)
		return caused[0]
	}
	thread := ops
	thread.Key = "ops/2"
	mailbox := chat.ConversationRef{Account: "work", Channel: "inbox", Key: "thread-1"}
	bare := chat.ConversationRef{Account: "work", Key: "bare"}
	in(ops, false, root, "use web-1")
	assert.Contains(t, in(thread, false, root, "use").Text, "web-1", "all threads of a channel share it")
	assert.Contains(t, in(mailbox, true, root, "use").Text, "no default agent")
	in(mailbox, true, root, "use db")
	mailbox.Key = "thread-2"
	assert.Contains(t, in(mailbox, true, root, "use").Text, "goes to db")
	assert.Contains(t, in(mailbox, true, ada, "use").Text, "no default agent", "others who write to the same mailbox do not share it")
	in(bare, false, root, "use web-2")
	assert.Contains(t, in(bare, false, root, "use").Text, "goes to web-2")
	assert.Contains(t, in(ops, false, root, "use").Text, "goes to web-1")
}

func TestADefaultAgentThatWasRemoved(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ask(root, "use web-1")
	require.NoError(t, w.jobs.RemoveAgent(w.ctx, job.DefaultSpace, "web-1", "test"))
	assert.Equal(t, "There is no agent “web-1” that you may use. Did you mean `web-2`?", w.ask(root, "status").Text)
}
