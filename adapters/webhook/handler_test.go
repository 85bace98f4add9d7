package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

// desk is an account with an inbox that keeps what it is given.
type desk struct {
	*hub
	log bytes.Buffer
	now time.Time

	unmatched atomic.Int64

	mu   sync.Mutex
	fail error
	got  []chat.Inbound
}

func (d *desk) Accept(_ context.Context, m chat.Inbound) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.got = append(d.got, m)
	return nil
}

// sit makes an account of GitHub's whose rule deploys what passed on main.
func sit(t *testing.T, change func(c *Config)) *desk {
	t.Helper()
	d := &desk{now: time.Now()}
	env := chat.Env{
		Account: "github", Inbox: d, Clock: func() time.Time { return d.now },
		Logger:    slog.New(slog.NewTextHandler(&d.log, nil)),
		Unmatched: func() { d.unmatched.Add(1) },
	}
	d.hub = &hub{provider: GitHub, cfg: Config{
		Provider: GitHub, Secrets: []chat.Secret{farSecret},
		Rules: []Rule{{
			On:   map[string]string{"event": "workflow_run", "action": "completed", "conclusion": "success", "branch": "main"},
			Send: "web-1 deploy {{.workflow_run.head_sha}}",
		}},
	}}
	if change != nil {
		change(&d.cfg)
	}
	d.provider = d.cfg.Provider
	d.a = d.make(t, env)
	return d
}

// told is the JSON of an answer.
func told(t *testing.T, body string) (status, detail string) {
	t.Helper()
	var v struct{ Status, Detail string }
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	return v.Status, v.Detail
}

func TestAnEventBecomesAMessage(t *testing.T) {
	t.Parallel()
	d := sit(t, nil)
	code, body := d.deliver(d.signed("workflow_run", read(t, "github/workflow_run.json")))
	require.Equal(t, http.StatusOK, code, body)
	require.Len(t, d.got, 1)
	m := d.got[0]
	assert.Equal(t, "web-1 deploy acb5820ced9479c074f688cc328bf03f341a511d", m.Text)
	assert.Equal(t, "github:webhook", m.Sender.Principal())
	assert.Equal(t, "acme/shop, ada (workflow_run)", m.Sender.Name)
	assert.Equal(t, "acme/shop", m.Conversation.Channel)
	assert.True(t, m.Addressed)
	assert.Nil(t, m.ReplyTo)
	assert.Empty(t, m.Also)

	// Nobody is answered by this account, and that is no failure.
	ref, err := d.a.Send(t.Context(), chat.Outbound{ID: "x", To: m.Conversation, Text: "done"})
	require.NoError(t, err)
	assert.Equal(t, "x", ref.ID)
}

// TestWhatNoRuleIsForIsCounted: only of calls whose signature was right, so that
// strangers cannot move the figure.
func TestWhatNoRuleIsForIsCounted(t *testing.T) {
	t.Parallel()
	d := sit(t, func(c *Config) { c.Rules[0].On["branch"] = "mian" })
	body := read(t, "github/workflow_run.json")
	forged := d.signed("workflow_run", body)
	forged.header.Set(githubSignature, "sha256="+strings.Repeat("0", 64))
	code, _ := d.deliver(forged)
	require.Equal(t, http.StatusUnauthorized, code)
	_, _ = d.deliver(d.signed("ping", []byte("{}")))
	require.Zero(t, d.unmatched.Load())
	for want := int64(1); want <= 2; want++ {
		code, answer := d.deliver(d.signed("workflow_run", body))
		require.Equal(t, http.StatusAccepted, code, answer)
		require.Equal(t, want, d.unmatched.Load())
	}
	require.Empty(t, d.got)
}

