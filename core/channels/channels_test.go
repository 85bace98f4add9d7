package channels

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// open can be written in, mute cannot, and odd opens something else.
type (
	open struct{ chat.Adapter }
	mute struct{ chat.Adapter }
	odd  struct{ chat.Adapter }
)

func (open) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	if channel == "away" {
		return chat.ConversationRef{}, errors.New("away")
	}
	return chat.ConversationRef{Account: "work", Channel: channel, Key: channel}, nil
}

func (open) CheckChannel(channel string) error {
	if strings.HasPrefix(channel, "#") {
		return errors.New("it is no ID")
	}
	return nil
}

func (odd) Open(context.Context, string) (chat.ConversationRef, error) {
	return chat.ConversationRef{Account: "work", Key: "C1"}, nil
}

type accounts map[string]chat.Adapter

func (a accounts) Adapter(name string) (chat.Adapter, bool) {
	adapter, ok := a[name]
	return adapter, ok
}

var all = accounts{"work": open{}, "ci": mute{}, "odd": odd{}}

func TestBookChecksItsPlaces(t *testing.T) {
	t.Parallel()
	b := New(map[string]Channel{
		"ops": {Account: "work", Channel: "C1"}, "ci": {Account: "ci", Channel: "C1"}, "gone": {Account: "gone", Channel: "C1"},
		"named": {Account: "work", Channel: "#ops"}, "odd": {Account: "odd", Channel: "#ops"},
	}, Alerts{}, all)
	err := b.Check()
	require.ErrorContains(t, err, `channels.ci.account: the account "ci" is of a kind that answers only who wrote to it`)
	require.ErrorContains(t, err, `channels.gone.account: no adapter has the name "gone"`)
	require.ErrorContains(t, err, `channels.named.channel: it is no ID`)
	assert.NotContains(t, err.Error(), "channels.ops")
	assert.NotContains(t, err.Error(), "channels.odd", "its adapter does not say what its channels are called")
	var bad *PlaceError
	require.ErrorAs(t, b.Opens(chat.Destination{Account: "work", Channel: "#ops"}), &bad)
	assert.Equal(t, "channel", bad.Key)
	require.ErrorAs(t, b.Opens(chat.Destination{Account: "ci", Channel: "#ops"}), &bad)
	assert.Equal(t, "account", bad.Key)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	b := New(nil, Alerts{}, all)
	ref, err := b.Open(t.Context(), chat.Destination{Account: "work", Channel: "C1"})
	require.NoError(t, err)
	assert.Equal(t, "C1", ref.Key)
	for _, to := range []chat.Destination{{Account: "work", Channel: "away"}, {Account: "ci", Channel: "C1"}, {Account: "gone"}, {Account: "odd", Channel: "C1"}} {
		_, err := b.Open(t.Context(), to)
		require.Error(t, err, to)
	}
}

func TestWhoIsToldOfOutages(t *testing.T) {
	t.Parallel()
	b := New(map[string]Channel{"ops": {Account: "work", Channel: "C1"}, "dba": {Account: "work", Channel: "C2"}, "broken": {Account: "work", Channel: "away"}}, Alerts{
		Offline: "ops",
		For: []AlertFor{
			{Agents: []string{"db-test-*"}}, {Agents: []string{"db-*", "cache"}, Offline: "dba"}, {Agents: []string{"x"}, Offline: "broken"},
		},
	}, all)
	for agent, want := range map[string]string{"web-1": "C1", "db-1": "C2", "cache": "C2", "db-test-1": ""} {
		ref, ok, err := b.Offline(t.Context(), job.DefaultSpace, agent)
		require.NoError(t, err, agent)
		assert.Equal(t, want != "", ok, agent)
		assert.Equal(t, want, ref.Channel, agent)
	}
	_, ok, err := b.Offline(t.Context(), "tenant", "web-1")
	assert.False(t, ok, "channels are of one space")
	require.NoError(t, err)
	_, _, err = b.Offline(t.Context(), job.DefaultSpace, "x")
	require.Error(t, err)
	_, ok, err = New(nil, Alerts{}, all).Offline(t.Context(), job.DefaultSpace, "web-1")
	assert.False(t, ok)
	require.NoError(t, err)
}

func TestDeniedTellsNothing(t *testing.T) {
	t.Parallel()
	b := New(map[string]Channel{"secret": {Account: "work", Channel: "C1", Agents: []string{"db-*"}}}, Alerts{}, all)
	var texts []string
	for _, name := range []string{"secret", "absent"} {
		_, err := b.Speak(t.Context(), job.DefaultSpace, "web-1", name)
		var denied *DeniedError
		require.ErrorAs(t, err, &denied)
		texts = append(texts, strings.ReplaceAll(err.Error(), name, "NAME"))
	}
	assert.Equal(t, texts[0], texts[1], "an agent cannot find out which channels there are")
	_, err := b.Speak(t.Context(), job.DefaultSpace, "db-1", "secret")
	require.NoError(t, err)
}
