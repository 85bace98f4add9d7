package terminal

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with testdata/name.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; run with -update to accept.\ngot:\n%s\nwant:\n%s", name, text, want)
	}
}

func exit(code int) *int { return &code }

// card makes a card of job k7f3q2.
func card(mark chat.Mark, message string, change func(*chat.Card)) *chat.Card {
	c := &chat.Card{
		Mark: mark, Code: "k7f3q2", Agent: "local", Message: message,
		Final: mark != chat.MarkWaiting && mark != chat.MarkRunning,
	}
	if change != nil {
		change(c)
	}
	return c
}

// sessions are what is sent, one message after the other; golden files show
// how that looks.
func sessions() map[string][]chat.Outbound {
	live := func(start int64, text string) *chat.Card {
		return card(chat.MarkRunning, "countdown 3", func(c *chat.Card) { c.OutputStart, c.Output = start, text })
	}
	other := func(mark chat.Mark, start int64, text string) *chat.Card {
		return card(mark, "tail log", func(c *chat.Card) { c.Code, c.OutputStart, c.Output = "zzz222", start, text })
	}
	return map[string][]chat.Outbound{
		"short": {
			{Card: card(chat.MarkSucceeded, "hello Ada", func(c *chat.Card) {
				c.Output, c.Elapsed = "Hello, Ada!\nHow do you do?\n", 12*time.Millisecond
			})},
		},
		"live": {
			{Card: card(chat.MarkRunning, "countdown 3", nil)},
			{Card: live(0, "3\n2")},
			{Card: live(3, "\n1\n")},
			{Card: card(chat.MarkSucceeded, "countdown 3", func(c *chat.Card) {
				c.OutputStart, c.Output, c.Elapsed = 6, "lift-off", 3100*time.Millisecond
			})},
		},
		"two at once": {
			{Card: live(0, "3\n")},
			{Card: other(chat.MarkRunning, 0, "first\nsec")},
			{Card: live(2, "2\n")},
			{Card: other(chat.MarkRunning, 9, "ond\n")},
			{Card: card(chat.MarkFailed, "countdown 3", func(c *chat.Card) {
				c.OutputStart, c.ExitCode, c.Elapsed = 4, exit(3), 75*time.Second
			})},
			{Card: other(chat.MarkCanceled, 13, "")},
		},
		"waiting then expired": {
			{Card: card(chat.MarkWaiting, "hello", func(c *chat.Card) { c.Note = "Waiting for local to take it." })},
			{Card: card(chat.MarkExpired, "hello", func(c *chat.Card) {
				c.Note = "Not run: local has never checked in. Is its daemon installed and started?"
			})},
		},
		"result other than its live output": {
			{Card: live(0, "3\n2\n")},
			{Card: card(chat.MarkSucceeded, "countdown 3", func(c *chat.Card) { c.Output = "all done\n" })},
		},
		"result that repeats its live output": {
			{Card: live(0, "3\n2\n")},
			{Card: card(chat.MarkSucceeded, "countdown 3", func(c *chat.Card) { c.Output = "3\n2\n1\n" })},
		},
		"overlap and gap": {
			{Card: live(0, "3\n2\n")},
			{Card: live(2, "2\n1\n")},
			{Card: live(100, "late\n")},
			{Card: card(chat.MarkSucceeded, "countdown 3", func(c *chat.Card) { c.OutputStart, c.Output = 100, "late\n" })},
		},
		"texts": {
			{Text: "local  online\nweb-1  offline since 10:00\n"},
			{Text: "There is no agent nosuch.\nDid you mean local?", Refused: true},
		},
		"hostile": {
			{Card: card(chat.MarkSucceeded, "a\x1b[31mb\nc", func(c *chat.Card) {
				c.Output = "\x1b[2Jtitle\x1b]0;owned\x07\u202eevil\x07 @everyone <b>bold</b>\xff\n"
				c.Note = "no\x1b[1mte"
			})},
			{Text: "\x1b[2J\x1b[31mrefused\x1b[0m", Refused: true},
		},
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	for name, messages := range sessions() {
		for suffix, colours := range map[string]bool{".txt": false, ".colour.txt": true} {
			t.Run(name+suffix, func(t *testing.T) {
				var out strings.Builder
				a, err := New(Config{User: "ada", In: strings.NewReader(""), Out: &out}, chat.Env{Account: "terminal"})
				if err != nil {
					t.Fatal(err)
				}
				a.screen.style.colours = colours
				for i, m := range messages {
					m.ID = name + string(rune('a'+i))
					for range 2 { // a repetition prints nothing
						if _, err := a.Send(t.Context(), m); err != nil {
							t.Fatal(err)
						}
					}
				}
				golden(t, strings.ReplaceAll(name, " ", "-")+suffix, out.String())
			})
		}
	}
}
