package wecom

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxText is the longest text of one message, in bytes. WeCom cuts what is
	// longer.
	maxText = 2048
	// maxMarkdown is the longest Markdown of a robot; of an application it is
	// maxText.
	maxMarkdown = 4096
	// maxParts bounds the messages that one becomes.
	maxParts = 8
)

// anchor is the one piece of markup that WeCom reads in a text.
var anchor = regexp.MustCompile(`(?i)<(/?\s*a[\s/>])`)

// shown is how text is seen: readable, and nothing in it a link with another
// name. The character between has no width.
func shown(text string) string {
	return anchor.ReplaceAllString(strings.TrimRight(chat.Readable(text), "\n"), "<\u200b$1")
}

// split cuts text into parts of at most limit bytes each, between lines where
// that leaves enough and between characters otherwise; of more than most parts
// the last one says that it is cut.
func split(text string, limit, most int) []string {
	var parts []string
	for len(text) > limit {
		if len(parts) == most-1 {
			const mark = "…"
			return append(parts, cut(text, limit-len(mark))+mark)
		}
		part := cut(text, limit)
		if nl := strings.LastIndexByte(part, '\n'); nl > limit/2 {
			parts, text = append(parts, part[:nl]), text[nl+1:]
			continue
		}
		parts, text = append(parts, part), text[len(part):]
	}
	return append(parts, text)
}

// cut returns the beginning of text, at most limit bytes of it.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// cutRunes returns the beginning of text, at most so many characters.
func cutRunes(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// marked reports whether something in text could be read as Markdown, of which
// WeCom knows no way to write it as it is.
func marked(text string) bool {
	if strings.ContainsAny(text, "`[]<>*_~|\\&!") {
		return true
	}
	for line := range strings.Lines(text) {
		line = strings.TrimLeft(line, " \t")
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "---") {
			return true
		}
	}
	return false
}
