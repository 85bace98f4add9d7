package slack

import (
	"strings"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

// ellipsis marks where text was cut.
const ellipsis = "…"

// escapes are the only characters that Slack's markup wants escaped:
// https://docs.slack.dev/messaging/formatting-message-text#escaping
var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// escape makes text inert where Slack reads its markup: nothing in it becomes
// a mention, a link or a date.
func escape(text string) string { return escapes.Replace(text) }

// escapedWithin escapes the beginning of text, in at most limit bytes. It cuts
// no character and no escape in two.
func escapedWithin(text string, limit int) string {
	if whole := escape(text); len(whole) <= limit {
		return whole
	}
	limit -= len(ellipsis)
	var b strings.Builder
	for _, r := range text {
		one := escape(string(r))
		if b.Len()+len(one) > limit {
			break
		}
		b.WriteString(one)
	}
	return b.String() + ellipsis
}

// oneLine puts text on one line.
func oneLine(text string) string { return strings.Join(strings.Fields(chat.Readable(text)), " ") }

// weightOf is how much a character counts towards the length of a message.
// Slack seems to count what it stores, which is JSON in ASCII with its escapes;
// it is not documented: https://github.com/slackapi/bolt-js/issues/2509
func weightOf(r rune) int {
	switch {
	case r > 0xffff:
		return len(`\ud83d\ude00`)
	case r > 0x7e, r < ' ' && r != '\n' && r != '\t', r == '<', r == '>', r == '&':
		return len(`\u003c`)
	case r == '"', r == '\\', r == '/', r < ' ':
		return len(`\n`)
	}
	return 1
}

// weight is how much a text counts towards the length of a message.
func weight(text string) int {
	n := 0
	for _, r := range text {
		n += weightOf(r)
	}
	return n
}

// headWithin cuts text at its end to a weight, and marks the cut.
func headWithin(text string, most int) string {
	if weight(text) <= most {
		return text
	}
	most -= weight(ellipsis)
	end := 0
	for i, r := range text {
		if most -= weightOf(r); most < 0 {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return text[:end] + ellipsis
}

// tailWithin cuts text at its beginning to a weight and marks the cut, at the
// start of a line if that leaves enough.
func tailWithin(text string, most int) string {
	if weight(text) <= most {
		return text
	}
	most -= weight(ellipsis + "\n")
	from, left := len(text), most
	for from > 0 {
		r, size := utf8.DecodeLastRuneInString(text[:from])
		if left -= weightOf(r); left < 0 {
			break
		}
		from -= size
	}
	tail := text[from:]
	if tail == "" {
		return ""
	}
	if nl := strings.IndexByte(tail, '\n'); nl >= 0 && nl < len(tail)/2 {
		tail = tail[nl+1:]
	}
	return ellipsis + "\n" + tail
}

// lastLines returns the last n lines of text, and marks what is left out.
func lastLines(text string, n int) string {
	for at := len(text); ; n-- {
		at = strings.LastIndexByte(text[:at], '\n')
		if at < 0 {
			return text
		}
		if n == 1 {
			return ellipsis + text[at:]
		}
	}
}

// lengthOf is how many characters Slack's clients count, which is in UTF-16.
func lengthOf(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// inPieces cuts text into pieces of at most n characters.
func inPieces(text string, n int) []string {
	var pieces []string
	start, length := 0, 0
	for i, r := range text {
		if length += lengthOf(r); length > n {
			pieces = append(pieces, text[start:i])
			start, length = i, lengthOf(r)
		}
	}
	return append(pieces, text[start:])
}
