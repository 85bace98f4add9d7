package intake

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// doors opens every place but those that fail.
type doors struct{ err error }

func (d doors) Open(_ context.Context, to chat.Destination) (chat.ConversationRef, error) {
	return chat.ConversationRef{Account: to.Account, Channel: to.Channel, Key: to.Channel}, d.err
}

var (
	elsewhere = &chat.Destination{Account: "talk", Channel: "C9"}
	there     = chat.ConversationRef{Account: "talk", Channel: "C9", Key: "C9"}
	commit    = chat.ConversationRef{Account: "work", Channel: "commits", Key: "commits/abc"}
)

func TestAnswersGoWhereTheMessageSays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.conf.Places = doors{}
	w.conf.Callback = func(string) error { return nil }
	m := w.message(ada, "web-1 deploy v1.2.3")
	m.ReplyTo, m.Also, m.CallbackURL = elsewhere, []chat.ConversationRef{commit}, "https://ci.example.com/done"
	caused := w.accept(m)
	require.Len(t, caused, 2, "a status, and its copy")
	j := w.job(caused[0].JobID())
	to := there
	to.Also = []chat.ConversationRef{commit}
	assert.Equal(t, &to, j.Conversation)
	assert.Equal(t, "https://ci.example.com/done", j.CallbackURL)
	for _, e := range caused {
		assert.Equal(t, j.ID, e.JobID())
		if e.Kind == job.EventCopy {
			assert.Equal(t, &commit, e.Conversation)
			assert.Equal(t, job.Queuing, e.Status)
		}
	}
	ended := w.said(func() {
		_, err := w.jobs.Cancel(w.ctx, j.Space, j.ID, "x")
		require.NoError(t, err)
	})
	var places []string
	for _, e := range ended {
		places = append(places, string(e.Kind)+" "+e.Conversation.Account+" "+e.Conversation.Key)
	}
	assert.ElementsMatch(t, []string{"EventJobStatus talk C9", "EventCopy work commits/abc", "EventCopy callback " + j.ID}, places)

	// A refusal goes there too, and nowhere else.
	m = w.message(ada, "web-1 reboot now")
	m.ReplyTo, m.Also = elsewhere, []chat.ConversationRef{commit}
	caused = w.accept(m)
	require.Len(t, caused, 1)
	assert.Equal(t, &there, caused[0].Conversation)
	assert.True(t, caused[0].Refused)
}

func TestPlacesThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, places := range []Places{nil, doors{errors.New("no such channel")}} {
		w.conf.Places = places
		m := w.message(ada, "web-1 deploy v1.2.3")
		m.ReplyTo = elsewhere
		caused := w.said(func() {
			err := w.inbox().Accept(w.ctx, m)
			require.ErrorContains(t, err, "talk:C9")
		})
		assert.Empty(t, caused, "what cannot be answered is not carried out")
	}
}

func TestForeignCopiesAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, also := range map[string][]chat.ConversationRef{
		"another account": {there}, "no key": {{Account: "work"}}, "nested": {{Account: "work", Key: "k", Also: []chat.ConversationRef{commit}}},
		"too many": {commit, commit, commit, commit, commit},
	} {
		m := w.message(ada, "web-1 deploy v1.2.3")
		m.Also = also
		require.Error(t, w.inbox().Accept(w.ctx, m), name)
	}
}

func TestCallbackURLsOfMessages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, check := range []func(string) error{nil, func(string) error { return errors.New(`"localhost" is this machine`) }} {
		w.conf.Callback = check
		m := w.message(ada, "web-1 deploy v1.2.3")
		m.CallbackURL = "https://localhost/?token=hidden"
		caused := w.accept(m)
		require.Len(t, caused, 1)
		assert.True(t, caused[0].Refused)
		assert.Contains(t, caused[0].Text, "callback_url")
		assert.NotContains(t, caused[0].Text, "hidden")
	}
	assert.Len(t, w.audit(), 2)
}
