package slack

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// ada asks in the tests.
var ada = chat.Sender{Account: "work", Workspace: "T0001", User: "U0001", Name: "Ada"}

// hostile is text that would like to be more than text.
const hostile = "<!channel> <!here> <!everyone> <!subteam^S0001|ops> <@U0002> <#C0001> @channel @here " +
	"<https://evil.example|your bank> https://evil.example/?a=1&b=2\n``` *bold* _it_ ~no~ `code` > quote\n" +
	"&lt;!channel&gt; :tada: <!date^0^{date}|x> \x1b[31mred\x1b[0m \x00 \u202ereversed \xff"

func exit(code int) *int { return &code }

// job is a card of which change makes one state.
func job(mark chat.Mark, change func(c *chat.Card)) *chat.Card {
	c := &chat.Card{Mark: mark, Code: "k7f3q2", Agent: "web-1", Message: "deploy v1.2.3", Asker: ada}
	if change != nil {
		change(c)
	}
	return c
}

func final(output string) func(*chat.Card) {
	return func(c *chat.Card) {
		c.Final, c.Elapsed, c.Output = true, 42*time.Second, output
		c.Buttons = []chat.Button{{Label: "Run again", Command: "rerun k7f3q2"}}
	}
}

var cancel = []chat.Button{{Label: "Cancel", Command: "cancel k7f3q2", Danger: true}}

// lines are n lines of output.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("line " + strings.Repeat("x", i%7) + "\n")
	}
	return b.String()
}

// screens are what people may see, by the name of their golden file.
func screens() map[string]func() letter {
	draw := func(a artist, m chat.Outbound) func() letter {
		a.account, a.budget = "work", budget
		if m.Card != nil && m.Text == "" {
			m.Text = string(m.Card.Mark) + " #" + m.Card.Code + " " + m.Card.Agent + " · " + m.Card.Message
		}
		return func() letter { return a.draw(m) }
	}
	first := func(c *chat.Card) func() letter { return draw(artist{}, chat.Outbound{Card: c}) }
	edit := func(c *chat.Card) func() letter { return draw(artist{quiet: true}, chat.Outbound{Card: c}) }
	return map[string]func() letter{
		"waiting": first(job(chat.MarkWaiting, func(c *chat.Card) { c.Buttons = cancel })),
		"waiting-for-approval": first(job(chat.MarkWaiting, func(c *chat.Card) {
			c.Note = "It waits for somebody to approve it."
			c.Buttons = []chat.Button{
				{Label: "Approve", Command: "approve k7f3q2"},
				{Label: "Deny", Command: "deny k7f3q2", Danger: true},
			}
		})),
		"running": edit(job(chat.MarkRunning, func(c *chat.Card) { c.Buttons = cancel })),
		"live": edit(job(chat.MarkRunning, func(c *chat.Card) {
			c.Elapsed, c.Output, c.OutputStart, c.Buttons = 4200*time.Millisecond, lines(30), 1000, cancel
		})),
		"succeeded":            edit(job(chat.MarkSucceeded, final("unpacking\nstarting\nall is well\n"))),
		"succeeded-in-silence": edit(job(chat.MarkSucceeded, final(""))),
		"failed": edit(job(chat.MarkFailed, func(c *chat.Card) {
			final("disk full\n")(c)
			c.ExitCode = exit(28)
		})),
		"expired": edit(job(chat.MarkExpired, func(c *chat.Card) {
			final("")(c)
			c.Note, c.Elapsed = "web-1 has been silent for 3 minutes; `why k7f3q2` tells more.", 0
		})),
		"canceled": edit(job(chat.MarkCanceled, final("unpacking\n"))),
		"cut": edit(job(chat.MarkSucceeded, func(c *chat.Card) {
			final(lines(250))(c)
			c.OutputStart, c.More = 90_000, "The whole output is in the file."
			c.Buttons = append(c.Buttons, chat.Button{Label: "Show output", Command: "output k7f3q2"})
		})),
		"cut-by-its-weight": edit(job(chat.MarkSucceeded, final(strings.Repeat("<&>世界", 500)))),
		"right-to-left": edit(job(chat.MarkSucceeded, func(c *chat.Card) {
			final("שלום עולם\nمرحبا بالعالم\n")(c)
			c.Agent, c.Message, c.Asker.Name = "שרת", "פרוס גרסה 1.2.3", "עדה"
		})),
		"hostile": edit(job(chat.MarkFailed, func(c *chat.Card) {
			final(hostile)(c)
			c.Agent, c.Message, c.Note, c.More, c.Code = hostile, hostile, hostile, hostile, hostile
			c.Asker = chat.Sender{Account: "work", User: "U1> <!channel", Name: hostile}
			c.Buttons = []chat.Button{{Label: hostile, Command: hostile, Danger: true}}
		})),
		"hostile-reply": draw(artist{}, chat.Outbound{Text: hostile, Mention: &ada}),
		"asker-of-elsewhere": edit(job(chat.MarkRunning, func(c *chat.Card) {
			c.Asker = chat.Sender{Account: "job-inbox", User: "U0002", Name: "bob@example.com"}
		})),
		"without-a-name": first(job(chat.MarkWaiting, func(c *chat.Card) { c.Asker.Name = "" })),
		"reply":          draw(artist{}, chat.Outbound{Text: "Agents:\n  web-1 · online\n  web-2 · offline"}),
		"refusal":        draw(artist{}, chat.Outbound{Text: "You may not give web-1 that command.", Refused: true}),
		"farewell":       draw(artist{}, chat.Outbound{Text: "✓ #k7f3q2 web-1 · deploy v1.2.3 · 3 min", Mention: &ada}),
		"to-a-guest":     draw(artist{from: "C0001"}, chat.Outbound{Card: job(chat.MarkSucceeded, final("done\n"))}),
		"home": func() letter {
			h := newHome(nil, chat.Env{Account: "work"})
			return letter{blocks: h.page(ada, chat.Overview{
				Agents: []chat.AgentState{
					{Name: "web-1", Online: true, SeenAt: time.Unix(1_700_000_000, 0)},
					{Name: "web-2", SeenAt: time.Unix(1_700_000_000, 0)},
					{Name: "web-3"},
				},
				Jobs: []chat.Card{
					*job(chat.MarkRunning, func(c *chat.Card) { c.Output, c.Buttons = "not here", cancel }),
					*job(chat.MarkFailed, final("not here")),
				},
			})}
		},
		"home-of-a-stranger": func() letter {
			return letter{blocks: newHome(nil, chat.Env{Account: "work"}).page(ada, chat.Overview{})}
		},
	}
}

