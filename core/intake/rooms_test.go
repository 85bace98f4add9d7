package intake

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// followed is a message in a thread where Skadi takes part, to nobody in
// particular.
func (w *world) followed(from chat.Sender, text string) chat.Inbound {
	m := w.message(from, text)
	m.Addressed, m.Followed = false, true
	return m
}

func TestCommandsInAThreadAreCarriedOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	caused := w.accept(w.followed(ada, "web-1 deploy v1.2.3"))
	require.Len(t, caused, 1)
	assert.Equal(t, "deploy v1.2.3", w.job(caused[0].Subject).Message)
	caused = w.accept(w.followed(ada, "agents"))
	require.Len(t, caused, 1)
	assert.Contains(t, caused[0].Text, "web-1")
	// What is refused was meant for Skadi, so that is said.
	caused = w.accept(w.followed(ada, "web-1 format c"))
	require.Len(t, caused, 1)
	assert.True(t, caused[0].Refused)
}

func TestTalkInAThreadIsPassedOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, text := range []string{
		"that looks bad", "output looks bad", "output looks 2", "help me understand", "why though", "", "vault open", "nobody status", "jobs are hard to find", "\x00", "\xff",
	} {
		assert.Empty(t, w.accept(w.followed(ada, text)), text)
	}
	// Not even a stranger is told anything, and the conversation's default
	// agent gets no talk.
	assert.Empty(t, w.accept(w.followed(chat.Sender{Account: "work", Workspace: "T1", User: "nobody"}, "web-1 status")))
	w.accept(w.message(ada, "use web-1"))
	assert.Empty(t, w.accept(w.followed(ada, "status")))
	assert.Equal(t, 0, w.countJobs(job.DefaultSpace))
	assert.Empty(t, w.audit())

	w.broken.agent = errors.New("the database is away")
	require.Error(t, w.inbox().Accept(w.ctx, w.followed(ada, "web-1 status")), "it must be delivered again")
}

func TestAnIntroduction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.message(chat.Sender{Account: "work", Workspace: "T1", User: "nobody"}, "")
	m.Addressed, m.Joined = false, true
	caused := w.accept(m)
	require.Len(t, caused, 1)
	assert.Equal(t, job.EventMessage, caused[0].Kind)
	assert.Equal(t, &ops, caused[0].Conversation)
	assert.Contains(t, caused[0].Text, "`help`")
	assert.False(t, caused[0].Refused)
}

func TestGroupsOfTheChannel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	policy, err := access.New(access.Rules{Rules: []access.Rule{
		{Who: []string{"work:T1/SOPS"}, Agents: []string{"web-*"}, May: []string{"status"}},
		{Who: []string{"work:T2/*"}, Agents: []string{"db"}, May: []string{"status"}},
	}})
	require.NoError(t, err)
	w.conf.Policy = func() *access.Policy { return policy }
	grace := chat.Sender{Account: "work", Workspace: "T1", User: "grace"}

	m := w.message(grace, "web-1 status")
	m.Groups = []string{"T1/SDEV", "T1/SOPS"}
	require.Len(t, w.accept(m), 1)
	require.Equal(t, 1, w.countJobs(job.DefaultSpace))

	for what, groups := range map[string][]string{"no group": nil, "others": {"T1/SDEV", "T2/SOPS"}, "a part of it": {"SOPS", "T1"}} {
		m := w.message(grace, "web-1 status")
		m.Groups = groups
		w.accept(m)
		require.Equal(t, 1, w.countJobs(job.DefaultSpace), what)
	}
	m = w.message(grace, "db status")
	m.Groups = []string{"T2/SDEV"}
	w.accept(m)
	require.Equal(t, 1, w.countJobs(job.DefaultSpace), "a group of a workspace makes nobody belong to it")
}

func TestOverview(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first, second := w.sends(ada, "web-1 status"), w.sends(ada, "web-1 deploy v1.2.3")
	w.sends(root, "web-1 status")
	_, err := w.jobs.Cancel(w.ctx, job.DefaultSpace, first.ID, "ada")
	require.NoError(t, err)
	policy, err := access.New(access.Rules{Rules: []access.Rule{
		{Who: []string{ada.Principal()}, Agents: []string{"web-*"}, May: []string{"status", "deploy *"}},
		{Who: []string{ada.Principal()}, Agents: []string{"db"}, In: []string{"work:elsewhere"}, May: []string{"status"}},
	}})
	require.NoError(t, err)
	w.conf.Policy = func() *access.Policy { return policy }
	v := New(w.conf).Viewer(job.DefaultSpace, "work")

	o, err := v.Overview(w.ctx, ada, nil)
	require.NoError(t, err)
	require.Len(t, o.Agents, 2)
	assert.Equal(t, []string{"web-1", "web-2"}, []string{o.Agents[0].Name, o.Agents[1].Name})
	assert.True(t, o.Agents[0].Online)
	assert.False(t, o.Agents[1].Online)
	require.Len(t, o.Jobs, 2)
	assert.Equal(t, second.Code(), o.Jobs[0].Code)
	assert.Equal(t, []chat.Button{{Label: "Cancel", Command: "cancel " + second.Code(), Danger: true}}, o.Jobs[0].Buttons)
	assert.Equal(t, chat.MarkCanceled, o.Jobs[1].Mark)
	assert.Equal(t, []chat.Button{{Label: "Run again", Command: "rerun " + first.Code()}}, o.Jobs[1].Buttons)

	o, err = v.Overview(w.ctx, chat.Sender{Account: "work", Workspace: "T1", User: "nobody"}, nil)
	require.NoError(t, err)
	assert.Empty(t, o)
	_, err = v.Overview(w.ctx, chat.Sender{Account: "other", User: "ada"}, nil)
	assert.Error(t, err)
}
