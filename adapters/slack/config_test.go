package slack

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	socket := Config{Mode: ModeSocket, AppToken: appLevelToken, BotToken: botToken}
	calls := Config{Mode: ModeHTTP, SigningSecret: signingSecret, BotToken: botToken}
	with := func(c Config, change func(c *Config)) Config { change(&c); return c }
	for _, c := range []struct {
		name string
		cfg  Config
		keys []string // those at fault
	}{
		{"socket", socket, nil},
		{"http", calls, nil},
		{"rotated bot token", with(calls, func(c *Config) { c.BotToken = "xoxe.xoxb-1-abc" }), nil},
		{"nothing", Config{}, []string{"bot_token", "mode"}},
		{"no mode of ours", with(socket, func(c *Config) { c.Mode = "rtm" }), []string{"mode"}},
		{"no app token", with(socket, func(c *Config) { c.AppToken = "" }), []string{"app_token"}},
		{"tokens swapped", with(socket, func(c *Config) { c.AppToken, c.BotToken = c.BotToken, c.AppToken }), []string{"bot_token", "app_token"}},
		{"user token", with(calls, func(c *Config) { c.BotToken = "xoxp-1-abc" }), []string{"bot_token"}},
		{"prefix alone", with(calls, func(c *Config) { c.BotToken = "xoxb-" }), []string{"bot_token"}},
		{"line end in a token", with(calls, func(c *Config) { c.BotToken = botToken + "\n" }), []string{"bot_token"}},
		{"no signing secret", with(calls, func(c *Config) { c.SigningSecret = "" }), []string{"signing_secret"}},
		{"blank signing secret", with(calls, func(c *Config) { c.SigningSecret = "  " }), []string{"signing_secret"}},
		{"signing secret without use", with(socket, func(c *Config) { c.SigningSecret = signingSecret }), []string{"signing_secret"}},
		{"app token without use", with(calls, func(c *Config) { c.AppToken = appLevelToken }), []string{"app_token"}},
		{"gateway", with(calls, func(c *Config) { c.APIURL = "https://gateway.example.com/slack" }), nil},
		{"this machine", with(calls, func(c *Config) { c.APIURL = "http://127.0.0.1:9/api/" }), nil},
		{"this machine by IPv6", with(calls, func(c *Config) { c.APIURL = "http://[::1]:9/api/" }), nil},
		{"in the clear", with(calls, func(c *Config) { c.APIURL = "http://slack.com/api/" }), []string{"api_url"}},
		{"this machine by name only", with(calls, func(c *Config) { c.APIURL = "http://localhost.example.com/" }), []string{"api_url"}},
		{"password in the URL", with(calls, func(c *Config) { c.APIURL = "https://ada:hunter2@slack.com/api/" }), []string{"api_url"}},
		{"no URL", with(calls, func(c *Config) { c.APIURL = "slack.com" }), []string{"api_url"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(c.cfg, chat.Env{Account: "work"})
			if keys := faulty(err); fmt.Sprint(keys) != fmt.Sprint(c.keys) {
				t.Errorf("the keys %q are at fault, want %q: %v", keys, c.keys, err)
			}
			for _, secret := range []chat.Secret{c.cfg.AppToken, c.cfg.BotToken, c.cfg.SigningSecret, "hunter2"} {
				if s := strings.TrimSpace(secret.Reveal()); err != nil && len(s) > 5 && strings.Contains(err.Error(), s) {
					t.Errorf("the error shows a secret: %v", err)
				}
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

func TestOnlyHTTPIsPushed(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]bool{ModeHTTP: true, ModeSocket: false} {
		a, err := Factory(func(cfg any) error {
			c := cfg.(*Config)
			c.Mode, c.BotToken = mode, botToken
			if mode == ModeHTTP {
				c.SigningSecret = signingSecret
			} else {
				c.AppToken = appLevelToken
			}
			return nil
		}, chat.Env{Account: "work"})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := a.(chat.Pushed); ok != want {
			t.Errorf("an account of mode %s is pushed: %t, want %t", mode, ok, want)
		}
	}
}

func TestDecodeFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("line 3: unknown key")
	if _, err := Factory(func(any) error { return broken }, chat.Env{}); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want that of the config", err)
	}
}

func TestAppID(t *testing.T) {
	t.Parallel()
	for token, want := range map[chat.Secret]string{appLevelToken: appID, "": "", "xapp-whatever": "", "xapp-1-A1B2-77-cafe": "A1B2"} {
		if got := (Config{AppToken: token}).appID(); got != want {
			t.Errorf("a token belongs to the app %q, want %q", got, want)
		}
	}
}