// TestScreens holds what people see against golden files.
func TestScreens(t *testing.T) {
	t.Parallel()
	for name, draw := range screens() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := draw()
			checkLetter(t, l, ada.User)
			if n := weigh(l.blocks); n > budget {
				t.Errorf("the blocks weigh %d", n)
			}
			golden(t, name, l)
		})
	}
}

func golden(t *testing.T, name string, l letter) {
	t.Helper()
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"text": l.text, "blocks": l.blocks}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "screens", name+".json")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s is not as it was; -update writes it anew. It is:\n%s", file, got.Bytes())
	}
}

// TestNoNewMessageNotifies checks that who asked is mentioned only where that
// notifies nobody.
func TestNoNewMessageNotifies(t *testing.T) {
	t.Parallel()
	m := chat.Outbound{Card: job(chat.MarkWaiting, nil)}
	for _, quiet := range []bool{false, true} {
		l := artist{account: "work", budget: budget, quiet: quiet}.draw(m)
		if got := strings.Contains(string(encoded(l.blocks)), "@U0001"); got != quiet {
			t.Errorf("quiet %t: mentioned %t", quiet, got)
		}
	}
}

// TestEveryBlockIsRichTextFirst checks that an edit never has to replace rich
// text by something else, which Slack refuses.
func TestEveryBlockIsRichTextFirst(t *testing.T) {
	t.Parallel()
	for name, draw := range screens() {
		if strings.HasPrefix(name, "home") {
			continue
		}
		if first := draw().blocks[0].BlockType(); first != slack.MBTRichText {
			t.Errorf("%s begins with %s", name, first)
		}
	}
}

// TestTooMuchOnAPage checks that a page keeps its limits, whatever is on it.
func TestTooMuchOnAPage(t *testing.T) {
	t.Parallel()
	var seen chat.Overview
	for range 500 {
		seen.Agents = append(seen.Agents, chat.AgentState{Name: strings.Repeat("世", 1000), SeenAt: time.Unix(1, 0)})
		seen.Jobs = append(seen.Jobs, *job(chat.MarkFailed, func(c *chat.Card) {
			c.Agent, c.Message, c.Note, c.Buttons = strings.Repeat("a", 1000), strings.Repeat("<", 9000), strings.Repeat("&", 9000), cancel
		}))
	}
	who := ada
	who.User = strings.Repeat("U", 5000)
	blocks := newHome(nil, chat.Env{Account: "work"}).page(who, seen)
	if n := len(blocks); n > 100 {
		t.Errorf("a page has %d blocks", n)
	}
	if n := weigh(blocks); n > 250_000 {
		t.Errorf("a page has %d bytes", n)
	}
	for _, b := range blocks {
		checkLetter(t, letter{blocks: []slack.Block{b}, text: "x"}, ada.User)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		85 * time.Millisecond: "85 ms", 4290 * time.Millisecond: "4.2 s", 42 * time.Second: "42 s",
		3 * time.Minute: "3 min", 125 * time.Minute: "2 h 5 min",
	} {
		if got := duration(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
