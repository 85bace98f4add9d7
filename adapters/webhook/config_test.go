package webhook

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{
			Provider: GitHub, Secrets: []chat.Secret{farSecret}, MessageBytes: 1000,
			Rules: []Rule{{On: map[string]string{"event": "push"}, Send: "web-1 deploy {{.after}}"}},
		}
	}
	generic := func(c *Config) {
		c.Provider, c.Signature = Generic, Signature{Header: "X-Sign"}
	}
	status := CommitStatus{Token: farToken}
	for _, c := range []struct {
		name   string
		change func(c *Config)
		keys   []string // those at fault
	}{
		{"good", func(*Config) {}, nil},
		{"nothing", func(c *Config) { *c = Config{} }, []string{"provider", "secrets", "rules"}},
		{"provider", func(c *Config) { c.Provider = "bitbucket" }, []string{"provider"}},
		{"no secret", func(c *Config) { c.Secrets = nil }, []string{"secrets"}},
		{"empty secret", func(c *Config) { c.Secrets = []chat.Secret{farSecret, ""} }, []string{"secrets[1]"}},
		{"short secret", func(c *Config) { c.Secrets = []chat.Secret{"hunter2"} }, []string{"secrets[0]"}},
		{"secret with a line end", func(c *Config) { c.Secrets = []chat.Secret{farSecret + "\n"} }, []string{"secrets[0]"}},
		{"standard", func(c *Config) { c.Provider, c.Secrets = Standard, []chat.Secret{farSigning} }, nil},
		{"standard without its prefix", func(c *Config) { c.Provider = Standard }, []string{"secrets[0]"}},
		{"standard that is no base64", func(c *Config) { c.Provider, c.Secrets = Standard, []chat.Secret{"whsec_hunter2!"} }, []string{"secrets[0]"}},
		{"standard of few bytes", func(c *Config) { c.Provider, c.Secrets = Standard, []chat.Secret{"whsec_aHVudGVyMg=="} }, []string{"secrets[0]"}},
		{"gitlab", func(c *Config) { c.Provider, c.Secrets = GitLab, []chat.Secret{farSigning, farSecret} }, nil},
		{"gitlab with a signing token that is none", func(c *Config) { c.Provider, c.Secrets = GitLab, []chat.Secret{"whsec_hunter2!"} }, []string{"secrets[0]"}},
		{"generic", generic, nil},
		{"generic without a header", func(c *Config) { c.Provider = Generic }, []string{"signature.header"}},
		{"headers that are none", func(c *Config) {
			generic(c)
			c.Signature.Header, c.IDHeader, c.EventHeader, c.Signature.Signed = "X Sign", "X:Id", "é", "{id}{body}"
		}, []string{"signature.header", "id_header", "event_header"}},
		{"encoding", func(c *Config) { generic(c); c.Signature.Encoding = "base32" }, []string{"signature.encoding"}},
		{"hash", func(c *Config) { generic(c); c.Signature.Hash = "sha1" }, []string{"signature.hash"}},
		{"body not signed", func(c *Config) { generic(c); c.Signature.Signed = "hello" }, []string{"signature.signed"}},
		{"time not signed", func(c *Config) { generic(c); c.Signature.TimestampHeader = "X-Time" }, []string{"signature.signed"}},
		{"time from nowhere", func(c *Config) { generic(c); c.Signature.Signed = "{timestamp}{body}" }, []string{"signature.signed"}},
		{"ID from nowhere", func(c *Config) { generic(c); c.Signature.Signed = "{id}{body}" }, []string{"signature.signed"}},
		{"ID not signed", func(c *Config) { generic(c); c.IDHeader = "X-Id" }, []string{"signature.signed"}},
		{"ID beside a signed time", func(c *Config) {
			generic(c)
			c.IDHeader, c.Signature.TimestampHeader, c.Signature.Signed = "X-Id", "X-Time", "{timestamp}{body}"
		}, nil},
		{"ID signed", func(c *Config) { generic(c); c.IDHeader, c.Signature.Signed = "X-Id", "{id}{body}" }, nil},
		{"tolerance without a time", func(c *Config) { generic(c); c.Signature.Tolerance = time.Minute }, []string{"signature.tolerance"}},
		{"keys of generic", func(c *Config) {
			c.Signature.Header, c.IDHeader, c.EventHeader = "X-Sign", "X-Id", "X-Event"
		}, []string{"signature", "id_header", "event_header"}},
		{"no rules", func(c *Config) { c.Rules = nil }, []string{"rules"}},
		{"rule for nothing", func(c *Config) { c.Rules[0].On = nil }, []string{"rules[0].on"}},
		{"rule of an unknown key", func(c *Config) { c.Rules[0].On["brach"] = "main" }, []string{"rules[0].on.brach"}},
		{"rule of a path", func(c *Config) { c.Rules[0].On[".ref"] = "*"; c.Rules[0].On["head_commit.id"] = "*" }, nil},
		{"rule of a path that is none", func(c *Config) { c.Rules[0].On[".a..b"] = "*" }, []string{"rules[0].on..a..b"}},
		{"key of another provider", func(c *Config) { generic(c); c.Rules[0].On["branch"] = "main" }, []string{"rules[0].on.branch"}},
		{"nothing to send", func(c *Config) { c.Rules[0].Send = " " }, []string{"rules[0].send"}},
		{"no template", func(c *Config) { c.Rules[0].Send = "web-1 {{.a" }, []string{"rules[0].send"}},
		{"two lines", func(c *Config) { c.Rules[0].Send = "web-1 deploy\nweb-2 deploy" }, []string{"rules[0].send"}},
		{"function that is none", func(c *Config) { c.Rules[0].Send = "{{shell .a}}" }, []string{"rules[0].send"}},
		{"function that may not be", func(c *Config) { c.Rules[0].Send = `{{printf "%s" .a}}` }, []string{"rules[0].send"}},
		{"function that may not be, inside", func(c *Config) { c.Rules[0].Send = `{{if and (eq (html .a) "a")}}{{end}}x` }, []string{"rules[0].send"}},
		{"call", func(c *Config) { c.Rules[0].Send = `{{with call .a}}{{.}}{{end}}` }, []string{"rules[0].send"}},
		{"other templates", func(c *Config) { c.Rules[0].Send = `{{define "a"}}{{end}}x{{template "a"}}` }, []string{"rules[0].send"}},
		{"itself", func(c *Config) { c.Rules[0].Send = `x{{template "send"}}` }, []string{"rules[0].send"}},
		{"length", func(c *Config) { c.MessageBytes = -1 }, []string{"message_bytes"}},
		{"replies", func(c *Config) {
			c.ReplyTo, c.CommitStatus, c.CallbackURL = chat.Destination{Account: "a", Channel: "C"}, status, "https://example.com/x"
			c.Rules[0].ReplyTo, c.Rules[0].CommitStatus, c.Rules[0].CallbackURL = c.ReplyTo, status, "http://ci.internal:8080/x?y=z"
		}, nil},
		{"half a channel", func(c *Config) { c.ReplyTo.Account, c.Rules[0].ReplyTo.Channel = "a", "C" }, []string{"reply_to.channel", "rules[0].reply_to.account"}},
		{"callback by a file", func(c *Config) { c.CallbackURL = "file:///etc/passwd" }, []string{"callback_url"}},
		{"callback with a password", func(c *Config) { c.Rules[0].CallbackURL = "https://ada:hunter2@example.com/" }, []string{"rules[0].callback_url"}},
		{"callback that is none", func(c *Config) { c.CallbackURL = "ftp://example.com" }, []string{"callback_url"}},
		{"status without a token", func(c *Config) { c.CommitStatus.Context = "a" }, []string{"commit_status.token"}},
		{"status with a token that is none", func(c *Config) { c.CommitStatus.Token = "hunter2\n" }, []string{"commit_status.token"}},
		{"status in the clear", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken, APIURL: "http://github.example.com"} }, []string{"commit_status.api_url"}},
		{"status with a password", func(c *Config) {
			c.CommitStatus = CommitStatus{Token: farToken, APIURL: "https://ada:hunter2@github.example.com"}
		}, []string{"commit_status.api_url"}},
		{"status on this machine", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken, APIURL: "http://127.0.0.1:3000/api"} }, nil},
		{"status of a name that is none", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken, Context: "a\nb"} }, []string{"commit_status.context"}},
		{"status that leads nowhere", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken, TargetURL: "javascript:alert(1)"} }, []string{"commit_status.target_url"}},
		{"status of a commit that is none", func(c *Config) { c.CommitStatus = CommitStatus{Token: farToken, SHA: "{{"} }, []string{"commit_status.sha"}},
		{"status of two tokens", func(c *Config) {
			c.CommitStatus, c.Rules[0].CommitStatus = status, CommitStatus{Token: "ghp_other"}
		}, []string{"rules[0].commit_status.context"}},
		{"statuses of two tokens", func(c *Config) {
			c.CommitStatus, c.Rules[0].CommitStatus = status, CommitStatus{Token: "ghp_other", Context: "deploy"}
		}, nil},
		{"status of whom nothing is known", func(c *Config) { generic(c); c.Rules[0].CommitStatus = status }, []string{"rules[0].commit_status"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := good()
			c.change(&cfg)
			_, err := New(cfg, chat.Env{Account: "ci"})
			assert.Equal(t, c.keys, faulty(err), "%v", err)
			if err != nil {
				assert.NotContains(t, err.Error(), "hunter2")
			}
		})
	}
}

