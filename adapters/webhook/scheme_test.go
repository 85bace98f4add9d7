package webhook

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// The values are those of
// https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
func TestGitHubsOwnExample(t *testing.T) {
	t.Parallel()
	s := schemeOf(Config{Provider: GitHub, Secrets: []chat.Secret{"It's a Secret to Everybody"}})
	h := headers(githubSignature, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", githubDelivery, "a", githubEvent, "push")
	id, err := s.verify(h, []byte("Hello, World!"), time.Now())
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(id, "body:"), id)
	_, err = s.verify(h, []byte("Hello, World?"), time.Now())
	require.ErrorIs(t, err, errForged)
}

// The values are those of the libraries of Standard Webhooks, whose tests sign
// by them.
func TestStandardWebhooksOwnExample(t *testing.T) {
	t.Parallel()
	s := schemeOf(Config{Provider: Standard, Secrets: []chat.Secret{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}})
	const good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	body, at := []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0)
	const id, seconds = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
	call := func(signatures string) http.Header {
		return headers(standardID, id, standardTime, seconds, standardSignature, signatures)
	}
	for name, one := range map[string]struct {
		h    http.Header
		now  time.Time
		fine bool
	}{
		"as it is":                  {call(good), at, true},
		"one of several":            {call("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " + good), at, true},
		"of asymmetric keys too":    {call("v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== " + good), at, true},
		"four minutes later":        {call(good), at.Add(4 * time.Minute), true},
		"six minutes later":         {call(good), at.Add(6 * time.Minute), false},
		"six minutes before":        {call(good), at.Add(-6 * time.Minute), false},
		"without a version":         {call(good[3:]), at, false},
		"of another version":        {call("v2" + good[2:]), at, false},
		"of nothing":                {call(""), at, false},
		"of commas":                 {call(", , v1,"), at, false},
		"of too many":               {call(strings.Repeat("v1,AA== ", maxSignatures) + good), at, false},
		"with two IDs":              {headers(standardID, id, standardID, "b", standardTime, seconds, standardSignature, good), at, false},
		"with another ID":           {headers(standardID, "b", standardTime, seconds, standardSignature, good), at, false},
		"with another time":         {headers(standardID, id, standardTime, "1614265331", standardSignature, good), at, false},
		"with a time that is none":  {headers(standardID, id, standardTime, "soon", standardSignature, good), at, false},
		"with two time headers":     {headers(standardID, id, standardTime, seconds, standardTime, seconds, standardSignature, good), at, false},
		"with base64 that goes on":  {call(good + "AAAA"), at, false},
		"with base64 cut short":     {call(good[:len(good)-2]), at, false},
		"with a signature per line": {headers(standardID, id, standardTime, seconds, standardSignature, good, standardSignature, good), at, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := s.verify(one.h, body, one.now)
			if one.fine {
				require.NoError(t, err)
				assert.Equal(t, "id:"+id, got)
				require.NoError(t, s.claim(one.h))
				return
			}
			require.Error(t, err)
		})
	}
}

func TestGitLabsTokens(t *testing.T) {
	t.Parallel()
	both := schemeOf(Config{Provider: GitLab, Secrets: []chat.Secret{farSigning, "old-hunter2", farSecret}})
	body, now := []byte("{}"), time.Now()
	verify := func(s scheme, h http.Header) (string, error) {
		if err := s.claim(h); err != nil {
			return "", err
		}
		return s.verify(h, body, now)
	}
	for _, token := range []string{"old-hunter2", farSecret} {
		id, err := verify(both, headers(gitlabToken, token, "Idempotency-Key", "k"))
		require.NoError(t, err)
		assert.Equal(t, "key:k", id)
	}
	for _, token := range []string{"", "old-hunter", "old-hunter22", "OLD-HUNTER2", farSigning} {
		_, err := verify(both, headers(gitlabToken, token))
		require.Error(t, err, token)
	}
	_, err := verify(both, headers(gitlabToken, "old-hunter2", gitlabToken, "old-hunter2"))
	require.Error(t, err, "twice")

	// A signature that is there must be right, whatever else is.
	h := headers(gitlabToken, "old-hunter2")
	signStandard(h, farSigning, "w", now, []byte("other"))
	_, err = verify(both, h)
	require.ErrorIs(t, err, errForged)
	signStandard(h, farSigning, "w", now, body)
	id, err := verify(both, h)
	require.NoError(t, err)
	assert.Equal(t, "id:w", id)

	// Older servers have no key for tries, and events that make others.
	tokens := schemeOf(Config{Provider: GitLab, Secrets: []chat.Secret{farSecret}})
	first, err := verify(tokens, headers(gitlabToken, farSecret, "X-Gitlab-Event-UUID", "u"))
	require.NoError(t, err)
	assert.Equal(t, "event:u/"+digest(body), first)
	second, err := verify(tokens, headers(gitlabToken, farSecret))
	require.NoError(t, err)
	assert.Equal(t, digest(body), second)
	for _, name := range []string{"X-Gitlab-Event-UUID", "Idempotency-Key"} {
		_, err = verify(tokens, headers(gitlabToken, farSecret, name, "a", name, "b"))
		require.Error(t, err, name)
	}
}

