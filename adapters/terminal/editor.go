package terminal

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/width"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxTyped is the longest line that can be typed, in characters.
	maxTyped = 1 << 16
	// historyLines is how many lines can be called back.
	historyLines = 200
)

// editor lets a line be typed at a prompt, and prints other text above it. It
// counts columns, not characters, so that wide ones are drawn right.
type editor struct {
	out    io.Writer
	prompt string // as it is drawn, colours included
	size   func() (width, height int, err error)

	mu    sync.Mutex
	shown bool // the prompt is on the screen
	line  []rune
	pos   int // of the cursor in line

	history []string
	back    int    // how many lines back in the history; 0 is what is typed
	typed   []rune // what was typed before going back
}

// begin shows an empty prompt.
func (e *editor) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line, e.pos, e.back, e.shown = nil, 0, 0, true
	return e.flush(e.draw())
}

// empty reports whether nothing is typed.
func (e *editor) empty() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.line) == 0
}

// print writes whole lines above the prompt.
func (e *editor) print(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	text = strings.ReplaceAll(text, "\n", "\r\n")
	if !e.shown {
		return e.flush(text)
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\r\n"
	}
	return e.flush(e.erase() + text + e.draw())
}

// hide takes the prompt off the screen.
func (e *editor) hide() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.shown {
		_ = e.flush(e.erase())
		e.shown = false
	}
}

// press changes the line by a key, and says whether that ended it. While more
// keys wait, as in a paste, the line is not drawn.
func (e *editor) press(k key, more bool) (line string, ended bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := ""
	if e.shown {
		before = e.erase()
		e.shown = false
	}
	if k.code == enter {
		line = string(e.line)
		e.pos = len(e.line)
		err = e.flush(before + e.draw() + "\r\n")
		e.remember(line)
		return line, true, err
	}
	first := e.edit(k)
	if more {
		return "", false, e.flush(before)
	}
	e.shown = true
	return "", false, e.flush(before + first + e.draw())
}

// edit applies a key and returns what to write before the line is drawn.
func (e *editor) edit(k key) (first string) {
	switch k.code {
	case 0:
		if len(e.line) >= maxTyped {
			return "\a"
		}
		e.line = slices.Insert(e.line, e.pos, k.char)
		e.pos++
	case left:
		e.pos = max(e.pos-1, 0)
	case right:
		e.pos = min(e.pos+1, len(e.line))
	case home:
		e.pos = 0
	case end:
		e.pos = len(e.line)
	case wordLeft:
		e.pos = e.wordStart()
	case wordRight:
		e.pos = e.wordEnd()
	case backspace:
		e.cut(max(e.pos-1, 0), e.pos)
	case remove:
		e.cut(e.pos, min(e.pos+1, len(e.line)))
	case cutWord:
		e.cut(e.wordStart(), e.pos)
	case cutBefore:
		e.cut(0, e.pos)
	case cutAfter:
		e.cut(e.pos, len(e.line))
	case up:
		e.recall(e.back + 1)
	case down:
		e.recall(e.back - 1)
	case clearScreen:
		return "\x1b[H\x1b[2J"
	}
	return ""
}

func (e *editor) cut(from, to int) {
	e.line = slices.Delete(e.line, from, to)
	e.pos = from
}

// wordStart returns where the word before the cursor begins.
func (e *editor) wordStart() int {
	i := e.pos
	for i > 0 && unicode.IsSpace(e.line[i-1]) {
		i--
	}
	for i > 0 && !unicode.IsSpace(e.line[i-1]) {
		i--
	}
	return i
}

// wordEnd returns where the word after the cursor ends.
func (e *editor) wordEnd() int {
	i := e.pos
	for i < len(e.line) && unicode.IsSpace(e.line[i]) {
		i++
	}
	for i < len(e.line) && !unicode.IsSpace(e.line[i]) {
		i++
	}
	return i
}

// recall shows a line of the history, or what was typed.
func (e *editor) recall(back int) {
	switch {
	case back < 0 || back > len(e.history):
		return
	case e.back == 0:
		e.typed = e.line
	}
	e.back = back
	if back == 0 {
		e.line = e.typed
	} else {
		e.line = []rune(e.history[len(e.history)-back])
	}
	e.pos = len(e.line)
}

func (e *editor) remember(line string) {
	e.back = 0
	last := len(e.history) - 1
	if strings.TrimSpace(line) == "" || last >= 0 && e.history[last] == line {
		return
	}
	e.history = append(e.history, line)
	if len(e.history) > historyLines {
		e.history = e.history[1:]
	}
}

// flush writes everything at once, so that nothing flickers.
func (e *editor) flush(text string) error {
	_, err := io.WriteString(e.out, text)
	return err
}

// place is a position on the screen, from where the prompt begins.
type place struct{ row, col int }

// layout returns where the cursor and the end of the line are on a terminal of
// that width.
func (e *editor) layout(cols int) (cursor, last place) {
	at := place{col: columns(plainText(e.prompt)) % cols}
	for i, r := range e.line {
		w := runeWidth(visible(r))
		if at.col+w > cols {
			at = place{row: at.row + 1}
		}
		if i == e.pos {
			cursor = at
		}
		at.col += w
	}
	if at.col >= cols {
		at = place{row: at.row + 1} // see draw
	}
	if e.pos == len(e.line) {
		cursor = at
	}
	return cursor, at
}

// erase returns what takes the prompt and the line off the screen. The cursor
// is then where the prompt began.
func (e *editor) erase() string {
	cols := e.width() // a terminal that was resized has wrapped the line anew
	cursor, _ := e.layout(cols)
	return move(cursor.row, 'A') + "\r\x1b[J"
}

// draw returns what puts the prompt and the line on the screen.
func (e *editor) draw() string {
	var b strings.Builder
	b.WriteString(e.prompt)
	for _, r := range e.line {
		b.WriteRune(visible(r))
	}
	cursor, last := e.layout(e.width())
	if last.col == 0 && last.row > 0 {
		b.WriteString("\r\n") // a full row leaves the cursor at its end
	}
	b.WriteString(move(last.row-cursor.row, 'A') + "\r" + move(cursor.col, 'C'))
	return b.String()
}

func (e *editor) width() int {
	w, _, err := e.size()
	if err != nil || w < 2 {
		return 80
	}
	return w
}

// move returns a movement of the cursor by n rows or columns.
func move(n int, direction byte) string {
	if n <= 0 {
		return ""
	}
	return "\x1b[" + strconv.Itoa(n) + string(direction)
}

// visible is what is drawn for a character of the line.
func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case chat.Readable(string(r)) != string(r):
		return '\uFFFD'
	}
	return r
}

// runeWidth is how many columns a character takes.
func runeWidth(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

func columns(text string) (n int) {
	for _, r := range text {
		n += runeWidth(r)
	}
	return n
}

// plainText is text without its colours.
func plainText(text string) string { return chat.Readable(text) }
