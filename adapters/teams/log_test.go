package teams

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/letserverrun/skadi/core/chat"
)

// Strangers can call as often as they like, and fill no log.
func TestStrangersFillNoLog(t *testing.T) {
	t.Parallel()
	r := receive(t)
	now := time.Now()
	r.a.env.Clock = func() time.Time { return now }
	call := func() {
		w := r.serve(r.requestWith([]byte("{}"), "Bearer nonsense"))
		assert.Equal(t, http.StatusUnauthorized, w.Code)
	}
	for range 50 {
		call()
	}
	now = now.Add(chat.StrangersEvery + time.Second)
	call()
	assert.Equal(t, 2, strings.Count(r.log.String(), "does not prove"), r.log)
}

// Nor do they while the keys cannot be had, by keys that they make up.
func TestStrangersFillNoLogWhileKeysAreAway(t *testing.T) {
	t.Parallel()
	r := receive(t, func(cfg *Config) { cfg.OpenIDMetadataURL = "http://127.0.0.1:9/" })
	for range 50 {
		w := r.serve(r.requestWith([]byte("{}"), "Bearer "+r.token(func(h, _ map[string]any) { h["kid"] = "made up" })))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	}
	assert.LessOrEqual(t, strings.Count(r.log.String(), "cannot be checked"), 1, r.log)
}
