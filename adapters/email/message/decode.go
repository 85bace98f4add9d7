package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/charmap"
)

// errLongText is for a text that nobody typed.
var errLongText = &Error{Text: fmt.Sprintf("its text is longer than %d KiB", maxText>>10)}

// words decodes encoded words (RFC 2047). Each is bounded by its field.
var words = mime.WordDecoder{CharsetReader: func(name string, r io.Reader) (io.Reader, error) {
	return charset.Reader(name, r)
}}

// decodeWords decodes the words in s that it can, and leaves others as they are.
func decodeWords(s string) string {
	if decoded, err := words.DecodeHeader(s); err == nil {
		return decoded
	}
	return s
}

// decodeText returns the text of a part in UTF-8, with \n for each line end.
func decodeText(q *part) (string, error) {
	e, err := gomessage.New(q.header, bytes.NewReader(q.body))
	if gomessage.IsUnknownEncoding(err) {
		return "", &Error{Text: "its text is in a transfer encoding that nobody knows"}
	}
	// A charset that nobody knows is mostly one that has ASCII in it.
	b, err := io.ReadAll(io.LimitReader(e.Body, maxText+1))
	switch {
	case len(b) > maxText:
		return "", errLongText
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && len(b) == 0:
		return "", &Error{Text: "its text cannot be decoded"}
	}
	if !utf8.Valid(b) && q.params["charset"] == "" {
		// What says nothing and is no UTF-8 is mostly this.
		if b, err = charmap.Windows1252.NewDecoder().Bytes(b); err != nil {
			return "", &Error{Text: "its text cannot be decoded"}
		}
	}
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if strings.EqualFold(q.params["format"], "flowed") && q.kind == "text/plain" {
		s = unflow(s, strings.EqualFold(q.params["delsp"], "yes"))
	}
	return s, nil
}

// decodedSize returns how large a file is, without keeping it.
func decodedSize(q *part) (int, error) {
	e, err := gomessage.New(q.header, bytes.NewReader(q.body))
	if err != nil || strings.HasPrefix(q.kind, "text/") {
		return len(q.body), nil //nolint:nilerr // the size as it came is as good
	}
	n, err := io.Copy(io.Discard, e.Body)
	if err != nil {
		return len(q.body), nil //nolint:nilerr // likewise
	}
	return int(n), nil
}

// unflow joins the lines that belong together in format=flowed (RFC 3676).
func unflow(s string, delsp bool) string {
	var b strings.Builder
	b.Grow(len(s))
	open := false // the line before goes on in this one
	depth := 0
	for line := range strings.SplitSeq(s, "\n") {
		stripped := strings.TrimLeft(line, ">")
		quotes := len(line) - len(stripped)
		stripped = strings.TrimPrefix(stripped, " ") // space-stuffing
		signature := stripped == "-- "
		if open && (quotes != depth || signature) {
			b.WriteByte('\n')
			open = false
		}
		if !open && quotes > 0 {
			b.WriteString(strings.Repeat(">", quotes) + " ")
		}
		depth = quotes
		open = strings.HasSuffix(stripped, " ") && !signature
		if open && delsp {
			stripped = strings.TrimSuffix(stripped, " ")
		}
		b.WriteString(stripped)
		if !open {
			b.WriteByte('\n')
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// trimLines takes white space off the ends of lines, and empty lines off both
// ends of the text. No-break spaces become plain ones.
func trimLines(s string) string {
	s = strings.ReplaceAll(s, "\u00a0", " ")
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if line != "-- " {
			lines[i] = strings.TrimRight(line, " \t")
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
