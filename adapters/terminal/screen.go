package terminal

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// errInterrupted is how Ctrl-C ends the reading.
var errInterrupted = errors.New("interrupted")

// screen prints, above the prompt if there is one.
type screen struct {
	in          io.Reader
	out         io.Writer
	interactive bool
	style       style
	prompt      string
	raw         func() (control, error) // enters raw mode

	mu      sync.Mutex
	editor  *editor // while a line can be typed
	control control
}

// control is what can be done with a terminal in raw mode.
type control struct {
	size func() (width, height int, err error)
	undo func() error // leaves raw mode
}

func newScreen(cfg Config) *screen {
	s := &screen{in: cfg.In, out: cfg.Out, prompt: cfg.Prompt}
	in, out := terminalOf(cfg.In), terminalOf(cfg.Out)
	dumb := os.Getenv("TERM") == "dumb"
	s.interactive = in != nil && out != nil && !dumb
	s.raw = func() (control, error) { return rawMode(in, out) }
	s.style.colours = out != nil && !dumb && os.Getenv("NO_COLOR") == ""
	return s
}

// terminalOf returns v as a file if it is a terminal.
func terminalOf(v any) *os.File {
	if f, ok := v.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// print writes text, whole lines, and puts the prompt back after it.
func (s *screen) print(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor != nil {
		return s.editor.print(text)
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// lines begins the reading and returns a function that reads the next line. If
// the terminal cannot be put into raw mode, lines are read as they come, and
// the error says why.
func (s *screen) lines() (next func() (string, error), err error) {
	if !s.interactive {
		return scan(s.in), nil
	}
	c, err := s.raw()
	if err != nil {
		return scan(s.in), err
	}
	return s.edit(c), nil
}

// rawMode puts the terminal into raw mode, where keys come one by one.
func rawMode(in, out *os.File) (control, error) {
	from, to := int(in.Fd()), int(out.Fd())
	before, err := term.MakeRaw(from)
	if err != nil {
		return control{}, err
	}
	return control{
		size: func() (width, height int, err error) { return term.GetSize(to) },
		undo: func() error { return term.Restore(from, before) },
	}, nil
}

// edit makes lines be typed at a prompt.
func (s *screen) edit(c control) func() (string, error) {
	e := &editor{out: s.out, prompt: s.style.paint(bold, s.prompt), size: c.size}
	s.mu.Lock()
	s.editor, s.control = e, c
	s.mu.Unlock()
	k := newKeys(s.in)
	return func() (string, error) {
		if err := e.begin(); err != nil {
			return "", err
		}
		for {
			pressed, err := k.next()
			switch {
			case err != nil:
				return "", err
			case pressed.code == interrupt:
				return "", errInterrupted
			case pressed.code == endOfInput:
				if e.empty() {
					return "", io.EOF
				}
				pressed.code = remove
			}
			line, ended, err := e.press(pressed, k.Buffered() > 0)
			if ended || err != nil {
				return line, err
			}
		}
	}
}

// restore ends the typing and leaves the terminal as it was.
func (s *screen) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor == nil {
		return
	}
	s.editor.hide()
	s.editor = nil
	_ = s.control.undo()
}
