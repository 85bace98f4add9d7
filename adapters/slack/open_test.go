package slack

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	a := &Adapter{env: chat.Env{Account: "work"}}
	ref, err := a.Open(t.Context(), "C0123")
	require.NoError(t, err)
	assert.Equal(t, "work", ref.Account)
	assert.Equal(t, "C0123", ref.Channel)
	assert.Equal(t, "C0123", ref.Key)
	_, err = b.Send(t.Context(), chat.Outbound{ID: "e.0", To: ref, Text: "hello"})
	require.NoError(t, err)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.calls)
	assert.Equal(t, "C0123", b.calls[0].form.Get("channel"))
	assert.Empty(t, b.calls[0].form.Get("thread_ts"))

	for _, bad := range []string{"", "ops", "#ops", "C 1", "T0123", "c0123"} {
		_, err := a.Open(t.Context(), bad)
		var failed *chat.SendError
		require.True(t, errors.As(err, &failed), bad)
		assert.Equal(t, chat.Permanent, failed.Class, bad)
	}
}
