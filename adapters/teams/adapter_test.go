package teams

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

// answered makes a client whose calls are answered by f, with no network.
func answered(f func(path string) (status int, header http.Header, body string)) *http.Client {
	return &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		status, header, body := f(r.URL.Path)
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status), Header: header, Request: r,
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	})}
}

const goodToken = `{"token_type":"Bearer","expires_in":3600,"access_token":"` + farToken + `"}`

func TestRunWaitsTroubleOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		calls, began := 0, time.Now()
		var logged time.Time
		client := answered(func(path string) (int, http.Header, string) {
			if !strings.HasSuffix(path, "/token") {
				return http.StatusNotFound, nil, ""
			}
			switch calls++; calls {
			case 1:
				return http.StatusServiceUnavailable, nil, ""
			case 2:
				return http.StatusTooManyRequests, http.Header{"Retry-After": {"86400"}}, ""
			}
			logged = time.Now()
			return http.StatusOK, nil, goodToken
		})
		a, err := New(Config{AppID: farApp, AppPassword: farPassword, TenantID: farTenant}, chat.Env{
			Account: "work", HTTP: client, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		<-time.After(2 * waitMost) // of the bubble, where it passes at once
		synctest.Wait()
		assert.Equal(t, 3, calls)
		assert.InDelta(t, waitMost.Seconds(), logged.Sub(began).Seconds(), 60)
		cancel()
		require.NoError(t, <-done)
		assert.Contains(t, log.String(), "logged in")
		assert.Contains(t, log.String(), "the keys of the Bot Framework were not fetched", "which is known before a message comes")
		assert.NotContains(t, log.String(), farPassword)
		assert.NotContains(t, log.String(), farToken)
	})
}

// TestRunReportsKeysThatCannotBeHad: without them no call is believed, though
// Microsoft gives out tokens.
func TestRunReportsKeysThatCannotBeHad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newMicrosoft(t, time.Now)
		f.srv.Close() // what it serves is asked for without a network
		var mended atomic.Bool
		client := answered(func(path string) (int, http.Header, string) {
			switch {
			case strings.HasSuffix(path, "/token"):
				return http.StatusOK, nil, goodToken
			case !mended.Load():
				return http.StatusBadGateway, nil, ""
			case strings.HasSuffix(path, "/metadata"):
				return http.StatusOK, nil, mustJSON(t, f.metadata)
			}
			return http.StatusOK, nil, mustJSON(t, map[string]any{"keys": f.keys})
		})
		var reports []error // by Run alone
		a, err := New(f.config(), chat.Env{Account: "work", HTTP: client, Reported: func(err error) { reports = append(reports, err) }})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		<-time.After(5 * time.Minute)
		synctest.Wait()
		require.Greater(t, len(reports), 3)
		require.ErrorIs(t, reports[0], chat.ErrConnecting)
		for _, err := range reports[1:] {
			require.ErrorIs(t, err, errKeysAway)
		}
		mended.Store(true)
		<-time.After(5 * time.Minute)
		synctest.Wait()
		require.NoError(t, reports[len(reports)-1])
		cancel()
		require.NoError(t, <-done)
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestRunEndsWhereTheCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	client := answered(func(string) (int, http.Header, string) {
		return http.StatusUnauthorized, nil, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`
	})
	a, err := New(Config{AppID: farApp, AppPassword: farPassword, TenantID: farTenant}, chat.Env{Account: "work", HTTP: client})
	require.NoError(t, err)
	err = a.Run(t.Context())
	require.ErrorContains(t, err, "app_password")
	assert.NotContains(t, err.Error(), farPassword)
	assert.Equal(t, chat.Auth, chat.Classify(err).Class)
}

func TestRunEndsWhileItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := answered(func(string) (int, http.Header, string) { return http.StatusBadGateway, nil, "" })
		a, err := New(Config{AppID: farApp, AppPassword: farPassword, TenantID: farTenant}, chat.Env{Account: "work", HTTP: client})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		require.NoError(t, a.Run(ctx))
	})
}

func TestKeysAreFetchedBeforeTheyAreNeeded(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.NoError(t, c.v.keys.warm(t.Context()))
	assert.Equal(t, [2]int{1, 1}, c.fetched())
	require.NoError(t, c.v.keys.warm(t.Context()))
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.Equal(t, [2]int{1, 1}, c.fetched())
}

// A Run that ends while it fetches leaves nothing behind for the next.
func TestFetchingAheadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	way := &meanwhile{f: cancel}
	c := check(t, func(_ *Config, env *chat.Env) { env.HTTP = &http.Client{Transport: way} })
	require.Error(t, c.v.keys.warm(ctx))
	require.Error(t, c.v.keys.warm(ctx))
	assert.Zero(t, c.fetched()[1])
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
}
