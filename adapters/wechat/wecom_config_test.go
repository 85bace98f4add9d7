package wechat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func goodWeCom() Config {
	return Config{
		Account: AccountWeCom, CorpID: "ww0123456789abcdef", AgentID: 1000002, Secret: "hunter2-secret",
		Token: "hunter2token", EncodingAESKey: "hunter2efghijklmnopqrstuvwxyz0123456789ABCD",
	}
}

func goodRobot() Config {
	return Config{Account: AccountRobot, WebhookURL: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hunter2"}
}

// TestConfigOfWeCom spoils one key after the other.
func TestConfigOfWeCom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		good   func() Config
		change func(c *Config)
		keys   string // that are complained of
	}{
		"as it is":                   {goodWeCom, func(*Config) {}, ""},
		"another API":                {goodWeCom, func(c *Config) { c.APIURL, c.Markdown = "https://gateway.example.com/wecom", true }, ""},
		"no company":                 {goodWeCom, func(c *Config) { c.CorpID = "" }, "corp_id"},
		"a company that is none":     {goodWeCom, func(c *Config) { c.CorpID = "ww/../x" }, "corp_id"},
		"no application":             {goodWeCom, func(c *Config) { c.AgentID = 0 }, "agent_id"},
		"a negative application":     {goodWeCom, func(c *Config) { c.AgentID = -1 }, "agent_id"},
		"no secret":                  {goodWeCom, func(c *Config) { c.Secret = "" }, "secret"},
		"a secret of two lines":      {goodWeCom, func(c *Config) { c.Secret = "hunter2\n" }, "secret"},
		"no token":                   {goodWeCom, func(c *Config) { c.Token = "" }, "token"},
		"no key":                     {goodWeCom, func(c *Config) { c.EncodingAESKey = "" }, "encoding_aes_key"},
		"a short key":                {goodWeCom, func(c *Config) { c.EncodingAESKey = "hunter2" }, "encoding_aes_key"},
		"in plain text":              {goodWeCom, func(c *Config) { c.Plain = true }, "plain"},
		"an unencrypted API":         {goodWeCom, func(c *Config) { c.APIURL = "http://gateway.example.com" }, "api_url"},
		"an official account's keys": {goodWeCom, func(c *Config) { c.AppID, c.AppSecret, c.Greeting = "wx1", "hunter2", "hi" }, "app_id app_secret greeting"},
		"a robot's key":              {goodWeCom, func(c *Config) { c.WebhookURL = goodRobot().WebhookURL }, "webhook_url"},
		"a robot":                    {goodRobot, func(*Config) {}, ""},
		"a robot of a gateway":       {goodRobot, func(c *Config) { c.WebhookURL = "http://127.0.0.1:1/x/cgi-bin/webhook/send?key=hunter2" }, ""},
		"a robot of no address":      {goodRobot, func(c *Config) { c.WebhookURL = "" }, "webhook_url"},
		"a robot, unencrypted":       {goodRobot, func(c *Config) { c.WebhookURL = "http://example.com/cgi-bin/webhook/send?key=hunter2" }, "webhook_url"},
		"a robot without a key":      {goodRobot, func(c *Config) { c.WebhookURL = "https://example.com/cgi-bin/webhook/send?hunter2" }, "webhook_url"},
		"a robot with another API":   {goodRobot, func(c *Config) { c.APIURL = "https://example.com" }, "api_url"},
		"a robot with everything": {goodRobot, func(c *Config) {
			webhook := c.WebhookURL
			*c = goodWeCom()
			c.Account, c.WebhookURL, c.Plain = AccountRobot, webhook, true
		}, "plain corp_id agent_id secret token encoding_aes_key"},
		"no account": {goodWeCom, func(c *Config) { c.Account = "" }, "account"},
		"another":    {goodWeCom, func(c *Config) { c.Account = "work" }, "account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := c.good()
			c.change(&cfg)
			err := cfg.Validate()
			if got := complained(err); got != c.keys {
				t.Errorf("it complains of %q, want %q: %v", got, c.keys, err)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, cfg, cfg); strings.Contains(text, "hunter2") {
				t.Errorf("a secret is in %s", text)
			}
			a, newErr := New(cfg, chat.Env{Account: "work"})
			if (newErr == nil) != (c.keys == "") || newErr == nil && a.Capabilities().MaxBytes < 2048 {
				t.Errorf("New: %v", newErr)
			}
		})
	}
}

// complained are the keys of an error of Validate.
func complained(err error) string {
	var keys []string
	if all, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // it is errors.Join's own
		for _, one := range all.Unwrap() {
			var k *keyError
			if errors.As(one, &k) {
				keys = append(keys, k.key)
			}
		}
	}
	return strings.Join(keys, " ")
}
