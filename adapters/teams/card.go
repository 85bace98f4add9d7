package teams

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// cardType is the content type of an Adaptive Card as an attachment.
const cardType = "application/vnd.microsoft.card.adaptive"

// verb names the one action that cards have: to give the command in its data,
// as if the person who clicks had written it.
const verb = "command"

// adaptiveCard is an Adaptive Card, of the newest version that bots in Teams
// may use and the first whose buttons tell whether a click was taken:
// https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-reference#adaptive-card
type adaptiveCard struct {
	Type         string     `json:"type"`
	Schema       string     `json:"$schema"`
	Version      string     `json:"version"`
	FallbackText string     `json:"fallbackText"`
	Teams        teamsWidth `json:"msteams"`
	Body         []any      `json:"body"`
	Actions      []execute  `json:"actions,omitempty"`
}

// teamsWidth has Teams use all the width there is, since output is wide.
type teamsWidth struct {
	Width string `json:"width"`
}

// richText is a paragraph. Unlike a TextBlock's, its text is no Markdown.
type richText struct {
	Type    string    `json:"type"`
	Spacing string    `json:"spacing,omitempty"`
	Inlines []textRun `json:"inlines"`
}

// textRun is text of one look.
type textRun struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Size     string `json:"size,omitempty"`
	Weight   string `json:"weight,omitempty"`
	Color    string `json:"color,omitempty"`
	Subtle   bool   `json:"isSubtle,omitempty"`
	FontType string `json:"fontType,omitempty"`
}

// container is the box that output stands in.
type container struct {
	Type  string `json:"type"`
	Style string `json:"style"`
	Items []any  `json:"items"`
}

// execute is a button:
// https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model
type execute struct {
	Type     string   `json:"type"`
	Title    string   `json:"title"`
	Verb     string   `json:"verb"`
	Style    string   `json:"style,omitempty"`
	Data     order    `json:"data"`
	Fallback fallback `json:"fallback"`
}

// fallback is the button on clients that do not know Action.Execute.
type fallback struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	Style string `json:"style,omitempty"`
	Data  order  `json:"data"`
}

// order is what a click brings back.
type order struct {
	Command string `json:"command"`
}

func paragraph(spacing string, runs ...textRun) richText {
	for i := range runs {
		runs[i].Type = "TextRun"
	}
	return richText{Type: "RichTextBlock", Spacing: spacing, Inlines: runs}
}

// looks are how the marks look: the words and the colours of
// https://adaptivecards.io/explorer/TextRun.html.
var looks = map[chat.Mark]struct{ word, color string }{
	chat.MarkWaiting:   {"Waiting", "default"},
	chat.MarkRunning:   {"Running", "accent"},
	chat.MarkSucceeded: {"Succeeded", "good"},
	chat.MarkFailed:    {"Failed", "attention"},
	chat.MarkExpired:   {"Expired", "warning"},
	chat.MarkCanceled:  {"Canceled", "default"},
}

const (
	// messageLength is how much of a job's message a card shows, in
	// characters.
	messageLength = 300
	// noteLength is the same for notes and for where all of the output is.
	noteLength = 600
	// labelLength is the same for buttons.
	labelLength = 40
	// maxButtons is how many buttons Teams shows in a row.
	maxButtons = 6
	// minOutput is the room below which no output is shown at all, in bytes.
	minOutput = 64
)

// draw makes the card of a job, of at most limit bytes as JSON. Output that
// does not fit loses its beginning.
func draw(c *chat.Card, limit int) (json.RawMessage, error) {
	output := aligned(strings.Trim(c.Output, "\n"))
	cut := c.OutputStart > 0
	whole, err := encode(assemble(c, output, cut))
	if err != nil || len(whole) <= limit || output == "" {
		return whole, err
	}
	bare, err := encode(assemble(c, "x", true))
	if err != nil {
		return nil, err
	}
	if output = tailWithin(output, limit-len(bare)); len(output) < minOutput {
		output = ""
	}
	return encode(assemble(c, output, true))
}

