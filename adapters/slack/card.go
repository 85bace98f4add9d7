package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// The limits of messages. Slack takes somewhat more than budget in all.
const (
	// budget is how long the blocks of a message may be, by weight.
	budget = 10_000
	// fallbackBytes bounds the text for notifications and screen readers, of
	// which chat.update takes 4,000 characters:
	// https://docs.slack.dev/reference/methods/chat.update#errors
	fallbackBytes = 3_900
	// elementChars bounds one piece of text, as that of a section is:
	// https://docs.slack.dev/reference/block-kit/blocks/section-block
	elementChars = 3_000
	// https://docs.slack.dev/reference/block-kit/block-elements/button-element
	buttonTextChars  = 75
	buttonValueChars = 2_000
	// https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
	confirmTextChars = 30
	// maxButtons is as many as fit beside one another; Slack takes 25.
	maxButtons = 5
	// liveLines is how much of running output is shown, so that a card does not
	// push everything else away.
	liveLines = 20
)

// looks are how a mark is drawn: an emoji, and a word for those who do not see
// it.
var looks = map[chat.Mark]struct{ emoji, word string }{
	chat.MarkWaiting:   {"hourglass_flowing_sand", "Waiting"},
	chat.MarkRunning:   {"arrows_counterclockwise", "Running"},
	chat.MarkSucceeded: {"white_check_mark", "Succeeded"},
	chat.MarkFailed:    {"x", "Failed"},
	chat.MarkExpired:   {"alarm_clock", "Expired"},
	chat.MarkCanceled:  {"black_square_for_stop", "Canceled"},
}

// letter is a message as Slack takes it.
type letter struct {
	blocks []slack.Block
	// text is what notifications show and screen readers read.
	text string
}

// artist draws messages.
type artist struct {
	// account is the one whose people can be mentioned.
	account string
	// budget is how long the blocks may be, by weight.
	budget int
	// quiet says that the message takes the place of another, which notifies
	// nobody: only then who asked is mentioned.
	quiet bool
	// from is the conversation that the message answers, where it is shown in
	// another one.
	from string
}

// draw draws a message. All text in it goes into blocks that Slack shows as it
// is, so that nothing in it is markup.
func (a artist) draw(m chat.Outbound) letter {
	l := letter{text: a.fallback(m)}
	room := weight(orNothing(chat.Readable(m.Text)))
	if m.Card != nil {
		room = weight(chat.Readable(m.Card.Output))
	}
	for room = min(room, a.budget); ; {
		l.blocks = a.blocks(m, room)
		over := weigh(l.blocks) - a.budget
		if over <= 0 || room <= 0 {
			return l
		}
		room -= max(over, 50)
	}
}

// share is a part of the budget.
func (a artist) share(percent int) int { return a.budget * percent / 100 }

// blocks draws a message with room for so much text or output. The first block
// is always rich text, since Slack replaces no such block with another one:
// https://docs.slack.dev/reference/methods/chat.update#errors
func (a artist) blocks(m chat.Outbound, room int) []slack.Block {
	var body []slack.RichTextElement
	if strings.HasPrefix(a.from, "C") || strings.HasPrefix(a.from, "G") { // not the direct messages of others
		body = append(body, section(
			slack.NewRichTextSectionTextElement("In answer to what you asked in ", nil),
			slack.NewRichTextSectionChannelElement(a.from, nil),
			slack.NewRichTextSectionTextElement(":\n", nil)))
	}
	if m.Card == nil {
		var line []slack.RichTextSectionElement
		if id := a.mentionable(m.Mention); id != "" {
			line = append(line, slack.NewRichTextSectionUserElement(id, nil), slack.NewRichTextSectionTextElement(" ", nil))
		}
		if m.Refused {
			line = append(line, slack.NewRichTextSectionEmojiElement("no_entry", 0, nil), slack.NewRichTextSectionTextElement(" ", nil))
		}
		line = append(line, texts(headWithin(orNothing(chat.Readable(m.Text)), max(room, 0)))...)
		return []slack.Block{slack.NewRichTextBlock("", append(body, section(line...))...)}
	}
	blocks := []slack.Block{slack.NewRichTextBlock("", append(body, a.card(m, room)...)...), a.facts(m.Card)}
	if actions := a.actions(m.Card.Buttons, actionPrefix); actions != nil {
		blocks = append(blocks, actions)
	}
	return blocks
}

