package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInvokes compares the answers to invokes with golden files.
func TestInvokes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(a map[string]any) map[string]any
		err    error
		want   string // the command that is handed in
	}{
		{"click", func(a map[string]any) map[string]any { return a }, nil, "cancel k7f3q2"},
		{"not_stored", func(a map[string]any) map[string]any { return a }, errors.New("no disk"), ""},
		{"not_in_time", func(a map[string]any) map[string]any { return a }, context.DeadlineExceeded, ""},
		{"refresh", func(a map[string]any) map[string]any { return with(a, "value.trigger", "automatic") }, nil, ""},
		{"no_data", func(a map[string]any) map[string]any { return with(a, "value.action.data", nil) }, nil, ""},
		{"no_command", func(a map[string]any) map[string]any { return with(a, "value.action.data.command", " ") }, nil, ""},
		{"command_of_a_number", func(a map[string]any) map[string]any { return with(a, "value.action.data.command", 7) }, nil, ""},
		{"no_value", func(a map[string]any) map[string]any { return with(a, "value", nil) }, nil, ""},
		{"stranger", func(a map[string]any) map[string]any { return with(a, "from.aadObjectId", nil) }, nil, ""},
		{"bot", func(a map[string]any) map[string]any { return with(a, "from.id", "28:"+farApp) }, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := receive(t)
			r.err = c.err
			w := r.serve(r.request(encoded(c.change(r.invoke(1, 4, 2, "cancel k7f3q2")))))
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
			sameAsGolden(t, c.name, w.Body.Bytes())
			if c.want == "" {
				assert.Empty(t, r.got)
				return
			}
			require.Len(t, r.got, 1)
			in := r.got[0]
			assert.Equal(t, c.want, in.Text)
			assert.True(t, in.Addressed)
			assert.Equal(t, "work:"+farTenant+"/"+person(1), in.Sender.Principal())
			assert.Equal(t, places[2].id, in.Conversation.Key)
			where, err := conversationOf(in.Conversation)
			require.NoError(t, err)
			assert.Empty(t, where.Asked, "there is no message to reply to")
		})
	}
}

func sameAsGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, bytes.TrimSpace(got), "", "  "))
	pretty.WriteByte('\n')
	file := filepath.Join("testdata", "invokes", name+".json")
	if *update {
		require.NoError(t, os.WriteFile(file, pretty.Bytes(), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), pretty.String())
}

func TestOtherInvokes(t *testing.T) {
	t.Parallel()
	r := receive(t)
	for _, name := range []string{"task/fetch", "composeExtension/query", "fileConsent/invoke", "signin/verifyState", "adaptiveCard/Action", ""} {
		w := r.serve(r.request(encoded(with(r.invoke(0, 1, 0, "cancel k7f3q2"), "name", name))))
		assert.Equal(t, http.StatusNotImplemented, w.Code, name)
		assert.Empty(t, w.Body)
	}
	assert.Empty(t, r.got)
}

func TestIDsOfClicks(t *testing.T) {
	t.Parallel()
	r := receive(t)
	id := func(a map[string]any) string {
		t.Helper()
		got := r.takes(t, a)
		require.Len(t, got, 1)
		return got[0].ID
	}
	first := id(r.invoke(0, 1, 2, "cancel k7f3q2"))
	assert.Equal(t, first, id(r.invoke(0, 1, 2, "cancel k7f3q2")), "a double click")
	for name, a := range map[string]map[string]any{
		"another person":       r.invoke(1, 1, 2, "cancel k7f3q2"),
		"another message":      r.invoke(0, 2, 2, "cancel k7f3q2"),
		"another conversation": r.invoke(0, 1, 1, "cancel k7f3q2"),
		"another button":       r.invoke(0, 1, 2, "rerun k7f3q2"),
	} {
		assert.NotEqual(t, first, id(a), name)
	}
	// Without the message, two clicks cannot be told to be one.
	alone := func() map[string]any { return with(r.invoke(0, 1, 2, "cancel k7f3q2"), "replyToId", nil) }
	assert.NotEqual(t, id(alone()), id(alone()))
}

// Clients that do not know Action.Execute send the data of its fallback.
func TestClicksOfOlderClients(t *testing.T) {
	t.Parallel()
	r := receive(t)
	a := with(r.activity("message", 2, 0), "value", map[string]any{"command": "cancel k7f3q2"})
	a = with(a, "replyToId", "sent-1")
	got := r.takes(t, a)
	require.Len(t, got, 1)
	assert.Equal(t, "cancel k7f3q2", got[0].Text)
	assert.True(t, got[0].Addressed)
	again := r.takes(t, with(a, "id", "1700000000999"))
	require.Len(t, again, 1)
	assert.Equal(t, got[0].ID, again[0].ID)
	execute := r.takes(t, r.invoke(0, 1, 2, "cancel k7f3q2"))
	require.Len(t, execute, 1)
	assert.Equal(t, got[0].ID, execute[0].ID, "the same button")

	assert.Empty(t, r.takes(t, with(a, "value", map[string]any{"command": 7})))
	assert.Empty(t, r.takes(t, with(a, "text", "people talk")), "what was written counts")
	assert.True(t, strings.HasPrefix(got[0].ID, "click "))
}