// assemble puts a card together. cut says that output is not all there is.
func assemble(c *chat.Card, output string, cut bool) adaptiveCard {
	look := looks[c.Mark]
	title := []textRun{
		{Text: oneLine(c.Agent, messageLength), Weight: "bolder"},
		{Text: " · " + oneLine(c.Message, messageLength)},
	}
	if symbol := c.Mark.Symbol(); symbol != "" {
		title = append([]textRun{{Text: symbol + " ", Weight: "bolder", Color: look.color}}, title...)
	}
	body := []any{
		paragraph("", title...),
		paragraph("none", textRun{Text: details(c, look.word), Size: "small", Subtle: true}),
	}
	if c.Note != "" {
		body = append(body, paragraph("small", textRun{Text: oneLine(c.Note, noteLength)}))
	}
	more := oneLine(c.More, noteLength)
	if cut && more == "" && c.Final {
		more = fmt.Sprintf("Only the end of the output is shown; `output %s` shows all of it.", c.Code)
	}
	if output != "" {
		if cut {
			output = "…\n" + output
		}
		body = append(body, container{Type: "Container", Style: "emphasis", Items: []any{
			paragraph("", textRun{Text: output, Size: "small", FontType: "monospace"}),
		}})
	}
	if more != "" {
		body = append(body, paragraph("small", textRun{Text: more, Size: "small", Subtle: true}))
	}
	return adaptiveCard{
		Type: "AdaptiveCard", Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Version: "1.5",
		FallbackText: fmt.Sprintf("%s · %s. This version of Teams cannot show the card; `job %s` tells the rest.",
			look.word, oneLine(c.Code, labelLength), oneLine(c.Code, labelLength)),
		Teams: teamsWidth{Width: "Full"}, Body: body, Actions: actions(c, cut),
	}
}

// details is the line below the title: what it is, whose, and for how long.
func details(c *chat.Card, word string) string {
	parts := []string{word, "#" + oneLine(c.Code, labelLength)}
	if name := oneLine(c.Asker.Name, nameLength); name != "" {
		parts = append(parts, name)
	}
	if c.Elapsed > 0 {
		parts = append(parts, elapsed(c.Elapsed))
	}
	if c.ExitCode != nil && *c.ExitCode != 0 {
		parts = append(parts, fmt.Sprintf("exit %d", *c.ExitCode))
	}
	if word == "" {
		parts = parts[1:]
	}
	return strings.Join(parts, " · ")
}

// actions makes the buttons. If only this adapter knows that output is left
// out, it adds the one that shows it.
func actions(c *chat.Card, cut bool) []execute {
	buttons := c.Buttons
	show := chat.Button{Label: "Show output", Command: "output " + c.Code}
	if cut && c.Final {
		has := false
		for _, b := range buttons {
			has = has || b.Label == show.Label
		}
		if !has {
			buttons = append(buttons[:len(buttons):len(buttons)], show)
		}
	}
	var all []execute
	for _, b := range buttons[:min(len(buttons), maxButtons)] {
		e := execute{
			Type: "Action.Execute", Title: oneLine(b.Label, labelLength), Verb: verb, Data: order{Command: b.Command},
		}
		if b.Danger {
			e.Style = "destructive"
		}
		e.Fallback = fallback{Type: "Action.Submit", Title: e.Title, Style: e.Style, Data: e.Data}
		all = append(all, e)
	}
	return all
}

// headline is the card in one line, for notifications and lists of chats.
func headline(c *chat.Card) string {
	line := fmt.Sprintf("%s %s · %s (#%s)", looks[c.Mark].word, c.Agent, c.Message, c.Code)
	// It is no place for markup. What might be taken for it is not.
	return strings.NewReplacer("<", "‹", ">", "›").Replace(oneLine(line, messageLength))
}

// elapsed writes how long something took: 85 ms, 4.2 s, 42 s, 3 min 5 s, 2 h 5 min.
func elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", max(d.Milliseconds(), 1))
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// encode writes v as JSON, with <, > and & as they are: they are long enough.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
