package slack

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// TestGuest checks that a slash command is answered by its response_url, to
// whoever gave it alone.
func TestGuest(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("response/secret", "ok")
	b.must(t, about("m1", b.guest(), job(chat.MarkSucceeded, final("done"))))
	c := b.one(t, "response/secret")
	var got struct {
		Type    string          `json:"response_type"`
		Text    string          `json:"text"`
		Parse   string          `json:"parse"`
		Replace bool            `json:"replace_original"`
		Unfurl  *bool           `json:"unfurl_links"`
		Blocks  json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal([]byte(c.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "ephemeral" || got.Text != "hello &lt;there&gt;" || got.Parse != "none" || got.Replace || got.Unfurl == nil || *got.Unfurl {
		t.Errorf("the answer is %s", c.body)
	}
	if !strings.Contains(string(got.Blocks), "done") {
		t.Errorf("the blocks are %s", got.Blocks)
	}
	if c.header.Get("Authorization") != "" || strings.Contains(c.body, botToken) {
		t.Error("the token went to a response_url")
	}
	b.none(t, "chat.postMessage")
}

// TestGuestWhoWaitedTooLong checks that whoever asked is told directly when a
// response_url has run out.
func TestGuestWhoWaitedTooLong(t *testing.T) {
	t.Parallel()
	for name, spend := range map[string]func(b *bot){
		"late":       func(b *bot) { b.forward(30 * time.Minute) },
		"used up":    func(b *bot) { b.answering("response/secret", "404") },
		"gone":       func(b *bot) { b.answering("response/secret", "410") },
		"prohibited": func(b *bot) { b.answering("response/secret", "403") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBot(t)
			m := answer("m1", b.guest())
			spend(b)
			ref := b.must(t, m)
			c := b.one(t, "chat.postMessage").form
			if c.Get("channel") != "U0001" || !strings.Contains(c.Get("blocks"), `"channel_id":"C0009"`) {
				t.Errorf("it is %v", c)
			}
			m.Edit = &ref
			b.must(t, m)
			if got := b.one(t, "chat.update").form; got.Get("channel") != "D0001" || !strings.Contains(got.Get("blocks"), `"channel_id":"C0009"`) {
				t.Errorf("it is edited as %v", got)
			}
		})
	}
}

// TestGuestWithTrouble checks that trouble with a response_url that may pass
// is told as such, without the address.
func TestGuestWithTrouble(t *testing.T) {
	t.Parallel()
	for with, want := range map[string]chat.Class{"500": chat.Temporary, "429": chat.RateLimited, "408": chat.Temporary} {
		b := startBot(t)
		b.answering("response/secret", with)
		_, err := b.Send(t.Context(), answer("m1", b.guest()))
		if se := chat.Classify(err); err == nil || se.Class != want {
			t.Errorf("%s: %v, want %s", with, err, want)
		}
		b.secretive(t, err)
	}
	b := startBot(t)
	m := answer("m1", b.guest())
	b.srv.Close()
	_, err := b.Send(t.Context(), m)
	if chat.Classify(err).Class != chat.Temporary || err == nil {
		t.Errorf("no connection: %v", err)
	}
	b.secretive(t, err)
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("the error shows an address: %v", err)
	}
}

// TestMemberNoMore checks that a command where Skadi was thought to be a member
// is answered all the same.
func TestMemberNoMore(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	c := b.guest()
	c.Guest = false
	b.answering("chat.postMessage", refused("not_in_channel"))
	b.answering("response/secret", "ok")
	b.must(t, answer("m1", c))
	b.one(t, "response/secret")

	c.ResponseURL = ""
	if _, err := b.Send(t.Context(), answer("m2", c)); chat.Classify(err).Class != chat.Gone {
		t.Errorf("without a response_url: %v, want gone", err)
	}
}

// TestGuestNobodyKnows checks that an answer that reaches nobody is given up.
func TestGuestNobodyKnows(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	c := b.guest()
	c.User, c.ResponseURL = "", ""
	if _, err := b.Send(t.Context(), answer("m1", c)); chat.Classify(err).Class != chat.Gone {
		t.Errorf("Send: %v, want gone", err)
	}
}

// TestLongAnswerToAGuest checks that an answer that is too long comes shorter.
func TestLongAnswerToAGuest(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("response/secret", "400", "ok")
	b.must(t, answer("m1", b.guest()))
	if n := len(b.made("response/secret")); n != 2 {
		t.Errorf("%d tries", n)
	}
	b.answering("response/secret", "400")
	_, err := b.Send(t.Context(), answer("m2", b.guest()))
	var se *chat.SendError
	if !errors.As(err, &se) || se.Class != chat.Permanent {
		t.Errorf("Send: %v, want permanent", err)
	}
}
