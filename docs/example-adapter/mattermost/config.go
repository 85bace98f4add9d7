package mattermost

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/letserverrun/skadi/core/chat"
)

// Config is the adapter's block in the config. Its tags are what the strict
// reader, `skadi config schema` and so editors know of it.
type Config struct {
	Server        string        `yaml:"server" json:"server" jsonschema:"required" doc:"Where Mattermost is, such as https://mattermost.example.com."`
	BotToken      chat.Secret   `yaml:"bot_token" json:"bot_token" jsonschema:"required" doc:"Access token of the bot that answers; Mattermost shows it under Integrations, Bot Accounts."`
	BotUserID     string        `yaml:"bot_user_id" json:"bot_user_id" jsonschema:"required" doc:"User ID of that bot, so that it never answers itself."`
	WebhookTokens []chat.Secret `yaml:"webhook_tokens" json:"webhook_tokens" jsonschema:"required,minItems=1" doc:"Tokens of the outgoing webhooks that call here, one for each of them."`
	IgnoreUsers   []string      `yaml:"ignore_users,omitempty" json:"ignore_users,omitempty" doc:"User IDs of other bots, whose posts are ignored."`
}

// keyError is about one key; who decodes the block adds file, line and column.
type keyError struct{ key, detail string }

func (e *keyError) Error() string { return e.key + ": " + e.detail }

// Field says which key it is about.
func (e *keyError) Field() (path, detail string) { return e.key, e.detail }

// Validate names every key that is missing or wrong, and shows no secret.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &keyError{key, fmt.Sprintf(format, args...)})
	}
	if err := checkServer(c.Server); err != nil {
		bad("server", "%v", err)
	}
	token := func(key string, s chat.Secret, where string) {
		switch {
		case s == "":
			bad(key, "is empty; Mattermost shows it under %s", where)
		case !id.MatchString(s.Reveal()):
			bad(key, "is no token, which has 26 small letters and digits; Mattermost shows it under %s", where)
		}
	}
	token("bot_token", c.BotToken, "Integrations, Bot Accounts, when it is made")
	if len(c.WebhookTokens) == 0 {
		bad("webhook_tokens", "is empty, and without one anybody could send messages; Mattermost shows it under Integrations, Outgoing Webhooks")
	}
	for i, s := range c.WebhookTokens {
		token(fmt.Sprintf("webhook_tokens[%d]", i), s, "Integrations, Outgoing Webhooks")
	}
	if !id.MatchString(c.BotUserID) {
		bad("bot_user_id", "is %q, which is no user's ID; that has 26 characters, and GET /api/v4/users/me with the bot's token tells it", c.BotUserID)
	}
	for i, user := range c.IgnoreUsers {
		if !id.MatchString(user) {
			bad(fmt.Sprintf("ignore_users[%d]", i), "is %q, which is no user's ID; that has 26 characters", user)
		}
	}
	return errors.Join(errs...)
}

func checkServer(text string) error {
	if text == "" {
		return errors.New("is empty; it is the address of Mattermost, such as https://mattermost.example.com")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("is no address such as https://mattermost.example.com")
	}
	if u.Scheme == "https" || u.Scheme == "http" && net.ParseIP(u.Hostname()).IsLoopback() {
		return nil
	}
	return fmt.Errorf("is %q; it must begin with https://, since the bot's token goes there (http:// is for this machine's own IP address alone)", text)
}