func TestGenericSchemes(t *testing.T) {
	t.Parallel()
	body, now := []byte(`{"a":1}`), time.Unix(1_700_000_000, 0)
	key := []byte(farSecret)
	hex256 := hubSignature(farSecret, body)[len("sha256="):]
	mac := hmac.New(sha512.New, key)
	_, _ = mac.Write([]byte("v0:1700000000:id-1:" + string(body)))
	base512 := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	dated := Signature{Header: "X-Sign", TimestampHeader: "X-Time", Signed: "{timestamp}.{body}", Tolerance: time.Minute}
	at := func(time string) http.Header {
		return headers("X-Sign", hubSignature(farSecret, []byte(time+"."+string(body)))[len("sha256="):], "X-Time", time)
	}
	timed := Signature{
		Header: "X-Sign", Prefix: "v0=", Encoding: "base64", Hash: "sha512",
		TimestampHeader: "X-Time", Signed: "v0:{timestamp}:{id}:{body}", Tolerance: time.Minute,
	}
	for _, one := range []struct {
		name string
		cfg  Config
		h    http.Header
		now  time.Time
		id   string // empty: refused
	}{
		{"the body alone", Config{Signature: Signature{Header: "X-Sign"}}, headers("X-Sign", hex256), now, digest(body)},
		{"with no ID", Config{Signature: Signature{Header: "X-Sign"}, IDHeader: "X-Id"}, headers("X-Sign", hex256), now, ""},
		{"with two IDs", Config{Signature: Signature{Header: "X-Sign"}, IDHeader: "X-Id"}, headers("X-Sign", hex256, "X-Id", "1", "X-Id", "2"), now, ""},
		{"in capitals", Config{Signature: Signature{Header: "X-Sign"}}, headers("X-Sign", strings.ToUpper(hex256)), now, digest(body)},
		{"with a prefix that is missing", Config{Signature: Signature{Header: "X-Sign", Prefix: "a="}}, headers("X-Sign", hex256), now, ""},
		{"of another length", Config{Signature: Signature{Header: "X-Sign", Hash: "sha512"}}, headers("X-Sign", hex256), now, ""},
		{"the same body at one time", Config{Signature: dated}, at("1700000000"), now, digest([]byte("1700000000\n" + string(body)))},
		{"the same body at another", Config{Signature: dated}, at("1700000001"), now, digest([]byte("1700000001\n" + string(body)))},
		{"timed", Config{Signature: timed, IDHeader: "X-Id"}, headers("X-Sign", "v0="+base512, "X-Time", "1700000000", "X-Id", "id-1"), now, "id:id-1"},
		{"timed, too late", Config{Signature: timed, IDHeader: "X-Id"}, headers("X-Sign", "v0="+base512, "X-Time", "1700000000", "X-Id", "id-1"), now.Add(61 * time.Second), ""},
		{"timed, another time", Config{Signature: timed, IDHeader: "X-Id"}, headers("X-Sign", "v0="+base512, "X-Time", "1700000001", "X-Id", "id-1"), now, ""},
		{"timed, another ID", Config{Signature: timed, IDHeader: "X-Id"}, headers("X-Sign", "v0="+base512, "X-Time", "1700000000", "X-Id", "id-2"), now, ""},
		{"timed, without a time", Config{Signature: timed, IDHeader: "X-Id"}, headers("X-Sign", "v0="+base512, "X-Id", "id-1"), now, ""},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			one.cfg.Provider, one.cfg.Secrets = Generic, []chat.Secret{oldSecret, farSecret}
			s := schemeOf(one.cfg)
			id, err := s.verify(one.h, body, one.now)
			assert.Equal(t, one.id, id)
			assert.Equal(t, one.id == "", err != nil, "%v", err)
			if err != nil {
				assert.NotContains(t, err.Error(), "hunter2")
			}
		})
	}
}

// One secret takes the place of another while calls of both are taken.
func TestRotation(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(map[string]int{"a": 1})
	require.NoError(t, err)
	s := schemeOf(Config{Provider: GitHub, Secrets: []chat.Secret{oldSecret, farSecret}})
	for secret, fine := range map[string]bool{oldSecret: true, farSecret: true, "hook-hunter2-other": false, "": false} {
		_, err := s.verify(headers(githubSignature, hubSignature(secret, body), githubDelivery, "a", githubEvent, "push"), body, time.Now())
		assert.Equal(t, fine, err == nil, secret)
	}
}
