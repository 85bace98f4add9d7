package command

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord is the longest word, in bytes, that can be a name or a code however
// it is decorated.
const maxWord = 256

// splitWord cuts the first word off s. The rest begins after the separator:
// all white space up to the next word, but when that stands on a later line,
// its indentation belongs to the rest.
func splitWord(s string) (word, rest string) {
	s = strings.TrimLeftFunc(s, skipped)
	end := strings.IndexFunc(s, unicode.IsSpace)
	if wide := wideEnd(s); wide >= 0 && (end < 0 || wide < end) {
		end = wide
	}
	if end < 0 {
		return s, ""
	}
	return s[:end], afterSeparator(s[end:])
}

// wideEnd returns the end of a word that a full-width colon or comma closes,
// since nobody types a space after one. It is -1 if there is none.
func wideEnd(s string) int {
	i := strings.IndexAny(s, "：，、")
	if i < 0 {
		return -1
	}
	_, size := utf8.DecodeRuneInString(s[i:])
	return i + size
}

func afterSeparator(s string) string {
	content := strings.IndexFunc(s, func(r rune) bool { return !skipped(r) })
	if content < 0 {
		return ""
	}
	if line := strings.LastIndexFunc(s[:content], isLineBreak); line >= 0 {
		_, size := utf8.DecodeRuneInString(s[line:])
		return s[line+size:]
	}
	return s[content:]
}

func isLineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// skipped reports white space, and the invisible characters that word
// processors and chat programs leave around it.
func skipped(r rune) bool {
	switch r {
	case '\u200b', '\u2060', '\ufeff': // zero-width space, word joiner, byte order mark
		return true
	}
	return unicode.IsSpace(r)
}

// quotes are what people and phones put around a word, in full width too.
const quotes = "\"'`´‘’‚‛“”„‟‹›«»′″「」『』〝〞"

// fold writes a word as it was probably meant: in lower case, with plain
// dashes and letters, without invisible characters, without quotes around it
// and a colon or comma behind it. It is empty for what cannot be a name.
func fold(word string) string {
	if len(word) > maxWord {
		return ""
	}
	plain := strings.TrimLeft(strings.Map(foldRune, word), quotes)
	return strings.TrimRight(plain, quotes+":,、")
}

func foldRune(r rune) rune {
	if r >= '！' && r <= '～' { // the full-width forms of ASCII
		r -= '！' - '!'
	}
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf:
		return r
	case unicode.Is(unicode.Pd, r), r == '\u2212', r == '\u2043': // dashes, minus sign, hyphen bullet
		return '-'
	case unicode.In(r, unicode.Cf, unicode.Variation_Selector):
		return -1
	}
	return r
}
