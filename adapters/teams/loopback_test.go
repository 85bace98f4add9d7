package teams

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func unauthenticated(cfg *Config) { cfg.UnauthenticatedLoopback, cfg.AppPassword = true, "" }

func TestUnauthenticatedLoopback(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		change func(r *http.Request)
		want   int
	}{
		"IPv4":                    {func(*http.Request) {}, 200},
		"IPv6":                    {func(r *http.Request) { r.RemoteAddr = "[::1]:9" }, 200},
		"IPv4 in IPv6":            {func(r *http.Request) { r.RemoteAddr = "[::ffff:127.0.0.1]:9" }, 200},
		"by its address":          {func(r *http.Request) { r.Host = "127.0.0.1:8080" }, 200},
		"by its IPv6 address":     {func(r *http.Request) { r.Host = "[::1]:8080" }, 200},
		"without a port":          {func(r *http.Request) { r.Host = "[::1]" }, 200},
		"with a token of anybody": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 200},
		"from elsewhere":          {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:9" }, 403},
		"from elsewhere, private": {func(r *http.Request) { r.RemoteAddr = "10.0.0.1:9" }, 403},
		"from a zone":             {func(r *http.Request) { r.RemoteAddr = "[fe80::1%lo]:9" }, 403},
		"from nowhere":            {func(r *http.Request) { r.RemoteAddr = "" }, 403},
		"from a socket":           {func(r *http.Request) { r.RemoteAddr = "@" }, 403},
		"for another host":        {func(r *http.Request) { r.Host = "skadi.example.com" }, 403},
		"for a host like it":      {func(r *http.Request) { r.Host = "localhost.example.com:80" }, 403},
		"for no host":             {func(r *http.Request) { r.Host = "" }, 403},
		"by a proxy":              {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") }, 403},
		"by a proxy, RFC 7239":    {func(r *http.Request) { r.Header.Set("Forwarded", "for=127.0.0.1") }, 403},
		"by a proxy, its name":    {func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") }, 403},
		"by nginx":                {func(r *http.Request) { r.Header.Set("X-Real-IP", "192.0.2.1") }, 403},
		"by a tunnel":             {func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "x.devtunnels.ms") }, 403},
		"by a page":               {func(r *http.Request) { r.Header.Set("Origin", "https://example.com") }, 403},
		"by a page, no origin":    {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := receive(t, unauthenticated)
			r := httptest.NewRequest(http.MethodPost, "http://localhost:8080/messages", bytes.NewReader(encoded(f.message(hello))))
			r.RemoteAddr = "127.0.0.1:9"
			one.change(r)
			assert.Equal(t, one.want, f.serve(r).Code)
			assert.Len(t, f.got, map[int]int{200: 1}[one.want])
		})
	}
}

// What comes from this machine is still looked at.
func TestUnauthenticatedIsNotUnchecked(t *testing.T) {
	t.Parallel()
	f := receive(t, unauthenticated)
	for path, value := range map[string]any{
		"channelId": "webchat", "serviceUrl": "https://example.com/", "channelData.tenant.id": farApp, "from.aadObjectId": nil,
	} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/messages", bytes.NewReader(encoded(with(f.message(hello), path, value))))
		r.RemoteAddr = "127.0.0.1:9"
		assert.Equal(t, http.StatusForbidden, f.serve(r).Code, path)
	}
	assert.Empty(t, f.got)
}

func TestUnauthenticatedIsSaidLoudly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := receive(t, unauthenticated)
	require.NoError(t, f.a.Run(ctx))
	assert.Contains(t, f.log.String(), "level=WARN")
	assert.Contains(t, f.log.String(), "unauthenticated_loopback")
	f = receive(t)
	require.NoError(t, f.a.Run(ctx))
	assert.NotContains(t, f.log.String(), "unauthenticated_loopback")
}

func TestALoopbackCallerNeedsATokenOtherwise(t *testing.T) {
	t.Parallel()
	f := receive(t)
	r := httptest.NewRequest(http.MethodPost, "http://localhost/messages", bytes.NewReader(encoded(f.message(hello))))
	r.RemoteAddr = "127.0.0.1:9"
	assert.Equal(t, http.StatusUnauthorized, f.serve(r).Code)
}
