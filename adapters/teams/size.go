package teams

import (
	"strings"
	"unicode/utf8"
)

// The sizes that Teams takes. It counts a message as UTF-16, has a limit of
// about 100 KB and advises to stay below 80 KB:
// https://learn.microsoft.com/microsoftteams/platform/bots/how-to/format-your-bot-messages
// A card of more than 28 KB is refused on some of the ways that it can take,
// such as webhooks and forwarding:
// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
const (
	// maxText is the longest text of a message that core sends, in bytes. All
	// of it fits, encoded as it may have to be.
	maxText = 6000
	// cardBytes is the most that a card may take as JSON.
	cardBytes = 28 << 10
	// textBytes is the most that encoded text may take as UTF-16; the rest of
	// the message fits into what is left of 80 KB.
	textBytes = 74 << 10
)

// room is how much a message may hold.
type room struct {
	card int // bytes of JSON
	text int // bytes of UTF-16
}

// rooms are tried in this order, each after Teams has found a message too big.
var rooms = []room{{card: cardBytes, text: textBytes}, {card: 6 << 10, text: 12 << 10}}

// jsonSize is what r takes within a string of JSON, in bytes.
func jsonSize(r rune) int {
	switch r {
	case '"', '\\', '\n':
		return 2
	}
	return utf8.RuneLen(r)
}

// tailWithin returns the end of text that takes at most limit bytes within a
// string of JSON, from the start of a line where that leaves most of it.
func tailWithin(text string, limit int) string {
	from, used := len(text), 0
	for from > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:from])
		if used += jsonSize(r); used > limit {
			break
		}
		from -= n
	}
	if from == 0 {
		return text
	}
	tail := text[from:]
	if nl := strings.IndexByte(tail, '\n'); nl >= 0 && nl < len(tail)/2 {
		tail = tail[nl+1:]
	}
	return tail
}
