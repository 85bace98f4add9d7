package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/outward"
)

const (
	oneSecret   = chat.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	otherSecret = chat.Secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
)

// far answers as it is told and remembers what it got.
type far struct {
	answer outward.Answer
	err    error
	url    string
	header http.Header
	body   string
}

func (f *far) Check(string) error { return nil }

func (f *far) Post(_ context.Context, url string, header http.Header, body string) (outward.Answer, error) {
	f.url, f.header, f.body = url, header, body
	return f.answer, f.err
}

var now = time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)

func newSender(t *testing.T, f *far, secrets ...chat.Secret) *Sender {
	t.Helper()
	keys := make([]Key, len(secrets))
	for i, s := range secrets {
		var err error
		keys[i], err = ParseKey(s)
		require.NoError(t, err)
	}
	return New(Config{
		Keys: keys, Client: f, Clock: func() time.Time { return now },
		Show: func(j job.Job) agentapi.Job {
			return agentapi.Job{ID: j.ID, Code: "k7f3q2", Agent: j.Agent, Status: string(j.Status), CreatedAt: j.CreatedAt}
		},
	})
}

func ended() (job.Event, job.Job) {
	j := job.Job{ID: "01961234-5678-7abc-8def-0123456789ab", Agent: "web-1", Status: job.Succeeded, CallbackURL: "https://ci.example.com/done?token=hidden", CreatedAt: now}
	e := job.Event{Subject: j.ID + ".callback", Kind: job.EventCopy, Status: job.Succeeded, At: now.Add(-time.Second)}
	return e, j
}

func TestTell(t *testing.T) {
	t.Parallel()
	f := &far{answer: outward.Answer{Status: http.StatusNoContent}}
	e, j := ended()
	require.NoError(t, newSender(t, f, oneSecret, otherSecret).Tell(t.Context(), e, j))
	assert.Equal(t, j.CallbackURL, f.url)
	assert.JSONEq(t, `{
		"type": "job.succeeded", "timestamp": "2026-03-04T05:06:07Z",
		"data": {"id": "01961234-5678-7abc-8def-0123456789ab", "code": "k7f3q2", "agent": "web-1", "message": "", "status": "succeeded",
			"sender": {"adapter": "", "id": ""}, "created_at": "2026-03-04T05:06:08Z", "attempt": 0, "version": 0}}`, f.body)
	assert.Equal(t, "msg_01961234-5678-7abc-8def-0123456789ab_callback_0", f.header.Get("webhook-id"))
	assert.Equal(t, "1772600768", f.header.Get("webhook-timestamp"))
	signatures := strings.Split(f.header.Get("webhook-signature"), " ")
	require.Len(t, signatures, 2, "one of each secret, so that one can replace the other")
	assert.NotEqual(t, signatures[0], signatures[1])
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(f.body), &m))
	first := f.header.Get("webhook-id")
	require.NoError(t, newSender(t, f, oneSecret).Tell(t.Context(), e, j))
	assert.Equal(t, first, f.header.Get("webhook-id"), "a repetition has the same ID")
	assert.Equal(t, signatures[0], f.header.Get("webhook-signature"))
}

// The text and the signature are those of the specification's own example.
func TestSignatureIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	k, err := ParseKey(oneSecret)
	require.NoError(t, err)
	got := sign([]Key{k}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", `{"test": 2432232314}`)
	assert.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answer outward.Answer
		err    error
		class  chat.Class
		wait   time.Duration
		text   string
	}{
		{answer: outward.Answer{Status: 410}, class: chat.Gone},
		{answer: outward.Answer{Status: 302}, class: chat.Permanent, text: "redirects are not followed"},
		{answer: outward.Answer{Status: 429, Header: http.Header{"Retry-After": {"90"}}}, class: chat.Temporary, wait: 90 * time.Second},
		{answer: outward.Answer{Status: 503, Header: http.Header{"Retry-After": {"Wed, 04 Mar 2026 05:07:08 GMT"}}}, class: chat.Temporary, wait: time.Minute},
		{answer: outward.Answer{Status: 503, Header: http.Header{"Retry-After": {"soon"}}}, class: chat.Temporary},
		{answer: outward.Answer{Status: 500, Body: []byte("no\x1b[31m such\nthing " + strings.Repeat("x", 999))}, class: chat.Temporary, text: "answered 500: no such thing x"},
		{answer: outward.Answer{Status: 404}, class: chat.Temporary},
		{err: errors.New("refused to connect"), class: chat.Temporary},
		{err: &outward.RefusedError{Host: "localhost", Why: "is this machine"}, class: chat.Permanent, text: "may not be called"},
	} {
		e, j := ended()
		err := newSender(t, &far{answer: c.answer, err: c.err}, oneSecret).Tell(t.Context(), e, j)
		var failed *chat.SendError
		require.ErrorAs(t, err, &failed, "%+v", c.answer)
		assert.Equal(t, c.class, failed.Class, "%+v", c.answer)
		assert.Equal(t, c.wait, failed.RetryAfter, "%+v", c.answer)
		assert.Contains(t, err.Error(), c.text)
		assert.NotContains(t, err.Error(), "hidden", "the URL may have a secret in it")
		assert.Less(t, len(err.Error()), 400)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64 at all, not base64 at all"} {
		_, err := ParseKey(chat.Secret(bad))
		require.Error(t, err, bad)
		if len(bad) > len(keyPrefix) {
			assert.NotContains(t, err.Error(), strings.TrimPrefix(bad, keyPrefix))
		}
	}
	k, err := ParseKey(oneSecret)
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v", k, k)} {
		assert.NotContains(t, shown, "49")
		assert.Contains(t, shown, "<secret>")
	}
}
