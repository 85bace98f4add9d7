package wechat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func TestOfficialConfig(t *testing.T) {
	t.Parallel()
	good := Config{
		Account: AccountOfficial, AppID: "wx0123456789abcdef", AppSecret: "hunter2-secret", Token: "hunter2word",
		EncodingAESKey: "hunter2efghijklmnopqrstuvwxyz0123456789ABCD",
	}
	for _, c := range []struct {
		name   string
		change func(c *Config)
		keys   []string // those at fault
	}{
		{"as it should be", func(*Config) {}, nil},
		{"plain", func(c *Config) { c.Plain, c.EncodingAESKey = true, "" }, nil},
		{"gateway", func(c *Config) { c.APIURL = "https://gateway.example.com/wechat/" }, nil},
		{"this machine", func(c *Config) { c.APIURL = "http://127.0.0.1:9" }, nil},
		{"nothing", func(c *Config) { *c = Config{} }, []string{"account"}},
		{"no account of ours", func(c *Config) { c.Account = "mini" }, []string{"account"}},
		{"nothing but the account", func(c *Config) { *c = Config{Account: AccountOfficial} }, []string{"app_id", "app_secret", "token", "encoding_aes_key"}},
		{"no ID", func(c *Config) { c.AppID = "0123456789abcdef" }, []string{"app_id"}},
		{"blanks", func(c *Config) { c.AppSecret, c.Token = "hunter2 x", "hunter2\n" }, []string{"app_secret", "token"}},
		{"short key", func(c *Config) { c.EncodingAESKey = "hunter2" }, []string{"encoding_aes_key"}},
		{"key that is none", func(c *Config) { c.EncodingAESKey = chat.Secret(strings.Repeat("?", 43)) }, []string{"encoding_aes_key"}},
		{"plain with a key", func(c *Config) { c.Plain = true }, []string{"plain"}},
		{"of WeCom", func(c *Config) { c.CorpID, c.AgentID, c.Secret = "ww0123456789abcdef", 1, "hunter2" }, []string{"corp_id", "agent_id", "secret"}},
		{"in the clear", func(c *Config) { c.APIURL = "http://api.weixin.qq.com" }, []string{"api_url"}},
		{"password in the URL", func(c *Config) { c.APIURL = "https://ada:hunter2@api.weixin.qq.com" }, []string{"api_url"}},
		{"query in the URL", func(c *Config) { c.APIURL = "https://api.weixin.qq.com/?a=hunter2" }, []string{"api_url"}},
		{"no URL", func(c *Config) { c.APIURL = "api.weixin.qq.com" }, []string{"api_url"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			_, err := New(cfg, chat.Env{Account: "shop"})
			var keys []string
			for line := range strings.Lines(fmt.Sprint(err)) {
				if key, _, ok := strings.Cut(line, ": "); ok && err != nil {
					keys = append(keys, key)
				}
			}
			if fmt.Sprint(keys) != fmt.Sprint(c.keys) {
				t.Errorf("the keys %q are at fault, want %q: %v", keys, c.keys, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}
