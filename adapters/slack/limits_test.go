package slack

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

// checkLetter checks a message against what Slack takes, and that it mentions
// nobody but those given.
func checkLetter(t *testing.T, l letter, mentionable ...string) {
	t.Helper()
	raw := encoded(l.blocks)
	if !utf8.Valid(raw) || !utf8.ValidString(l.text) {
		t.Error("it is not UTF-8")
	}
	if n := len(l.text); n > 4000 {
		t.Errorf("the text has %d characters", n)
	}
	c := &checker{t: t, mentionable: mentionable}
	c.text(l.text)
	if n := len(l.blocks); n > 50 {
		t.Errorf("there are %d blocks", n)
	}
	var blocks []any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		t.Fatal(err)
	}
	c.walk(blocks)
}

type checker struct {
	t           *testing.T
	mentionable []string
}

// mention is what Slack makes a mention, a link or a date of.
var mention = regexp.MustCompile(`<([^<>]*)>`)

// text checks text in which Slack reads its markup.
func (c *checker) text(text string) {
	c.t.Helper()
	for _, m := range mention.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(c.mentionable, strings.TrimPrefix(m[1], "@")) {
			c.t.Errorf("there is a mention or a link: %q", m[0])
		}
	}
	if rest := mention.ReplaceAllString(text, ""); strings.ContainsAny(rest, "<>") {
		c.t.Errorf("it is not escaped: %q", rest)
	}
}

func (c *checker) walk(v any) {
	c.t.Helper()
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			c.walk(one)
		}
	case map[string]any:
		c.part(v)
		for _, one := range v {
			c.walk(one)
		}
	}
}

// known are all kinds of parts that are used.
var known = []string{
	"rich_text", "rich_text_section", "rich_text_preformatted", "text", "emoji", "user", "channel", "date",
	"context", "plain_text", "mrkdwn", "actions", "button", "header", "divider",
}

// part checks one part of a message:
// https://docs.slack.dev/reference/block-kit
func (c *checker) part(v map[string]any) {
	c.t.Helper()
	kind, ok := v["type"].(string)
	if !ok {
		return // a confirmation, or a style
	}
	if !slices.Contains(known, kind) {
		c.t.Errorf("there is a part of the kind %q", kind)
	}
	elements, _ := v["elements"].([]any)
	text, isText := v["text"].(string)
	switch kind {
	case "rich_text", "rich_text_section", "rich_text_preformatted", "actions", "context":
		if len(elements) == 0 {
			c.t.Errorf("a %s is empty", kind)
		}
	}
	if isText && (text == "" || len(utf16.Encode([]rune(text))) > 3000) {
		c.t.Errorf("a %s has a text of %d bytes", kind, len(text))
	}
	switch kind {
	case "context":
		if len(elements) > 10 {
			c.t.Errorf("a context has %d elements", len(elements))
		}
	case "mrkdwn":
		c.text(text)
	case "user":
		if id, _ := v["user_id"].(string); !slices.Contains(c.mentionable, id) {
			c.t.Errorf("%q is mentioned", id)
		}
	case "header":
		c.atMost(v["text"], 150)
	case "actions":
		c.buttons(elements)
	}
}

func (c *checker) buttons(elements []any) {
	c.t.Helper()
	if len(elements) > 25 {
		c.t.Errorf("there are %d buttons in a row", len(elements))
	}
	var ids []string
	for _, e := range elements {
		b := e.(map[string]any)
		id, _ := b["action_id"].(string)
		value, _ := b["value"].(string)
		if !strings.HasPrefix(id, actionPrefix) || len(id) > 255 || slices.Contains(ids, id) {
			c.t.Errorf("a button has the ID %q", id)
		}
		ids = append(ids, id)
		if value == "" || len(utf16.Encode([]rune(value))) > 2000 {
			c.t.Errorf("a button stands for %d bytes", len(value))
		}
		c.atMost(b["text"], 75)
		if confirm, ok := b["confirm"].(map[string]any); ok {
			c.atMost(confirm["title"], 100)
			c.atMost(confirm["text"], 300)
			c.atMost(confirm["confirm"], 30)
			c.atMost(confirm["deny"], 30)
		}
	}
}