// card draws what a job is, and its output.
func (a artist) card(m chat.Outbound, room int) []slack.RichTextElement {
	c := m.Card
	var title []slack.RichTextSectionElement
	if id := a.mentionable(m.Mention); id != "" {
		title = append(title, slack.NewRichTextSectionUserElement(id, nil), slack.NewRichTextSectionTextElement(" ", nil))
	}
	title = append(title, a.title(c)...)
	all := []slack.RichTextElement{section(title...)}
	if note := headWithin(strings.TrimSpace(chat.Readable(c.Note)), a.share(10)); note != "" {
		all = append(all, section(worded(note, slack.RichTextSectionTextStyle{})...))
	}
	whole := strings.TrimRight(chat.Readable(c.Output), "\n")
	output := whole
	if !c.Final {
		output = lastLines(output, liveLines)
	}
	output = tailWithin(output, max(room, 0))
	if strings.TrimSpace(output) != "" {
		all = append(all, &slack.RichTextPreformatted{Type: slack.RTEPreformatted, Elements: texts(output)})
	}
	more := c.More
	if more == "" && c.Final && len(output) < len(whole) {
		more = fmt.Sprintf("Only the end of the output is shown; `output %s` shows all of it.", c.Code)
	}
	if more = headWithin(strings.TrimSpace(chat.Readable(more)), a.share(5)); more != "" {
		all = append(all, section(worded(more, slack.RichTextSectionTextStyle{Italic: true})...))
	}
	return all
}

// title is a job in one line.
func (a artist) title(c *chat.Card) []slack.RichTextSectionElement {
	var line []slack.RichTextSectionElement
	if look, ok := looks[c.Mark]; ok {
		line = append(line, slack.NewRichTextSectionEmojiElement(look.emoji, 0, nil), slack.NewRichTextSectionTextElement(" ", nil))
	}
	line = append(line, slack.NewRichTextSectionTextElement(
		orNothing(headWithin(oneLine(c.Agent), a.share(3))), &slack.RichTextSectionTextStyle{Bold: true}))
	if message := headWithin(oneLine(c.Message), a.share(12)); message != "" {
		line = append(line, slack.NewRichTextSectionTextElement(" "+message, nil))
	}
	return line
}

// facts are the small print of a card.
func (a artist) facts(c *chat.Card) slack.Block {
	var facts []slack.MixedElement
	add := func(text string) {
		if text = headWithin(text, a.share(3)); text != "" {
			facts = append(facts, plain(text))
		}
	}
	add(looks[c.Mark].word)
	if c.Code != "" {
		add("#" + oneLine(c.Code))
	}
	if id := a.mentionable(&c.Asker); a.quiet && id != "" {
		facts = append(facts, slack.NewTextBlockObject(slack.MarkdownType, "asked by <@"+id+">", false, true))
	} else if name := oneLine(c.Asker.Name); name != "" {
		add("asked by " + name)
	}
	if c.Elapsed > 0 {
		add(duration(c.Elapsed))
	}
	if c.ExitCode != nil && *c.ExitCode != 0 {
		add(fmt.Sprintf("exit code %d", *c.ExitCode))
	}
	if len(facts) == 0 {
		add("A job")
	}
	return slack.NewContextBlock("", facts...)
}

