package teams

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

// Whatever people and programs wrote is shown, and does nothing. In cards it
// stands in text runs alone, in which there is no Markdown:
// https://adaptivecards.io/explorer/TextRun.html. In messages without a card it
// is encoded for XML, and so that it is no Markdown either, since not every
// client tells the two apart.

// macros are what renderers of cards replace by a date, even in text runs:
// https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features#datetime-formatting-and-localization
var macros = strings.NewReplacer("{{DATE(", "{{\u2060DATE(", "{{TIME(", "{{\u2060TIME(")

// oneLine puts text on one line of at most limit characters.
func oneLine(text string, limit int) string {
	line := macros.Replace(strings.Join(strings.Fields(chat.Readable(text)), " "))
	if utf8.RuneCountInString(line) > limit {
		return string([]rune(line)[:limit-1]) + "…"
	}
	return line
}

// tabWidth is how far apart the stops of tabs are in output.
const tabWidth = 8

// aligned prepares output for a text run, where blanks in a row would be shown
// as one: tabs become blanks, and blanks that would get lost are made so that
// they do not.
func aligned(text string) string {
	text = macros.Replace(chat.Readable(text))
	if !strings.Contains(text, "\t") {
		return spaced(text)
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/8)
	column := 0
	for _, r := range text {
		switch r {
		case '\n':
			column = 0
			b.WriteByte('\n')
		case '\t':
			n := tabWidth - column%tabWidth
			column += n
			b.WriteString(strings.Repeat(" ", n))
		default:
			column++
			b.WriteRune(r)
		}
	}
	return spaced(b.String())
}

// noBreak is a blank that is shown even where others stand beside it.
const noBreak = '\u00a0'

// spaced replaces each blank that begins a line or is followed by another. The
// last of several stays, so that lines can be broken there.
func spaced(text string) string {
	if !strings.Contains(text, "  ") && !strings.HasPrefix(text, " ") && !strings.Contains(text, "\n ") {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + len(text)/8)
	start := true
	for i := range len(text) {
		c := text[i]
		if c == ' ' && (start || i+1 < len(text) && text[i+1] == ' ') {
			b.WriteRune(noBreak)
			continue
		}
		start = c == '\n'
		b.WriteByte(c)
	}
	return b.String()
}

// structural are the characters that mean something within a line of XML or of
// Markdown. Teams hides what stands in braces, too:
// https://github.com/MicrosoftDocs/msteams-docs/issues/4956
const structural = `&<>"*_[]\~|{}` + "`"

// markup encodes text for a message of the format xml. What its author has put
// into columns is set in a font that keeps them, which every client has:
// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages#cross-platform-support
// Of what is longer than limit bytes in UTF-16, the beginning is left.
func markup(text string, limit int) string {
	lines := strings.Split(strings.ReplaceAll(chat.Readable(text), "\t", "    "), "\n")
	from, to := columns(lines)
	e := xmlText{room: limit/2 - len(ellipsis+preEnd)}
	if from == to {
		e.lines(lines)
	} else {
		e.lines(lines[:from])
		e.put(preStart)
		e.pre = !e.full
		e.lines(lines[from:to])
		e.end()
		e.lines(lines[to:])
	}
	return e.String()
}

// columns returns the part of the lines that has columns or is indented: none
// if that is not at least two lines.
func columns(lines []string) (from, to int) {
	from = -1
	for i, line := range lines {
		if strings.Contains(strings.TrimRight(line, " "), "  ") {
			if to = i + 1; from < 0 {
				from = i
			}
		}
	}
	if to-from < 2 || from < 0 {
		return 0, 0
	}
	// An empty line beside a block would not be seen.
	for from > 0 && lines[from-1] == "" {
		from--
	}
	for to < len(lines) && lines[to] == "" {
		to++
	}
	return from, to
}

const (
	ellipsis = "…"
	preStart = "<pre>"
	preEnd   = "</pre>"
)

// xmlText is text of the format xml that is being written.
type xmlText struct {
	strings.Builder
	room int  // what is left, in units of UTF-16
	full bool // there was more than room for
	pre  bool // it is within preStart and preEnd
}

// lines writes lines with breaks between them.
func (e *xmlText) lines(lines []string) {
	for i, line := range lines {
		if i > 0 {
			e.put("<br/>")
		}
		e.line(line)
	}
}

// line writes a line, so that nothing in it means anything.
func (e *xmlText) line(line string) {
	start, digits := true, false
	for _, r := range spaced(line) {
		if r < utf8.RuneSelf && strings.ContainsRune(structural, r) ||
			start && strings.ContainsRune("#-+=", r) || digits && (r == '.' || r == ')') {
			e.put(fmt.Sprintf("&#%d;", r))
		} else {
			e.put(string(r))
		}
		digits = r >= '0' && r <= '9' && (start || digits)
		start = start && r == noBreak
	}
}

// put writes a part whole, or ends the text where there is no room for it.
func (e *xmlText) put(part string) {
	if e.full {
		return
	}
	if e.room -= utf16Length(part); e.room >= 0 {
		e.WriteString(part)
		return
	}
	e.full = true
	e.WriteString(ellipsis)
	if e.pre {
		e.WriteString(preEnd)
	}
}

// end ends what keeps its columns, for which room was left.
func (e *xmlText) end() {
	if e.pre && !e.full {
		e.WriteString(preEnd)
	}
	e.pre = false
}

// utf16Length is the length of text in units of UTF-16.
func utf16Length(text string) int {
	n := 0
	for _, r := range text {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// personName returns a name as it can stand in a mention, in the text and in
// the entity alike, with nothing in it that would have to be encoded.
func personName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r), strings.ContainsRune(" .,'’-()", r):
			return r
		}
		return ' '
	}, name)
	name = strings.Join(strings.Fields(name), " ")
	if runes := []rune(name); len(runes) > nameLength {
		name = string(runes[:nameLength])
	}
	if name == "" {
		return "the asker"
	}
	return name
}

// nameLength is how much of a name is shown, in characters.
const nameLength = 64
