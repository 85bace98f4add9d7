package mysql

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

const (
	// maxKey is the longest key that is stored as it is, in bytes.
	maxKey = 1024
	// hashMark stands in a shortened key before the hash of the whole one.
	hashMark = ":sha256:"
)

// keyText is the form in which a key of strangers, such as that of a
// conversation, is stored: an index takes keys of limited length only. The form
// of a form is itself.
func keyText(key string) string {
	if len(key) <= maxKey {
		return key
	}
	hash := sha256.Sum256([]byte(key))
	return key[:maxKey-len(hashMark)-2*len(hash)] + hashMark + hex.EncodeToString(hash[:])
}

// shortText makes a text fit for a column of type TEXT, to whatever an adapter
// or a person made of it.
func shortText(text string) string {
	const most = 16 << 10
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