// atMost checks the length of a text object.
func (c *checker) atMost(object any, n int) {
	c.t.Helper()
	text, _ := object.(map[string]any)["text"].(string)
	if got := len(utf16.Encode([]rune(text))); text == "" || got > n {
		c.t.Errorf("%q has %d characters, want 1 to %d", text, got, n)
	}
}

// FuzzCard draws cards of anything, in every size.
func FuzzCard(f *testing.F) {
	f.Add("web-1", "deploy v1.2.3", "all is well\n", "", "Ada", "Cancel", "cancel k7f3q2", uint8(0))
	f.Add(hostile, hostile, hostile, hostile, hostile, hostile, hostile, uint8(0xff))
	f.Add("", "", strings.Repeat("世\n", 3000), "", "", "", "", uint8(7))
	f.Add("a", "b", strings.Repeat("\x01", 3000), strings.Repeat("👨‍👩‍👧", 500), "c", "d", strings.Repeat("e", 2001), uint8(3))
	marks := []chat.Mark{chat.MarkWaiting, chat.MarkRunning, chat.MarkSucceeded, chat.MarkFailed, chat.MarkExpired, chat.MarkCanceled, "", "x"}
	f.Fuzz(func(t *testing.T, agent, message, output, note, name, label, command string, bits uint8) {
		c := &chat.Card{
			Mark: marks[bits%8], Code: name, Agent: agent, Message: message, Output: output, Note: note, More: label,
			Asker: chat.Sender{Account: "work", User: name, Name: name}, Final: bits&8 != 0,
		}
		for range 4 {
			c.Buttons = append(c.Buttons, chat.Button{Label: label, Command: command, Danger: bits&16 != 0})
		}
		for _, size := range []int{budget, budget / 2, budget / 4} {
			a := artist{account: "work", budget: size, quiet: bits&32 != 0}
			allowed := ada.User
			if a.quiet && isUser(name) {
				allowed = name
			}
			for _, m := range []chat.Outbound{{Card: c, Text: output}, {Text: output}, {Text: output, Mention: &ada}, {Card: c, Mention: &ada}} {
				l := a.draw(m)
				checkLetter(t, l, allowed, ada.User)
				if n := weigh(l.blocks); n > size {
					t.Errorf("the blocks weigh %d, more than %d", n, size)
				}
			}
		}
	})
}

// FuzzEscape escapes anything, and makes it readable.
func FuzzEscape(f *testing.F) {
	for _, text := range []string{"", "<!channel>", hostile, "a\rb\r\nc", "\x1b]0;title\x07x", "&amp;", strings.Repeat("&", 5000), "\xff\xfe"} {
		f.Add(text, 100)
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		seen := chat.Readable(text)
		if !utf8.ValidString(seen) {
			t.Errorf("%q is not UTF-8", seen)
		}
		if again := chat.Readable(seen); again != seen {
			t.Errorf("%q becomes %q when made readable again", seen, again)
		}
		if got := typed(escape(seen)); got != seen {
			t.Errorf("%q becomes %q when escaped and read", seen, got)
		}
		limit = min(max(limit, 10), 10_000)
		short := escapedWithin(seen, limit)
		if len(short) > limit || strings.ContainsAny(short, "<>") || !utf8.ValidString(short) {
			t.Errorf("%q is cut to %q", seen, short)
		}
		if got := unescape.Replace(short); !strings.HasPrefix(seen, strings.TrimSuffix(got, ellipsis)) {
			t.Errorf("%q is cut to %q", seen, got)
		}
		head, tail := headWithin(seen, limit), tailWithin(seen, limit)
		if weight(head) > limit || weight(tail) > limit || !utf8.ValidString(head) || !utf8.ValidString(tail) {
			t.Errorf("%q is cut to %q and %q", seen, head, tail)
		}
		if !strings.HasPrefix(seen, strings.TrimSuffix(head, ellipsis)) || !strings.HasSuffix(seen, strings.TrimPrefix(tail, ellipsis+"\n")) {
			t.Errorf("%q is cut to %q and %q", seen, head, tail)
		}
		if got := strings.Join(inPieces(seen, limit), ""); got != seen {
			t.Errorf("%q in pieces is %q", seen, got)
		}
	})
}
