package mattermost

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// setup makes a far side and its adapter, without the suite around them.
func setup(t *testing.T) (*mattermost, *Adapter) {
	t.Helper()
	f := newMattermost(t, chat.Env{
		Account: chattest.Account, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		HTTP: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}},
	})
	return f, f.Now()
}

func TestNothingLeavesTheFence(t *testing.T) {
	t.Parallel()
	_, a := setup(t)
	for _, text := range []string{
		"```\n@all", "a\n````\n@channel [x](https://example.com)\n````", strings.Repeat("`", 50_000) + "\n@here",
		"~~~\n@all\n~~~", "```", "\n```\n", "a```\n@all", strings.Repeat("\x07", maxText), strings.Repeat("世", maxText), "",
	} {
		message := a.render(chat.Outbound{Text: text})
		shown, notified := rendered(message)
		if len(notified) != 0 || strings.Contains(shown, "(markup)") {
			t.Errorf("%.40q notifies %q, and is shown as %.80q", text, notified, shown)
		}
		if n := utf8.RuneCountInString(message); n > maxRunes {
			t.Errorf("%.40q makes a post of %d characters", text, n)
		}
	}
}

func TestMentionIsOfOnePerson(t *testing.T) {
	t.Parallel()
	_, a := setup(t)
	for name, want := range map[string]string{
		"ada": "@ada\n", "grace.h-1": "@grace.h-1\n",
		"all": "", "here": "", "channel": "", "": "", "ada @all": "", "ada\n@all": "", "[x](y)": "", strings.Repeat("a", 65): "",
	} {
		if got := a.mention(&chat.Sender{Account: chattest.Account, User: personID(0), Name: name}); got != want {
			t.Errorf("%q is mentioned as %q, want %q", name, got, want)
		}
	}
	if got := a.mention(&chat.Sender{Account: "elsewhere", Name: "ada"}); got != "" {
		t.Errorf("somebody of another account is mentioned as %q", got)
	}
}

// TestQuestionWasDeleted answers what is no more: in the channel.
func TestQuestionWasDeleted(t *testing.T) {
	t.Parallel()
	f, a := setup(t)
	to := a.message(call{PostID: f.add(&farPost{channel: channelID(0), deleted: true}), ChannelID: channelID(0)}).Conversation
	if _, err := a.Send(t.Context(), chat.Outbound{ID: "a", To: to, Text: "hello"}); err != nil {
		t.Fatal(err)
	}
	if shown := f.Shown(t); len(shown) != 1 || !strings.Contains(shown[0].Text, "hello") {
		t.Errorf("%+v is shown", shown)
	}
}

// TestSentTwice sends again what was sent, as after an answer that was lost.
func TestSentTwice(t *testing.T) {
	t.Parallel()
	f, a := setup(t)
	m := chat.Outbound{ID: "same", To: a.conversation(channelID(0)), Text: "hello"}
	first, err1 := a.Send(t.Context(), m)
	second, err2 := a.Send(t.Context(), m)
	if err := errors.Join(err1, err2); err != nil || first.ID != second.ID || len(f.Shown(t)) != 1 {
		t.Errorf("it was sent as %s and %s (%v)", first.ID, second.ID, err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	f, a := setup(t)
	to, err := a.Open(t.Context(), channelID(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Send(t.Context(), chat.Outbound{ID: "a", To: to, Text: "an alert"}); err != nil {
		t.Fatal(err)
	}
	if shown := f.Shown(t); len(shown) != 1 || shown[0].Conversation != 2 {
		t.Errorf("%+v is shown", shown)
	}
	for channel, want := range map[string]chat.Class{"ops": chat.Permanent, "../posts": chat.Permanent, personID(0): chat.Gone} {
		if _, err := a.Open(t.Context(), channel); chat.Classify(err).Class != want {
			t.Errorf("%s: %v, want %s", channel, err, want)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for _, one := range []struct {
		name, value string
		want        time.Duration
	}{
		{"X-Ratelimit-Reset", "7", 7 * time.Second},
		{"X-Ratelimit-Reset", "1800000030", 30 * time.Second},
		{"X-Ratelimit-Reset", "99999999999999", longestWait},
		{"Retry-After", "3", 3 * time.Second},
		{"Retry-After", "-3", 0},
		{"Retry-After", "soon", 0},
	} {
		if got := wait(http.Header{one.name: {one.value}}, now); got != one.want {
			t.Errorf("%s: %s is %s, want %s", one.name, one.value, got, one.want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := Config{
		Server: "https://mattermost.example.com/chat", BotToken: farToken, BotUserID: farBot, WebhookTokens: []chat.Secret{farHook},
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, one := range []struct {
		says   string
		change func(c *Config)
	}{
		{"server: is empty", func(c *Config) { c.Server = "" }},
		{"server: is no address", func(c *Config) { c.Server = "mattermost.example.com" }},
		{"server: is no address", func(c *Config) { c.Server = "https://me:secret@mattermost.example.com" }},
		{"must begin with https://", func(c *Config) { c.Server = "http://mattermost.example.com" }},
		{"bot_token: is empty", func(c *Config) { c.BotToken = "" }},
		{"bot_token: is no token", func(c *Config) { c.BotToken = "secret secret" }},
		{"bot_user_id: is \"skadi\"", func(c *Config) { c.BotUserID = "skadi" }},
		{"webhook_tokens: is empty, and without one anybody", func(c *Config) { c.WebhookTokens = nil }},
		{"webhook_tokens[1]: is empty", func(c *Config) { c.WebhookTokens = []chat.Secret{farHook, ""} }},
		{"ignore_users[0]", func(c *Config) { c.IgnoreUsers = []string{"jenkins"} }},
	} {
		c := good
		one.change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), one.says) {
			t.Errorf("%v, want it to say %q", err, one.says)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("it shows a secret: %v", err)
		}
	}
}
