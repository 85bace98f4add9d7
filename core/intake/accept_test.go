package intake

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

func TestNoAgentCanBeNamedLikeABuiltin(t *testing.T) {
	t.Parallel()
	for _, word := range command.Reserved() {
		var invalid *job.InvalidError
		assert.ErrorAs(t, job.ValidAgentName(word), &invalid, word)
	}
}

func TestAMessageBecomesAJob(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for text, want := range map[string]string{
		"web-1 deploy v1.2.3":        "deploy v1.2.3",
		"Web–1: say “hi”  you\u00a0": "say “hi”  you",
		"/skadi web-1 say a  b c d":  "say a  b c d",
		"skadi, “web-1”, deploy #42": "deploy #42",
	} {
		j := w.sends(ada, text)
		assert.Equal(t, want, j.Message)
		assert.Equal(t, "web-1", j.Agent)
		assert.Equal(t, job.Queuing, j.Status)
		assert.Equal(t, ada, j.Sender)
		assert.Equal(t, &ops, j.Conversation)
		assert.Equal(t, job.DefaultSpace, j.Space)
	}
	assert.Empty(t, w.audit())
}

func TestAnOwnersMessageMayBeAnything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const message = "  cat <<'E'\n\t“x”\u200b\n\nE"
	assert.Equal(t, message, w.sends(root, "web-1\n"+message).Message)
}

func TestAJobForAnOfflineAgentExpires(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.message(ada, "web-2 status")
	caused := w.accept(m)
	require.Len(t, caused, 2)
	j := w.job(caused[0].Subject)
	assert.Equal(t, job.Expired, j.Status)
	assert.Equal(t, job.AgentOffline, j.Reason)
}

func TestMessagesForOthersAreIgnored(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.message(ada, "web-1 status")
	m.Addressed = false
	assert.Empty(t, w.accept(m))
	m.Direct = true
	assert.Len(t, w.accept(m), 1)
}

func TestWhatCannotBeTaken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	limit := w.jobs.Limits().MessageBytes
	for name, tc := range map[string]struct{ text, want string }{
		"empty":              {"", "There was nothing in that message."},
		"white space":        {" \n\u200b", "There was nothing in that message."},
		"no message":         {"web-1 \n", "What should web-1 do? The message is empty.\nweb-1 deploy VERSION  put a version online\nweb-1 status          is it well?\nThis refusal is r-"},
		"no UTF-8":           {"web-1 deploy \xff", "This was not understood: the message is not valid UTF-8 text.\nThis refusal is r-"},
		"NUL":                {"web-1 deploy \x00", "This was not understood: the message contains a NUL character."},
		"message too long":   {"web-1 say " + strings.Repeat("x", limit), "Not sent to web-1: the message is 65540 bytes long; at most 65536 are taken."},
		"text too long":      {strings.Repeat("x", limit+2000), "This was not understood: the message is 67536 bytes long, and at most 66560 are taken."},
		"built-in too short": {"cancel", "Type it like this: `cancel <code>` (stop a job)."},
		"built-in too long":  {"agents please", "Type it like this: `agents` (the agents and whether they are online)."},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			got := w.ask(ada, tc.text)
			assert.True(t, got.Refused)
			assert.True(t, strings.HasPrefix(got.Text, tc.want), "got %q", got.Text)
		})
	}
	assert.Zero(t, w.countJobs(job.DefaultSpace))
}

func TestAdaptersMustVouchForTheirOwn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, change := range map[string]func(*chat.Inbound){
		"no ID":                     func(m *chat.Inbound) { m.ID = "" },
		"another account's sender":  func(m *chat.Inbound) { m.Sender.Account = "token" },
		"no user":                   func(m *chat.Inbound) { m.Sender.User = "" },
		"another account's channel": func(m *chat.Inbound) { m.Conversation.Account = "mail" },
		"no conversation":           func(m *chat.Inbound) { m.Conversation.Key = "" },
	} {
		m := w.message(ada, "web-1 status")
		change(&m)
		assert.Error(t, w.inbox().Accept(w.ctx, m), name)
	}
	assert.Empty(t, w.events())
}

func TestMessageIDsOfAnyKindAreKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	long := "<" + strings.Repeat("x", 900)
	for _, id := range []string{long + "1>", long + "2>", "\xff", "\xfe", "a\x00b", "a\x00c", "é"} {
		m := w.message(ada, "web-1 status")
		m.ID = id
		assert.Len(t, w.accept(m), 1, "%q", id)
	}
}

func TestAccountsDoNotShareMessageIDs(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.message(ada, "web-1 status")
	assert.Len(t, w.accept(m), 1)
	in := New(w.conf)
	m.Sender.Account, m.Conversation.Account = "mail", "mail"
	caused := w.said(func() { require.NoError(t, in.Inbox(job.DefaultSpace, "mail").Accept(w.ctx, m)) })
	require.Len(t, caused, 1)
	assert.Equal(t, strangerText, caused[0].Text, "mail:T1/ada is somebody else")
}

