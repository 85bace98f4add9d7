package teams

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/infracloudio/msbotbuilder-go/schema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

// hands is a clock that stands still until it is put forward.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func newHands() *hands { return &hands{now: time.Unix(1_800_000_000, 0)} }

func (h *hands) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hands) forward(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// checked is a validator, and a far side whose tokens it checks.
type checked struct {
	*microsoft
	*hands
	v *validator
}

func check(t *testing.T, change ...func(cfg *Config, env *chat.Env)) *checked {
	t.Helper()
	c := &checked{hands: newHands()}
	c.microsoft = newMicrosoft(t, c.hands.clock)
	cfg, env := c.config(), chat.Env{Account: "work", Clock: c.hands.clock}
	for _, f := range change {
		f(&cfg, &env)
	}
	a, err := New(cfg, env)
	require.NoError(t, err)
	t.Cleanup(a.env.HTTP.CloseIdleConnections)
	c.v = a.validator
	return c
}

// status is how a call with that token would be answered; 200 if it is believed.
func (c *checked) status(t *testing.T, header string) int {
	t.Helper()
	_, err := c.v.verify(t.Context(), header)
	return statusOf(t, err)
}

func statusOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return http.StatusOK
	}
	var d *denial
	require.ErrorAs(t, err, &d)
	return d.status
}

// fetched is how often the metadata and the keys were.
func (c *checked) fetched() [2]int {
	c.microsoft.mu.Lock()
	defer c.microsoft.mu.Unlock()
	return [2]int{c.fetchedMeta, c.fetchedKeys}
}

// serves changes what the far side serves.
func (c *checked) serves(change func(f *microsoft)) {
	c.microsoft.mu.Lock()
	defer c.microsoft.mu.Unlock()
	change(c.microsoft)
}

func (c *checked) goodHeader() string { return "Bearer " + c.token() }

func (c *checked) signedBy(kid string) string {
	return "Bearer " + c.token(func(h, _ map[string]any) { h["kid"] = kid })
}

func TestKeysAreFetchedOnceForManyCalls(t *testing.T) {
	t.Parallel()
	c := check(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader())) })
	}
	all.Wait()
	c.forward(keysFresh - time.Minute)
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.Equal(t, [2]int{1, 1}, c.fetched())
}

func TestKeysAreRenewedEveryDay(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	c.forward(keysFresh)
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.Equal(t, [2]int{2, 2}, c.fetched())
}

func TestAKeyThatIsNoMoreIsNotBelieved(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	c.serves(func(f *microsoft) { f.keys = []map[string]any{jwkOf(otherKey(), "next", "msteams")} })
	c.forward(keysFresh)
	assert.Equal(t, http.StatusUnauthorized, c.status(t, c.goodHeader()))
}

func TestAnUnknownKeyIsLookedFor(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	c.serves(func(f *microsoft) { f.keys = append(f.keys, jwkOf(goodKey(), "next", "msteams")) })
	c.forward(keysAgain)
	assert.Equal(t, http.StatusOK, c.status(t, c.signedBy("next")))
	assert.Equal(t, [2]int{2, 2}, c.fetched())
}

func TestStrangersCauseFewFetches(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	for range 50 {
		assert.Equal(t, http.StatusUnauthorized, c.status(t, c.signedBy("made up")))
		c.forward(time.Second)
	}
	assert.Equal(t, [2]int{1, 1}, c.fetched())
	for range 120 {
		c.status(t, c.signedBy("made up"))
		c.forward(time.Second)
	}
	assert.Equal(t, [2]int{3, 3}, c.fetched())
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()), "who is known does not wait for strangers")
}

// The library fetches the metadata for every call, before it knows anything
// about it.
func TestWhatCannotBeRightCausesNoFetch(t *testing.T) {
	t.Parallel()
	c := check(t)
	change := func(f func(h, c map[string]any)) string { return "Bearer " + c.token(f) }
	for name, header := range map[string]string{
		"no token":        "",
		"no scheme":       c.token(),
		"another scheme":  "Basic " + c.token(),
		"nothing":         "Bearer ",
		"no segments":     "Bearer abc",
		"two segments":    "Bearer e30.e30",
		"no JSON":         "Bearer YQ.YQ.YQ",
		"another issuer":  change(func(_, c map[string]any) { c["iss"] = "https://sts.windows.net/" + farTenant + "/" }),
		"another app":     change(func(_, c map[string]any) { c["aud"] = "another" }),
		"several apps":    change(func(_, c map[string]any) { c["aud"] = []string{farApp, "another"} }),
		"no app":          change(func(_, c map[string]any) { delete(c, "aud") }),
		"no key":          change(func(h, _ map[string]any) { delete(h, "kid") }),
		"key of a number": change(func(h, _ map[string]any) { h["kid"] = 7 }),
		"HS256":           change(func(h, _ map[string]any) { h["alg"] = "HS256" }),
		"RS512":           change(func(h, _ map[string]any) { h["alg"] = "RS512" }),
		"none":            change(func(h, _ map[string]any) { h["alg"] = "none" }),
		"very long":       "Bearer " + strings.Repeat("a", maxToken+1),
	} {
		assert.Equal(t, http.StatusUnauthorized, c.status(t, header), name)
	}
	assert.Equal(t, [2]int{}, c.fetched())
}