func TestRepliesGoWhereTheRuleSays(t *testing.T) {
	t.Parallel()
	room := chat.Destination{Account: "work-slack", Channel: "C1"}
	status := CommitStatus{Token: farToken, APIURL: "https://github.example.com/api/v3", Context: "deploy"}
	for name, one := range map[string]struct {
		change func(c *Config)
		check  func(t *testing.T, m chat.Inbound)
	}{
		"to a room": {func(c *Config) { c.ReplyTo = room }, func(t *testing.T, m chat.Inbound) {
			t.Helper()
			assert.Equal(t, &room, m.ReplyTo)
			assert.Empty(t, m.Also)
		}},
		"as a status": {func(c *Config) { c.CommitStatus = status }, func(t *testing.T, m chat.Inbound) {
			t.Helper()
			assert.Nil(t, m.ReplyTo)
			require.Len(t, m.Also, 1)
			want := conversation{
				API: status.APIURL, Repo: "acme/shop", SHA: "acb5820ced9479c074f688cc328bf03f341a511d", Context: "deploy", Channel: "acme/shop",
			}
			c, err := conversationOf(m.Also[0])
			require.NoError(t, err)
			assert.Equal(t, want, c)
			want.Words = true
			c, err = conversationOf(m.Conversation)
			require.NoError(t, err)
			assert.Equal(t, want, c)
			assert.NotEqual(t, m.Also[0].Key, m.Conversation.Key)
			assert.NotContains(t, string(m.Conversation.Data), farToken)
		}},
		"all of it": {func(c *Config) {
			c.ReplyTo, c.CommitStatus.Token, c.CallbackURL = chat.Destination{Account: "a", Channel: "b"}, farToken, "https://example.com/a"
			c.Rules[0].ReplyTo, c.Rules[0].CommitStatus, c.Rules[0].CallbackURL = room, status, "https://example.com/b"
		}, func(t *testing.T, m chat.Inbound) {
			t.Helper()
			assert.Equal(t, &room, m.ReplyTo)
			assert.Equal(t, "https://example.com/b", m.CallbackURL)
			require.Len(t, m.Also, 1)
			assert.Equal(t, m.Also[0].Key, m.Conversation.Key)
			assert.Equal(t, "github", m.Also[0].Account)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := sit(t, one.change)
			code, body := d.deliver(d.signed("workflow_run", read(t, "github/workflow_run.json")))
			require.Equal(t, http.StatusOK, code, body)
			one.check(t, d.got[0])
		})
	}
}

// A delivery that comes again is the same message, also under another ID,
// which GitHub does not sign.
func TestReplays(t *testing.T) {
	t.Parallel()
	d := sit(t, nil)
	first := d.signed("workflow_run", read(t, "github/workflow_run.json"))
	_, _ = d.deliver(first)
	_, _ = d.deliver(first)
	first.header.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	_, _ = d.deliver(first)
	require.Len(t, d.got, 3)
	assert.Equal(t, d.got[0].ID, d.got[1].ID)
	assert.Equal(t, d.got[0].ID, d.got[2].ID)

	// GitHub does not sign the event's name either.
	d = sit(t, func(c *Config) {
		c.Rules[0] = Rule{On: map[string]string{"event": "*"}, Send: "web-1 status"}
	})
	for i, event := range []string{"workflow_run", "repository_dispatch", "workflow_dispatch"} {
		call := d.signed("workflow_run", read(t, "github/workflow_run.json"))
		call.header.Set("X-GitHub-Event", event)
		_, _ = d.deliver(call)
		require.Len(t, d.got, i+1)
		assert.Equal(t, d.got[0].ID, d.got[i].ID, event)
	}

	// Two dispatches may be alike but for their delivery.
	d = sit(t, func(c *Config) {
		c.Rules[0] = Rule{On: map[string]string{"event": "repository_dispatch"}, Send: "web-1 status"}
	})
	for range 2 {
		_, _ = d.deliver(d.signed("repository_dispatch", read(t, "github/repository_dispatch.json")))
	}
	require.Len(t, d.got, 2)
	assert.NotEqual(t, d.got[0].ID, d.got[1].ID)
}

// GitLab's pipeline ends a second time by the status of the job that its first
// end led to.
func TestNoJobMakesTheNext(t *testing.T) {
	t.Parallel()
	d := sit(t, func(c *Config) {
		c.Provider, c.Secrets, c.CommitStatus = GitLab, []chat.Secret{farSigning}, CommitStatus{Token: farToken}
		c.Rules[0] = Rule{On: map[string]string{"event": "pipeline", "status": "success"}, Send: "web-1 deploy {{.object_attributes.sha}}"}
	})
	once := read(t, "gitlab/pipeline.json")
	again := bytes.Replace(once, []byte(`"finished_at": "2026-11-29 09:33:40 UTC"`), []byte(`"finished_at": "2026-11-29 09:35:00 UTC"`), 1)
	for _, body := range [][]byte{once, again} {
		code, text := d.deliver(d.signed("Pipeline Hook", body))
		require.Equal(t, http.StatusOK, code, text)
	}
	assert.Equal(t, d.got[0].ID, d.got[1].ID)
}