// actions draws buttons, as far as they fit. Slack wants the IDs of the buttons
// in one block to differ.
func (a artist) actions(buttons []chat.Button, prefix string) slack.Block {
	var elements []slack.BlockElement
	room := a.share(30)
	for _, b := range buttons {
		label := oneLine(b.Label)
		if label == "" || b.Command == "" || len(elements) == maxButtons || len(inPieces(b.Command, buttonValueChars)) > 1 {
			continue
		}
		button := slack.NewButtonBlockElement(fmt.Sprintf("%s%d", prefix, len(elements)), b.Command, plain(short(label, buttonTextChars)))
		if b.Danger {
			confirm := slack.NewConfirmationBlockObject(plain(short(label, confirmTextChars-1)+"?"), plain("This cannot be undone."),
				plain(short(label, confirmTextChars)), plain("Go back"))
			button.WithStyle(slack.StyleDanger).WithConfirm(confirm.WithStyle(slack.StyleDanger))
		}
		if room -= weigh(button); room < 0 {
			break
		}
		elements = append(elements, button)
	}
	if len(elements) == 0 {
		return nil
	}
	return slack.NewActionBlock("", elements...)
}

// fallback is the message in text, for notifications and screen readers.
func (a artist) fallback(m chat.Outbound) string {
	text := strings.TrimSpace(chat.Readable(m.Text))
	if text == "" && m.Card != nil {
		text = fmt.Sprintf("%s %s %s #%s", looks[m.Card.Mark].word, oneLine(m.Card.Agent), oneLine(m.Card.Message), oneLine(m.Card.Code))
	}
	prefix := ""
	if id := a.mentionable(m.Mention); id != "" {
		prefix = "<@" + id + "> "
	}
	return prefix + escapedWithin(orNothing(text), fallbackBytes*a.budget/budget-len(prefix))
}

// mentionable returns the ID to mention somebody by, if they are in Slack.
func (a artist) mentionable(s *chat.Sender) string {
	if s == nil || s.Account != a.account || !isUser(s.User) {
		return ""
	}
	return s.User
}

// isUser reports whether s is a user's ID.
func isUser(s string) bool { return isID(s) && (s[0] == 'U' || s[0] == 'W') }

func section(elements ...slack.RichTextSectionElement) *slack.RichTextSection {
	return slack.NewRichTextSection(elements...)
}

// texts makes elements of a text, each as long as Slack takes them.
func texts(text string) []slack.RichTextSectionElement {
	pieces := inPieces(text, elementChars)
	elements := make([]slack.RichTextSectionElement, len(pieces))
	for i, piece := range pieces {
		elements[i] = slack.NewRichTextSectionTextElement(piece, nil)
	}
	return elements
}

// worded makes elements of a sentence of Skadi's, in which commands stand
// between backticks.
func worded(text string, style slack.RichTextSectionTextStyle) []slack.RichTextSectionElement {
	var elements []slack.RichTextSectionElement
	add := func(text string, code bool) {
		if text == "" {
			return
		}
		one := style
		one.Code = code
		if one == (slack.RichTextSectionTextStyle{}) {
			elements = append(elements, slack.NewRichTextSectionTextElement(text, nil))
			return
		}
		elements = append(elements, slack.NewRichTextSectionTextElement(text, &one))
	}
	for {
		before, rest, _ := strings.Cut(text, "`")
		code, after, paired := strings.Cut(rest, "`")
		if !paired || code == "" || strings.Contains(code, "\n") {
			add(text, false)
			return elements
		}
		add(before, false)
		add(code, true)
		text = after
	}
}

// plain is text in which not even an emoji is recognized.
func plain(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

// short cuts text to n characters.
func short(text string, n int) string {
	if pieces := inPieces(text, n); len(pieces) > 1 {
		return inPieces(text, n-lengthOf('…'))[0] + ellipsis
	}
	return text
}

// orNothing takes the place of empty text, which Slack refuses.
func orNothing(text string) string {
	if strings.TrimSpace(text) == "" {
		return "(nothing)"
	}
	return text
}

// duration writes how long a command took: 4.2 s, 42 s, 3 min, 2 h 5 min.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// weigh is how long a part of a message is, as Slack counts.
func weigh(part any) int {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(part); err != nil {
		panic("a block cannot be encoded: " + err.Error())
	}
	n := 0
	for _, r := range b.String() {
		if r == '"' || r == '\\' { // of JSON itself
			n++
			continue
		}
		n += weightOf(r)
	}
	return n
}
