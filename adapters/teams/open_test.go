package teams

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

// counted is a KV that counts what is written.
type counted struct {
	mu   sync.Mutex
	vals map[string][]byte
	sets int
	fail error
}

func (k *counted) Get(_ context.Context, key string) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok := k.vals[key]
	return v, ok, k.fail
}

func (k *counted) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.sets++
	k.vals[key] = value
	return nil
}

func (k *counted) Delete(context.Context, string) error { return nil }

func TestOpen(t *testing.T) {
	t.Parallel()
	const place = "19:abc@thread.tacv2"
	kv, now := &counted{vals: map[string][]byte{}}, time.Unix(1_700_000_000, 0)
	env := chat.Env{Account: "work", KV: kv, Clock: func() time.Time { return now }}
	a, err := New(Config{AppID: farApp, AppPassword: farPassword, TenantID: farTenant}, env)
	require.NoError(t, err)

	_, err = a.Open(t.Context(), place)
	assert.Equal(t, chat.Gone, chat.Classify(err).Class, "nothing came from there yet")

	c := conversation{
		ServiceURL: "https://smba.trafficmanager.net/emea/", ID: place + threadMark + "1", Type: inChannel, ChannelID: "msteams",
		Tenant: farTenant, Bot: account{ID: "28:bot"}, User: account{ID: "29:ada", Name: "Ada"}, Asked: "1",
	}
	for range 3 {
		require.NoError(t, a.places.remember(t.Context(), c))
	}
	assert.Equal(t, 1, kv.sets)

	ref, err := a.Open(t.Context(), place)
	require.NoError(t, err)
	assert.Equal(t, place, ref.Channel)
	assert.Equal(t, place, ref.Key)
	to, err := conversationOf(ref)
	require.NoError(t, err)
	c.ID, c.User, c.Asked = place, account{}, ""
	assert.Equal(t, c, to)

	now = now.Add(25 * time.Hour)
	require.NoError(t, a.places.remember(t.Context(), c))
	assert.Equal(t, 2, kv.sets)

	for _, bad := range []string{"", "a b", place + threadMark + "1"} {
		_, err := a.Open(t.Context(), bad)
		assert.Equal(t, chat.Permanent, chat.Classify(err).Class, bad)
	}
	c.ServiceURL = "https://smba.example.com/"
	require.NoError(t, a.places.remember(t.Context(), c))
	_, err = a.Open(t.Context(), place)
	assert.Equal(t, chat.Permanent, chat.Classify(err).Class, "its service may have been taken out of the config")
	kv.fail = errors.New("away")
	_, err = a.Open(t.Context(), place)
	assert.Equal(t, chat.Temporary, chat.Classify(err).Class)
}
