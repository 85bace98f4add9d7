package wecom

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// What a card has room for, in characters, as
// https://developer.work.weixin.qq.com/document/path/90236 advises.
const (
	maxTitle   = 36
	maxDesc    = 44
	maxBody    = 160
	maxLabel   = 12
	maxButtons = 6
	// maxKey is the longest key of a button, in bytes.
	maxKey = 1024
)

// states are how people read the marks, with WeCom's color for each.
var states = map[chat.Mark]struct{ word, color string }{
	chat.MarkWaiting:   {"Waiting", "comment"},
	chat.MarkRunning:   {"Running", "info"},
	chat.MarkSucceeded: {"Succeeded", "info"},
	chat.MarkFailed:    {"Failed", "warning"},
	chat.MarkExpired:   {"Expired", "warning"},
	chat.MarkCanceled:  {"Canceled", "comment"},
}

// The styles of a button.
const (
	stylePlain  = 2
	styleDanger = 3
)

type templateCard struct {
	Type    string   `json:"card_type"`
	Title   headline `json:"main_title"`
	Body    string   `json:"sub_title_text,omitempty"`
	Task    string   `json:"task_id"`
	Buttons []button `json:"button_list"`
}

type headline struct {
	Title string `json:"title"`
	Desc  string `json:"desc,omitempty"`
}

type button struct {
	Text  string `json:"text"`
	Style int    `json:"style"`
	Key   string `json:"key"`
}

// cardOf draws a card with its buttons, and reports whether all that is to be
// told stands on it. Without a button there is none.
func cardOf(c *chat.Card) (card *templateCard, whole bool) {
	card = &templateCard{Type: "button_interaction", Task: "skadi-" + rand.Text()}
	for _, b := range c.Buttons {
		// A key is the command itself, and a part of it would be another one.
		if len(b.Command) <= maxKey && b.Command != "" && len(card.Buttons) < maxButtons {
			style := stylePlain
			if b.Danger {
				style = styleDanger
			}
			card.Buttons = append(card.Buttons, button{Text: cutRunes(b.Label, maxLabel), Style: style, Key: b.Command})
		}
	}
	if len(card.Buttons) == 0 {
		return nil, false
	}
	card.Title = headline{
		Title: cutRunes(fmt.Sprintf("%s %s · %s", c.Mark.Symbol(), c.Agent, states[c.Mark].word), maxTitle),
		Desc:  cutRunes(facts(c), maxDesc),
	}
	asked := oneLine(c.Message)
	parts := []string{asked, c.Note}
	if c.Final {
		parts = append(parts, strings.TrimRight(chat.Readable(c.Output), "\n"), c.More)
	}
	body := joined(parts...)
	if whole = len([]rune(body)) <= maxBody; !whole {
		body = cutRunes(joined(cutRunes(asked, maxBody/2), c.Note), maxBody)
	}
	card.Body = body
	return card, whole || !c.Final
}

// facts are what is known of a job beside its state.
func facts(c *chat.Card) string {
	f := "#" + c.Code
	if c.ExitCode != nil && *c.ExitCode != 0 {
		f += fmt.Sprintf(" · exit %d", *c.ExitCode)
	}
	if c.Elapsed > 0 {
		f += " · " + c.Elapsed.Round(time.Second/10).String()
	}
	return f
}

// markdown draws a card as Markdown of at most limit bytes, if nothing in it
// could be taken for markup and it fits.
func markdown(c *chat.Card, limit int) (text string, ok bool) {
	asked, note := oneLine(c.Message), oneLine(c.Note)
	output := strings.TrimRight(chat.Readable(c.Output), "\n")
	for _, part := range []string{c.Code, c.Agent, asked, note, output} {
		if marked(part) {
			return "", false
		}
	}
	state := states[c.Mark]
	text = joined(fmt.Sprintf("<font color=\"%s\">%s %s</font> %s · %s", state.color, c.Mark.Symbol(), state.word, facts(c), c.Agent), asked, note)
	if output != "" {
		text += "\n> " + strings.ReplaceAll(output, "\n", "\n> ")
	}
	text = joined(text, strings.ReplaceAll(c.More, "`", "“"))
	return text, len(text) <= limit
}

// oneLine puts text on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(chat.Readable(text)), " ") }

// joined puts each part that is not empty on lines of its own.
func joined(parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n")
}