func TestWhatIsNotStoredIsToComeAgain(t *testing.T) {
	t.Parallel()
	d := sit(t, nil)
	d.fail = errors.New("the disk is full")
	call := d.signed("workflow_run", read(t, "github/workflow_run.json"))
	w := httptest.NewRecorder()
	d.a.Handler().ServeHTTP(w, call.request())
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	status, detail := told(t, w.Body.String())
	assert.Equal(t, "failed", status)
	assert.Contains(t, detail, "deliver it again")
	assert.NotContains(t, detail, "disk")
	assert.Contains(t, d.log.String(), "the disk is full")
	d.fail = nil
	code, _ := d.deliver(call)
	assert.Equal(t, http.StatusOK, code)
	assert.Len(t, d.got, 1)
}

// TestAttacks holds every call against what it is answered and what the log
// says of it. None is handed in.
func TestAttacks(t *testing.T) {
	t.Parallel()
	good := read(t, "github/workflow_run.json")
	branch := func(name string) []byte {
		var body map[string]any
		require.NoError(t, json.Unmarshal(good, &body))
		body["workflow_run"].(map[string]any)["head_branch"] = name
		data, err := json.Marshal(body)
		require.NoError(t, err)
		return data
	}
	named := func(c *Config) {
		c.Rules[0].On = map[string]string{"event": "workflow_run"}
		c.Rules[0].Send = "web-1 deploy {{.workflow_run.head_branch}}"
	}
	for _, one := range []struct {
		name   string
		config func(c *Config)
		call   func(d *desk) *delivery
		code   int
		log    string
	}{
		{"forged", nil, func(d *desk) *delivery {
			c := d.signed("workflow_run", good)
			c.header.Set("X-Hub-Signature-256", hubSignature("guess", good))
			return c
		}, http.StatusUnauthorized, "its signature is of none of the secrets"},
		{"unsigned", nil, func(d *desk) *delivery {
			c := d.signed("workflow_run", good)
			c.header.Del("X-Hub-Signature-256")
			return c
		}, http.StatusUnauthorized, "it is not signed"},
		{"changed", nil, func(d *desk) *delivery {
			c := d.signed("workflow_run", good)
			c.body = bytes.Replace(c.body, []byte("acb5820"), []byte("bad5820"), 1)
			return c
		}, http.StatusUnauthorized, "of another body"},
		{"signed twice", nil, func(d *desk) *delivery {
			c := d.signed("workflow_run", good)
			c.header.Add("X-Hub-Signature-256", hubSignature("guess", good))
			return c
		}, http.StatusUnauthorized, "it has 2 headers X-Hub-Signature-256"},
		{"oversized", nil, func(d *desk) *delivery { return d.signed("workflow_run", bytes.Repeat([]byte(" "), maxBody+1)) }, http.StatusRequestEntityTooLarge, "longer than"},
		{"as a form", nil, func(d *desk) *delivery {
			c := d.signed("workflow_run", []byte("payload=%7B%7D"))
			c.header.Set("Content-Type", "application/x-www-form-urlencoded")
			return c
		}, http.StatusUnsupportedMediaType, "content type"},
		{"replayed a day later", func(c *Config) {
			c.Provider, c.Secrets = Standard, []chat.Secret{farSigning}
			c.Rules[0] = Rule{On: map[string]string{"event": "*"}, Send: "web-1 status"}
		}, func(d *desk) *delivery {
			c := &delivery{header: http.Header{"Content-Type": {"application/json"}}, body: read(t, "standard/event.json")}
			signStandard(c.header, farSigning, "msg_1", d.now.Add(-24*time.Hour), c.body)
			return c
		}, http.StatusUnauthorized, "is the most"},
		{"a line by a branch", named, func(d *desk) *delivery { return d.signed("workflow_run", branch("main\nweb-1 reboot")) }, http.StatusUnprocessableEntity, "more than one word"},
		{"a word by a branch", named, func(d *desk) *delivery { return d.signed("workflow_run", branch("main --force")) }, http.StatusUnprocessableEntity, "more than one word"},
		{
			"a line by a branch that may have words", func(c *Config) { named(c); c.Rules[0].Send = "web-1 deploy {{words .workflow_run.head_branch}}" },
			func(d *desk) *delivery { return d.signed("workflow_run", branch("main\nweb-1 reboot")) }, http.StatusUnprocessableEntity, "more than one line",
		},
		{"a control character by a branch", named, func(d *desk) *delivery { return d.signed("workflow_run", branch("main\x1b[2J")) }, http.StatusUnprocessableEntity, "cannot be printed"},
		{"text that runs backwards", named, func(d *desk) *delivery { return d.signed("workflow_run", branch("main\u202egpj")) }, http.StatusUnprocessableEntity, "cannot be printed"},
		{"a branch without end", named, func(d *desk) *delivery { return d.signed("workflow_run", branch(strings.Repeat("x", 5000))) }, http.StatusUnprocessableEntity, "longer than 4096"},
		{"no branch", named, func(d *desk) *delivery { return d.signed("workflow_run", branch("")) }, http.StatusUnprocessableEntity, "is empty"},
		{"a fork's main", nil, func(d *desk) *delivery { return d.signed("workflow_run", read(t, "github/workflow_run.fork.json")) }, http.StatusAccepted, ""},
		{
			"a commit that is a path", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken, SHA: "{{.workflow_run.name}}"} },
			func(d *desk) *delivery {
				return d.signed("workflow_run", bytes.Replace(good, []byte(`"name": "CI"`), []byte(`"name": "../../x"`), 1))
			}, http.StatusUnprocessableEntity, "names no commit",
		},
		{
			"a repository that is a path", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken} },
			func(d *desk) *delivery {
				return d.signed("workflow_run", bytes.ReplaceAll(good, []byte(`"full_name": "acme/shop"`), []byte(`"full_name": "acme/../x"`)))
			}, http.StatusUnprocessableEntity, "names no repository",
		},
	} {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			d := sit(t, one.config)
			code, body := d.deliver(one.call(d))
			assert.Equal(t, one.code, code, body)
			assert.Empty(t, d.got)
			status, detail := told(t, body)
			log := d.log.String()
			if one.log != "" {
				assert.Equal(t, "refused", status)
				assert.Contains(t, log, one.log)
			}
			if code == http.StatusUnauthorized || code == http.StatusRequestEntityTooLarge {
				assert.Empty(t, detail, "who has proved nothing learns nothing")
			}
			assert.NotContains(t, log+body, "hunter2")
			assert.NotContains(t, log, "reboot", "what the log says is not the attacker's")
			assert.NotContains(t, body, "reboot")
		})
	}
}

