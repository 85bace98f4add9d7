package access

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// rest, as the last word of a pattern, matches the remaining words.
const rest = "**"

// pattern says which messages a rule lets through. Pattern and message are
// compared word by word; words are what stands between single spaces.
//
//   - A word matches itself, with the same letters in the same case.
//   - * within a word stands for any characters of that word: v* is a word
//     that begins with v, and * alone is exactly one word, whatever it is. No
//     word of a message may be empty, so two spaces in a row match nothing.
//   - ** as the last word stands for any number of further words, none
//     included, and does not mind empty ones.
//   - ** alone matches every message. It alone lets through line breaks,
//     tabs, control and formatting characters and white space other than
//     the plain space; a message that has one matches no other pattern.
//
// So a line break cannot smuggle a second command past "deploy **", and no
// look-alike of a space can smuggle a word past "deploy *".
type pattern struct {
	text  string
	words []string
	rest  bool
}

func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	if text == "" {
		return p, errors.New("is empty; write ** to allow any message")
	}
	if r, foreign := firstForeign(text); foreign {
		return p, fmt.Errorf("%q contains %s, which no pattern but ** lets through", text, runeName(r))
	}
	p.words = strings.Split(text, " ")
	if last := len(p.words) - 1; p.words[last] == rest {
		p.words, p.rest = p.words[:last], true
	}
	for _, w := range p.words {
		if w == "" {
			return p, fmt.Errorf("%q must have single spaces between its words and none around them", text)
		}
		if strings.Contains(w, rest) {
			return p, fmt.Errorf("in %q, ** must be the last word, and a word of its own", text)
		}
	}
	return p, nil
}

func (p pattern) matchesAll() bool { return p.rest && len(p.words) == 0 }

// wild reports whether the sender chooses any part of the message.
func (p pattern) wild() bool { return strings.Contains(p.text, "*") }

func (p pattern) match(message string) bool {
	if p.matchesAll() {
		return utf8.ValidString(message)
	}
	if _, foreign := firstForeign(message); foreign {
		return false
	}
	remaining, more := message, true
	for _, w := range p.words {
		if !more {
			return false
		}
		var word string
		word, remaining, more = strings.Cut(remaining, " ")
		if word == "" || !glob(w, word) {
			return false
		}
	}
	return p.rest || !more
}

// matchFirst reports whether a message that begins with this word could match.
func (p pattern) matchFirst(word string) bool {
	return len(p.words) == 0 || glob(p.words[0], word)
}

// firstForeign returns the first character of s that only ** lets through;
// a byte that is no UTF-8 counts as one.
func firstForeign(s string) (rune, bool) {
	for i, r := range s {
		if !plain(r) {
			return r, true
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return r, true
			}
		}
	}
	return 0, false
}

// plain reports whether r is harmless in a line of text. The two joiners are
// format characters that Persian, Indic scripts and emoji cannot do without.
func plain(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	switch {
	case r == ' ', r == nonJoiner, r == joiner:
		return true
	case r > ' ' && r < unicode.MaxASCII: // all but DEL
		return true
	}
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z, unicode.White_Space)
}

// runeName names a character that cannot be shown.
func runeName(r rune) string {
	switch r {
	case '\n', '\r':
		return "a line break"
	case '\t':
		return "a tab"
	case utf8.RuneError:
		return "bytes that are no UTF-8"
	}
	if unicode.In(r, unicode.Z, unicode.White_Space) {
		return fmt.Sprintf("the white space U+%04X", r)
	}
	return fmt.Sprintf("the invisible character U+%04X", r)
}

// glob reports whether s is what pattern says, where * stands for any
// characters, none included. Its time is at most the product of the lengths.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
