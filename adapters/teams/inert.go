package teams

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Whatever people and programs wrote is shown, and does nothing. In cards it
// stands in text runs alone, in which there is no Markdown:
// https://adaptivecards.io/explorer/TextRun.html. In messages without a card it
// is encoded for XML, and so that it is no Markdown either, since not every
// client tells the two apart.

// sequences are what programs write to move a cursor, to colour and to name
// windows.
var sequences = regexp.MustCompile(`\x1b(?:` +
	`\[[0-?]*[ -/]*[@-~]` + // CSI: colours, cursor
	`|[\]PX^_][^\x07\x1b\x{9c}\n]*(?:\x07|\x1b\\|\x{9c})?` + // OSC, DCS and the like, up to their end or the line's
	`|[ -/]*[0-~]` + // two bytes: reset, character sets
	`)`)

// macros are what renderers of cards replace by a date, even in text runs:
// https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features#datetime-formatting-and-localization
var macros = strings.NewReplacer("{{DATE(", "{{\u2060DATE(", "{{TIME(", "{{\u2060TIME(")

// harmless returns text as valid UTF-8 that changes nothing around it: escape
// sequences are dropped, control characters but newline and tab are made
// visible, and so are those that reorder text. Of a line that was written over,
// as progress bars do, the end is left.
func harmless(text string) string {
	if printable(text) {
		return text
	}
	text = sequences.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	if strings.Contains(text, "\r") {
		text = overwritten(text)
	}
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < 0x20:
			b.WriteRune(0x2400 + r) // the character's picture
		case r == 0x7f:
			b.WriteRune(0x2421)
		case unicode.IsControl(r) || reorders(r) || noncharacter(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// printable reports whether text is printable ASCII, which most is.
func printable(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && c != '\t' && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	return true
}

// reorders reports whether r turns the direction of the text after it, or
// breaks the line.
func reorders(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029
}

// noncharacter reports whether r may not stand in XML.
func noncharacter(r rune) bool { return r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef }

// overwritten leaves of each line what follows its last carriage return.
func overwritten(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		if at := strings.LastIndexByte(line, '\r'); at >= 0 {
			line = line[at+1:]
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}

// oneLine puts text on one line of at most limit characters.
func oneLine(text string, limit int) string {
	line := macros.Replace(strings.Join(strings.Fields(harmless(text)), " "))
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
	text = macros.Replace(harmless(text))
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

// markup encodes text for a message of the format xml. Of what is longer than
// limit bytes in UTF-16, the beginning is left.
func markup(text string, limit int) string {
	text = spaced(strings.ReplaceAll(harmless(text), "\t", "    "))
	const ellipsis = "…"
	room := limit/2 - len("…")
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	lineStart, digits, used := true, false, 0
	for _, r := range text {
		part, size := string(r), 1
		switch {
		case r == '\n':
			part = "<br/>"
		case r < utf8.RuneSelf && strings.ContainsRune(structural, r),
			lineStart && strings.ContainsRune("#-+=", r),
			digits && (r == '.' || r == ')'):
			part = fmt.Sprintf("&#%d;", r)
		case r > 0xffff:
			size = 2
		}
		size = max(size, sizeOfASCII(part))
		if used += size; used > room {
			return b.String() + ellipsis
		}
		b.WriteString(part)
		digits = r >= '0' && r <= '9' && (lineStart || digits)
		lineStart = r == '\n' || lineStart && r == noBreak
	}
	return b.String()
}

// sizeOfASCII is the length of a text of several ASCII characters, and 0 of a
// single character.
func sizeOfASCII(part string) int {
	if utf8.RuneCountInString(part) == 1 {
		return 0
	}
	return len(part)
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
