package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// sequences are what programs write to move the cursor, to colour and to name
// windows. They are dropped: what they would do here is up to a stranger.
var sequences = regexp.MustCompile(`\x1b(?:` +
	`\[[0-?]*[ -/]*[@-~]` + // CSI: colours, cursor
	`|[\]PX^_][^\x07\x1b\x{9c}\n]*(?:\x07|\x1b\\|\x{9c})?` + // OSC, DCS and the like, up to their end or the line's
	`|[ -/]*[0-~]` + // two bytes: reset, character sets
	`)`)

// harmless makes text from elsewhere safe to print: escape sequences are
// dropped, every other control character but newline and tab is made visible,
// and so are those that reorder text. Carriage returns keep only what they
// leave on the line.
func harmless(text string) string {
	if plain(text) {
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
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain reports whether text is printable ASCII, which most is.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && c != '\t' && (c < 0x20 || c > 0x7e) {
			return false
		}
	}
	return true
}

// reorders reports whether r turns the direction of the text after it, so that
// it reads other than it is.
func reorders(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029
}

// overwritten leaves of each line what follows its last carriage return, as a
// progress bar ends up.
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
	line := strings.Join(strings.Fields(harmless(text)), " ")
	if runes := []rune(line); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return line
}
