package terminal

import (
	"bufio"
	"io"
	"unicode/utf8"
)

// key is a key that was pressed: a character, or something to do.
type key struct {
	code int // 0 for a character
	char rune
}

// The keys that do something.
const (
	ignored = iota + 1
	enter
	interrupt
	endOfInput
	left
	right
	wordLeft
	wordRight
	home
	end
	up
	down
	backspace
	remove // the character under the cursor
	cutWord
	cutBefore
	cutAfter
	clearScreen
)

// controls are the keys that come as one byte.
var controls = map[rune]int{
	1: home, 2: left, 3: interrupt, 4: endOfInput, 5: end, 6: right, 8: backspace,
	'\n': enter, 11: cutAfter, 12: clearScreen, '\r': enter, 14: down, 16: up,
	21: cutBefore, 23: cutWord, 0x7f: backspace,
}

// letters are the sequences ESC [ letter and ESC O letter.
var letters = map[byte]int{'A': up, 'B': down, 'C': right, 'D': left, 'H': home, 'F': end}

// numbers are the sequences ESC [ number ~.
var numbers = map[string]int{"1": home, "3": remove, "4": end, "7": home, "8": end}

// alts are the keys pressed with Alt.
var alts = map[rune]int{'b': wordLeft, 'f': wordRight, 0x7f: cutWord, 8: cutWord}

// maxSequence is the longest escape sequence that a key sends.
const maxSequence = 32

// keys reads keys.
type keys struct{ *bufio.Reader }

func newKeys(r io.Reader) keys { return keys{bufio.NewReader(r)} }

// next reads the next key. Bytes that are no text are ignored.
func (k keys) next() (key, error) {
	r, size, err := k.ReadRune()
	switch {
	case err != nil:
		return key{}, err
	case r == utf8.RuneError && size == 1:
		return key{code: ignored}, nil
	case r == '\x1b':
		return k.sequence()
	case r == '\r' && k.ahead() == '\n':
		_, err := k.Discard(1)
		return key{code: enter}, err
	case controls[r] != 0:
		return key{code: controls[r]}, nil
	case r < 0x20 && r != '\t':
		return key{code: ignored}, nil
	}
	return key{char: r}, nil
}

// ahead returns the next byte if it came together with the last.
func (k keys) ahead() byte {
	if k.Buffered() == 0 {
		return 0
	}
	b, _ := k.Peek(1)
	return b[0]
}

// sequence reads what follows an escape. One that nothing follows at once is
// the key itself, which does nothing.
func (k keys) sequence() (key, error) {
	switch k.ahead() {
	case 0:
		return key{code: ignored}, nil
	case '[', 'O':
		_, _ = k.Discard(1)
	default:
		r, _, err := k.ReadRune()
		if code := alts[r]; code != 0 {
			return key{code: code}, err
		}
		return key{code: ignored}, err
	}
	var params []byte
	for range maxSequence {
		b, err := k.ReadByte()
		if err != nil {
			return key{}, err
		}
		if b < 0x40 || b > 0x7e {
			params = append(params, b)
			continue
		}
		return key{code: meaning(string(params), b)}, nil
	}
	return key{code: ignored}, nil
}

// meaning is the key of a whole sequence.
func meaning(params string, final byte) int {
	code := letters[final]
	switch {
	case final == '~':
		code = numbers[params]
	case params == "" || params == "1":
	case code == left:
		code = wordLeft // with Ctrl, Alt or Shift
	case code == right:
		code = wordRight
	}
	if code == 0 {
		return ignored
	}
	return code
}
