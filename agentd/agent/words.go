package agent

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quotes are the quotation marks that a word may begin with, and what each
// ends with. Phones turn straight ones into the others.
var quotes = map[rune]string{
	'"': `"`, '\'': `'`,
	'“': "”“", '”': "”", '„': "“”", '«': "»",
	'‘': "’‘", '’': "’", '‚': "‘’",
}

// Words splits a message into words at white space. A word that begins with a
// quotation mark goes on to the matching one, which must end it, and loses
// both; so "two words" is one word, while a mark within a word, as in don't,
// is part of it. Nothing else is special: there is no escaping. An error says
// which mark is not closed, or that the message has a control character.
func Words(message string) ([]string, error) {
	var words []string
	for i, r := range message {
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return nil, fmt.Errorf("the message has a control character (%U) at position %d", r, utf8.RuneCountInString(message[:i])+1)
		}
	}
	rest := message
	for {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if rest == "" {
			return words, nil
		}
		mark, n := utf8.DecodeRuneInString(rest)
		if closing, ok := quotes[mark]; ok {
			end, size := closingMark(rest[n:], closing)
			if end < 0 {
				at := utf8.RuneCountInString(message[:len(message)-len(rest)]) + 1
				return nil, fmt.Errorf("the quotation mark %c at position %d is not closed", mark, at)
			}
			words = append(words, rest[n:n+end])
			rest = rest[n+end+size:]
			continue
		}
		end := strings.IndexFunc(rest, unicode.IsSpace)
		if end < 0 {
			end = len(rest)
		}
		words = append(words, rest[:end])
		rest = rest[end:]
	}
}

// closingMark finds the first closing mark that ends a word.
func closingMark(s, closing string) (at, size int) {
	for i, r := range s {
		if !strings.ContainsRune(closing, r) {
			continue
		}
		size = utf8.RuneLen(r)
		next, _ := utf8.DecodeRuneInString(s[i+size:])
		if i+size == len(s) || unicode.IsSpace(next) {
			return i, size
		}
	}
	return -1, 0
}

// firstWord returns the first word, without regard to quotation marks, and
// what follows it.
func firstWord(message string) (word, rest string) {
	message = strings.TrimFunc(message, unicode.IsSpace)
	end := strings.IndexFunc(message, unicode.IsSpace)
	if end < 0 {
		return message, ""
	}
	return message[:end], strings.TrimLeftFunc(message[end:], unicode.IsSpace)
}
