package chat

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// sequences are what programs write to color text, to move the cursor and to
// name windows (ECMA-48).
var sequences = regexp.MustCompile(`\x1b(?:` +
	`\[[0-?]*[ -/]*[@-~]` + // CSI: colors, cursor
	`|[\]PX^_][^\x07\x1b\x{9c}\n]*(?:\x07|\x1b\\|\x{9c})?` + // OSC, DCS and the like, up to their end or the line's
	`|[ -/]*[0-~]` + // two bytes: reset, character sets
	`)`)

// Readable makes text from elsewhere fit to be shown: the result is valid
// UTF-8 without escape sequences, in which every other control character but
// newline and tab is spelled out, such as \x07, and so is what turns the
// direction of the text after it, breaks the line, or is no character. Of a
// line that was written over, as progress bars do, the end is left.
//
// It knows no markup: what a channel would take for a mention or a link is for
// its adapter to escape. Text that is readable already comes back as it is.
func Readable(text string) string {
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
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unicode.IsControl(r) || reorders(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case noncharacter(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// printable reports whether text is printable ASCII, as most is.
func printable(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && c != '\t' && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	return true
}

// reorders reports whether r turns the direction of what follows it, so that
// it reads other than it is, or breaks the line as nothing else does.
func reorders(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029
}

// noncharacter reports whether Unicode promises that r is none; XML refuses
// some of them.
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