func TestKeysThatCannotBeHad(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(f *microsoft){
		"no keys":        func(f *microsoft) { f.keys = nil },
		"no usable keys": func(f *microsoft) { f.keys = f.keys[:2] },
		"failing":        func(f *microsoft) { f.keysUnreadable = true },
		"another issuer": func(f *microsoft) {
			f.metadata = map[string]any{"issuer": "https://example.com", "jwks_uri": f.srv.URL + "/keys"}
		},
		"no issuer": func(f *microsoft) { f.metadata = map[string]any{"jwks_uri": f.srv.URL + "/keys"} },
		"keys over http": func(f *microsoft) {
			f.metadata = map[string]any{"issuer": farIssuer, "jwks_uri": "http://example.com/keys"}
		},
		"keys in a file":     func(f *microsoft) { f.metadata = map[string]any{"issuer": farIssuer, "jwks_uri": "file:///etc/passwd"} },
		"keys nowhere":       func(f *microsoft) { f.metadata = map[string]any{"issuer": farIssuer} },
		"metadata of a list": func(f *microsoft) { f.metadata = []string{"issuer"} },
		"endless metadata":   func(f *microsoft) { f.metadata = strings.Repeat("a", maxMetadata+1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := check(t)
			c.serves(breaks)
			assert.Equal(t, http.StatusServiceUnavailable, c.status(t, c.goodHeader()))
			before := c.fetched()
			assert.Equal(t, http.StatusServiceUnavailable, c.status(t, c.goodHeader()))
			assert.Equal(t, before, c.fetched(), "it was tried again at once")

			healed := newMicrosoft(t, c.hands.clock)
			c.serves(func(f *microsoft) {
				f.keys, f.keysUnreadable = healed.keys, false
				f.metadata = map[string]any{"issuer": farIssuer, "jwks_uri": f.srv.URL + "/keys"}
			})
			c.forward(keysRetry)
			assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
		})
	}
}

func TestKeysOutliveTheirServer(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	c.serves(func(f *microsoft) { f.keysUnreadable = true })
	c.forward(keysUsable - time.Minute)
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.Equal(t, http.StatusServiceUnavailable, c.status(t, c.signedBy("next")), "it may be good")
	c.forward(time.Minute)
	assert.Equal(t, http.StatusServiceUnavailable, c.status(t, c.goodHeader()))
}

func TestAClockThatWasPutBack(t *testing.T) {
	t.Parallel()
	c := check(t)
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	c.forward(-48 * time.Hour)
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.Equal(t, [2]int{2, 2}, c.fetched())
}

// A caller that hangs up must not spoil the fetch for others.
func TestAFetchOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	c := check(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.v.verify(ctx, c.goodHeader())
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.Equal(t, [2]int{1, 1}, c.fetched())
}

// meanwhile calls a function once, while a request is under way.
type meanwhile struct{ f func() }

func (m *meanwhile) set(f func()) { m.f = f }

func (m *meanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	if f := m.f; f != nil {
		m.f = nil
		f()
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestWaitingForKeysEndsWithItsContext(t *testing.T) {
	t.Parallel()
	var c *checked
	way := &meanwhile{}
	c = check(t, func(_ *Config, env *chat.Env) { env.HTTP = &http.Client{Transport: way} })
	way.set(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.v.verify(ctx, c.goodHeader())
		assert.Equal(t, http.StatusServiceUnavailable, statusOf(t, err))
	})
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
}

func TestOldKeysServeWhileNewOnesAreFetched(t *testing.T) {
	t.Parallel()
	var c *checked
	way := &meanwhile{}
	c = check(t, func(_ *Config, env *chat.Env) { env.HTTP = &http.Client{Transport: way} })
	require.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	c.forward(keysFresh)
	asked := false
	way.set(func() {
		asked = true
		assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	})
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
	assert.True(t, asked)
}

func TestRedirectsOfKeysAreNotFollowed(t *testing.T) {
	t.Parallel()
	c := check(t, func(_ *Config, env *chat.Env) {
		env.HTTP = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusFound, Status: "302 Found", Body: http.NoBody, Request: r,
				Header: http.Header{"Location": {"https://example.com/metadata"}},
			}, nil
		})}
	})
	assert.Equal(t, http.StatusServiceUnavailable, c.status(t, c.goodHeader()))
}

func TestFirstOfKeysWithOneIDCounts(t *testing.T) {
	t.Parallel()
	c := check(t)
	c.serves(func(f *microsoft) { f.keys = append(f.keys, jwkOf(otherKey(), "good", "msteams")) })
	assert.Equal(t, http.StatusOK, c.status(t, c.goodHeader()))
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB","endorsements":["msteams"]}`))
	f.Add([]byte(`{"kty":"RSA","kid":"a","n":"","e":"AAAA","x5c":["a"],"endorsements":"msteams"}`))
	f.Add([]byte(`{"kty":"oct","kid":"a","k":"AQAB"}`))
	f.Fuzz(func(t *testing.T, one []byte) {
		s := newKeyStore(Config{}, chat.Env{Clock: time.Now})
		s.secure = func(*url.URL) bool { return true }
		set, err := s.setOf([]json.RawMessage{one, one})
		if err != nil {
			return
		}
		for kid := range set.endorsements {
			if kid == "" || set.endorses(kid, "") {
				t.Errorf("%s gave the key %q", one, kid)
			}
		}
	})
}

// activityOf is one that the tokens of the far side fit.
func (c *checked) activityOf() schema.Activity {
	return schema.Activity{ChannelID: "msteams", ServiceURL: c.serviceURL()}
}