func TestNothingCrossesSpaces(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 deploy v1")
	other := New(w.conf).Inbox("other", "work")
	answers := func(text string) string {
		t.Helper()
		m := w.message(root, text)
		caused := w.said(func() { require.NoError(t, other.Accept(w.ctx, m)) })
		require.Len(t, caused, 1)
		require.Equal(t, job.EventMessage, caused[0].Kind)
		require.Equal(t, "other", caused[0].Space)
		return caused[0].Text
	}
	assert.Contains(t, answers("web-1 deploy v1"), "“web-1” is no agent that you may use")
	assert.Contains(t, answers("agents"), "There is no agent")
	assert.Contains(t, answers("jobs"), "There are no jobs")
	for _, verb := range []string{"job", "output", "cancel", "rerun", "why", "approve"} {
		assert.Contains(t, answers(verb+" "+j.Code()), "There is no job")
	}
	for _, text := range []string{"pause web-1", "use web-1", "help web-1"} {
		assert.Contains(t, answers(text), "There is no agent “web-1”")
	}
	assert.Zero(t, w.countJobs("other"))
	assert.Equal(t, job.Queuing, w.job(j.ID).Status)
}

func TestWhatTheChannelRefusesIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.inbox()
	m := w.message(root, "web-1 status")
	m.Refused, m.Direct, m.Addressed, m.Followed = "Not done: a file came along.", false, false, true
	accept := func() { require.NoError(t, b.Accept(w.ctx, m)) }
	caused := w.said(accept)
	require.Len(t, caused, 1)
	assert.True(t, caused[0].Refused)
	assert.Regexp(t, `^Not done: a file came along\.\nThis refusal is r-[0-9a-z]{8}\.$`, caused[0].Text)
	assert.Empty(t, w.said(accept), "the same message again")

	m = w.message(root, "thanks, see the file")
	m.Refused, m.Direct, m.Addressed, m.Followed = "Not done: a file came along.", false, false, true
	assert.Empty(t, w.said(accept), "people talk")

	m = w.message(stranger, "web-1 status")
	m.Refused = "Not done: your mail names web-1 and web-2."
	caused = w.said(accept)
	require.Len(t, caused, 1)
	assert.Equal(t, strangerText, caused[0].Text)
	assert.Zero(t, w.countJobs(job.DefaultSpace))
}

func TestAStrangerLearnsNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.conf.StrangerEvery, w.conf.Strangers = time.Minute, 2
	b := w.inbox()
	told := func(from chat.Sender, text string) []job.Event {
		t.Helper()
		m := w.message(from, text)
		return w.said(func() { require.NoError(t, b.Accept(w.ctx, m)) })
	}
	for _, text := range []string{"web-1 status", "help", "agents", "nonsense", "whoami", "", "\xff"} {
		caused := told(stranger, text)
		require.Len(t, caused, 1)
		assert.Equal(t, strangerText, caused[0].Text)
		assert.True(t, caused[0].Refused)
		assert.Empty(t, told(stranger, text), "not again so soon")
		w.pass(time.Minute)
	}
	assert.Len(t, w.audit(), 7, "what was answered is on record")

	others := []chat.Sender{{Account: "work", User: "x"}, {Account: "work", User: "y"}, {Account: "work", User: "z"}}
	assert.Len(t, told(others[0], "help"), 1)
	assert.Len(t, told(others[1], "help"), 1)
	assert.Empty(t, told(others[2], "help"), "too many strangers")
	w.pass(-24 * time.Hour)
	assert.Len(t, told(others[2], "help"), 1, "a clock set back silences nobody")
	assert.Zero(t, w.countJobs(job.DefaultSpace))
}

func TestAStrangersAnswerSurvivesAFailure(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b, m := w.inbox(), w.message(stranger, "help")
	w.broken.create = job.ErrUnavailable
	require.ErrorIs(t, b.Accept(w.ctx, m), job.ErrUnavailable)
	w.broken.create = nil
	assert.Len(t, w.said(func() { require.NoError(t, b.Accept(w.ctx, m)) }), 1)
	assert.Len(t, w.audit(), 1)
}

func TestNobodyIsKnownWithoutAPolicy(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.conf.Policy = func() *access.Policy { return nil }
	assert.Equal(t, strangerText, w.ask(root, "web-1 status").Text)
}

func TestFailuresStoreNothing(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	for name, tc := range map[string]struct {
		fail func(*broken)
		text string
	}{
		"a job":            {func(b *broken) { b.create = away }, "web-1 status"},
		"an answer":        {func(b *broken) { b.create = away }, "help"},
		"a refusal":        {func(b *broken) { b.create = away }, "web-1 reboot"},
		"an agent":         {func(b *broken) { b.agent = away }, "web-1 status"},
		"an agent to help": {func(b *broken) { b.agent = away }, "help web-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			m := w.message(ada, tc.text)
			tc.fail(w.broken)
			err := w.inbox().Accept(w.ctx, m)
			require.ErrorIs(t, err, away)
			assert.Contains(t, err.Error(), m.ID)
			assert.Empty(t, w.events())
			*w.broken = broken{jobSide: w.jobs}
			assert.Len(t, w.accept(m), 1, "the redelivery is taken")
		})
	}
}

func TestAcceptBoundsItsTime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.conf.Timeout = 10 * time.Millisecond
	w.broken.hang = true
	err := w.inbox().Accept(w.ctx, w.message(ada, "web-1 status"))
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestDecisionsUseTheRulesOfTheMoment(t *testing.T) {
	t.Parallel()
	w := setup(t)
	policy := w.conf.Policy()
	w.conf.Policy = func() *access.Policy { return policy }
	b := w.inbox()
	none, err := access.New(access.Rules{}, eve.Principal())
	require.NoError(t, err)
	require.NoError(t, b.Accept(w.ctx, w.message(ada, "web-1 status")))
	policy = none
	caused := w.said(func() { require.NoError(t, b.Accept(w.ctx, w.message(ada, "web-1 status"))) })
	require.Len(t, caused, 1)
	assert.Equal(t, strangerText, caused[0].Text)
}
