package terminal

import (
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// oneLine puts text on one line of at most limit characters.
func oneLine(text string, limit int) string {
	line := strings.Join(strings.Fields(chat.Readable(text)), " ")
	if runes := []rune(line); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return line
}