// Whoever names a branch cannot shut the webhook at GitLab, which gives up one
// that fails.
func TestARefusalIsNoFailureAtGitLab(t *testing.T) {
	t.Parallel()
	d := sit(t, func(c *Config) {
		c.Provider = GitLab
		c.Rules[0] = Rule{On: map[string]string{"event": "push"}, Send: "web-1 deploy {{.none}}"}
	})
	code, body := d.deliver(&delivery{header: http.Header{"Content-Type": {"application/json"}, "X-Gitlab-Token": {farSecret}}, body: read(t, "gitlab/push.json")})
	assert.Equal(t, http.StatusAccepted, code)
	status, detail := told(t, body)
	assert.Equal(t, "refused", status)
	assert.Contains(t, detail, `no entry for key "none"`)
}

// Strangers can call as often as they like, and fill no log.
func TestStrangersFillNoLog(t *testing.T) {
	t.Parallel()
	d := sit(t, nil)
	call := d.signed("workflow_run", []byte("{}"))
	call.header.Set("X-Hub-Signature-256", hubSignature("guess", call.body))
	for range 50 {
		code, _ := d.deliver(call)
		assert.Equal(t, http.StatusUnauthorized, code)
	}
	d.now = d.now.Add(chat.StrangersEvery + time.Second)
	_, _ = d.deliver(call)
	assert.Equal(t, 2, strings.Count(d.log.String(), "was not taken"), d.log.String())
}

func TestNoRule(t *testing.T) {
	t.Parallel()
	d := sit(t, nil)
	for kind, want := range map[string]int{"ping": http.StatusOK, "push": http.StatusAccepted} {
		code, body := d.deliver(d.signed(kind, read(t, "github/"+kind+".json")))
		assert.Equal(t, want, code)
		status, detail := told(t, body)
		assert.Equal(t, "ignored", status)
		assert.NotEmpty(t, detail)
	}
	assert.Empty(t, d.got)
	assert.Empty(t, d.log.String())
}