// faulty are the keys that an error names.
func faulty(err error) []string {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return nil
	}
	var keys []string
	for _, one := range many.Unwrap() {
		var ke *keyError
		if errors.As(one, &ke) {
			key, _ := ke.Field()
			keys = append(keys, key)
		}
	}
	return keys
}

func TestFactory(t *testing.T) {
	t.Parallel()
	broken := errors.New("line 3: unknown key")
	_, err := Factory(func(any) error { return broken }, chat.Env{})
	require.ErrorIs(t, err, broken)
	a, err := Factory(func(into any) error {
		cfg := into.(*Config)
		assert.Equal(t, defaultMessage, cfg.MessageBytes)
		cfg.Provider, cfg.Secrets = GitLab, []chat.Secret{farSecret}
		cfg.ReplyTo = chat.Destination{Account: "work-slack", Channel: "C1"}
		cfg.Rules = []Rule{
			{On: map[string]string{"event": "push"}, Send: "a b"},
			{On: map[string]string{"event": "*"}, Send: "a c", ReplyTo: chat.Destination{Account: "work-slack", Channel: "C2"}},
			{On: map[string]string{"event": "*"}, Send: "a d", CallbackURL: "https://ci.example.com/done"},
		}
		return nil
	}, chat.Env{Account: "ci"})
	require.NoError(t, err)
	assert.Implements(t, (*chat.Pushed)(nil), a)
	assert.Equal(t, []chat.Direction{
		{Key: "reply_to", To: chat.Destination{Account: "work-slack", Channel: "C1"}},
		{Key: "rules[1].reply_to", To: chat.Destination{Account: "work-slack", Channel: "C2"}},
		{Key: "rules[2].callback_url", CallbackURL: "https://ci.example.com/done"},
	}, a.(chat.Directing).Directions())
	assert.Equal(t, "events", a.(chat.Entered).Endpoints()[0].Path)
}
