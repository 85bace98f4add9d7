package terminal

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// vt is a terminal as the editor sees it: it wraps lines by columns, and stays
// at the end of a full row until something more is written.
type vt struct {
	cols     int
	rows     [][]rune // 0 stands for the right half of a wide character
	row, col int
	pending  bool // the row is full
}

func (v *vt) Write(p []byte) (int, error) {
	text := []rune(string(p))
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\r':
			v.col, v.pending = 0, false
		case '\n':
			v.row, v.pending = v.row+1, false
		case '\a':
		case '\x1b':
			from := i + 2
			i = from
			for text[i] < 0x40 {
				i++
			}
			v.control(string(text[from:i]), text[i])
		default:
			v.put(text[i])
		}
		for len(v.rows) <= v.row {
			v.rows = append(v.rows, nil)
		}
	}
	return len(p), nil
}

func (v *vt) control(params string, final rune) {
	n, err := strconv.Atoi(params)
	if err != nil {
		n = 1
	}
	v.pending = false
	switch final {
	case 'A':
		v.row = max(v.row-n, 0)
	case 'C':
		v.col = min(v.col+n, v.cols-1)
	case 'J':
		v.rows = v.rows[:v.row+1]
		v.rows[v.row] = v.rows[v.row][:min(v.col, len(v.rows[v.row]))]
	}
}

func (v *vt) put(r rune) {
	w := runeWidth(r)
	if w == 0 {
		return // it joins the character before
	}
	if v.pending || v.col+w > v.cols {
		v.row, v.col, v.pending = v.row+1, 0, false
	}
	for len(v.rows) <= v.row {
		v.rows = append(v.rows, nil)
	}
	for len(v.rows[v.row]) < v.col+w {
		v.rows[v.row] = append(v.rows[v.row], ' ')
	}
	v.rows[v.row][v.col] = r
	if w == 2 {
		v.rows[v.row][v.col+1] = 0
	}
	if v.col += w; v.col == v.cols {
		v.col, v.pending = v.cols-1, true
	}
}

// text returns the rows as they are seen.
func (v *vt) text() string {
	var lines []string
	for _, row := range v.rows {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(row), "\x00", ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func edited(cols int) (*editor, *vt) {
	v := &vt{cols: cols}
	return &editor{out: v, prompt: "> ", size: func() (int, int, error) { return cols, 24, nil }}, v
}

// Whatever is typed and printed, the screen shows what was printed, and then
// the prompt and the line, with the cursor where it belongs.
func TestTheScreenShowsTheLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cols := rapid.IntRange(8, 30).Draw(t, "cols")
		e, v := edited(cols)
		if err := e.begin(); err != nil {
			t.Fatal(err)
		}
		var above []string
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "print") == 0 {
				text := rapid.StringMatching(`[a-z]{0,8}`).Draw(t, "text")
				above = append(above, text)
				if err := e.print(text + "\n"); err != nil {
					t.Fatal(err)
				}
				continue
			}
			k := key{char: rapid.SampledFrom([]rune("ab c你好\t👋é")).Draw(t, "char")}
			if rapid.IntRange(0, 2).Draw(t, "special") == 0 {
				k = key{code: rapid.SampledFrom([]int{
					ignored, left, right, wordLeft, wordRight, home, end, up, down, backspace, remove, cutWord, cutBefore, cutAfter,
				}).Draw(t, "code")}
			}
			if _, _, err := e.press(k, false); err != nil {
				t.Fatal(err)
			}
		}

		want := &vt{cols: cols}
		for _, text := range above {
			_, _ = io.WriteString(want, text+"\r\n")
		}
		_, _ = io.WriteString(want, "> ")
		for i := range len(e.line) + 1 {
			if i == e.pos {
				wantCursor(t, want, v, e.line, i)
			}
			if i < len(e.line) {
				_, _ = io.WriteString(want, string(visible(e.line[i])))
			}
		}
		if got, want := v.text(), want.text(); got != want {
			t.Fatalf("the screen shows\n%s\nwant\n%s", got, want)
		}
	})
}

// wantCursor compares cursors when want has been written up to character i.
func wantCursor(t *rapid.T, want, got *vt, line []rune, i int) {
	row, col := want.row, want.col
	if want.pending || i < len(line) && col+runeWidth(visible(line[i])) > want.cols {
		row, col = row+1, 0
	}
	if got.row != row || got.col != col {
		t.Fatalf("the cursor is at %d,%d, want %d,%d", got.row, got.col, row, col)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"hello\r":                              "hello",
		"hello\n":                              "hello",
		"hellp\x7fo\r":                         "hello",
		"ello\x1b[Hh\r":                        "hello",
		"ello\x01h\x05!\r":                     "hello!",
		"helo\x1b[Dl\r":                        "hello",
		"hello\x1b[D\x1b[3~\r":                 "hell",
		"hello\x02\x04\r":                      "hell",
		"one two three\x17\r":                  "one two ",
		"one two\x1b[1;5D\x0b\r":               "one ",
		"one two\x1bb\x15\r":                   "two",
		"one\x1b[1;5D\x1bf!\r":                 "one!",
		"你好\x7f\x7f您\r":                        "您",
		"a\tb\r":                               "a\tb",
		"a\x07\x1b\xff\xfeb\x1b[200~c\x1bOC\r": "abc",
		"a\x1b[" + strings.Repeat("1", 500) + "~b\r": "a" + strings.Repeat("1", 500-maxSequence) + "~b",
	} {
		e, _ := edited(80)
		s := &screen{in: strings.NewReader(typed), out: io.Discard, prompt: "> "}
		next := s.edit(control{size: e.size, undo: func() error { return nil }})
		if got, err := next(); got != want || err != nil {
			t.Errorf("%q was read as %q (%v), want %q", typed, got, err, want)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	typed := "first\rsecond\rsecond\r \r" + // blank and repeated lines are not kept
		"half\x1b[A\x1b[A\x1b[A!\r" + "\x1b[A\x1b[A\x1b[B\x1b[B\x1b[Bnew\r" + "\x04"
	s := &screen{in: strings.NewReader(typed), out: io.Discard, prompt: "> "}
	next := s.edit(control{size: func() (int, int, error) { return 80, 24, nil }, undo: func() error { return nil }})
	var got []string
	for {
		line, err := next()
		if err != nil {
			break
		}
		got = append(got, line)
	}
	if want := "first|second|second| |first!|new"; strings.Join(got, "|") != want {
		t.Errorf("the lines are %q, want %q", strings.Join(got, "|"), want)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("e\u0301\u036f\u200d")
	f.Add("local hello\x1b[A\r\x1b[1;5D\x17你\x7f\xff\x03")
	f.Fuzz(func(_ *testing.T, typed string) {
		v := &vt{cols: 20}
		s := &screen{in: strings.NewReader(typed), out: v, prompt: "> "}
		next := s.edit(control{size: func() (int, int, error) { return 20, 24, nil }, undo: func() error { return nil }})
		for {
			if _, err := next(); err != nil {
				return
			}
		}
	})
}
