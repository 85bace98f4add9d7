package terminal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"sync"

	"golang.org/x/term"
)

// errInterrupted is how Ctrl-C ends the reading.
var errInterrupted = errors.New("interrupted")

// ctrlC is what Ctrl-C sends in raw mode, where it is no signal.
const ctrlC = 3

// screen prints, above the prompt if there is one.
type screen struct {
	in          io.Reader
	out         io.Writer
	interactive bool
	style       style
	prompt      string
	raw         func() (control, error) // enters raw mode

	mu      sync.Mutex
	editor  *term.Terminal // while a line can be typed
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
		s.fit()
		_, err := s.editor.Write([]byte(text))
		return err
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
	keys := &keyboard{screen: s}
	editor := term.NewTerminal(keys, s.style.paint(bold, s.prompt))
	s.mu.Lock()
	s.editor, s.control = editor, c
	s.fit()
	s.mu.Unlock()
	return func() (string, error) {
		line, err := editor.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil
		}
		if keys.interrupted {
			return "", errInterrupted
		}
		return line, err
	}
}

// fit tells the editor how wide the terminal is. It is called with s.mu held.
func (s *screen) fit() {
	if w, h, err := s.control.size(); err == nil && w > 0 {
		_ = s.editor.SetSize(w, h)
	}
}

// restore ends the typing and leaves the terminal as it was.
func (s *screen) restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.editor == nil {
		return
	}
	s.editor = nil
	_, _ = io.WriteString(s.out, "\r\x1b[K")
	_ = s.control.undo()
}

// keyboard is the terminal as the editor reads and writes it.
type keyboard struct {
	*screen
	interrupted bool // owned by the reading goroutine
}

// Read reads keys and notices Ctrl-C.
func (k *keyboard) Read(p []byte) (int, error) {
	if len(p) == 0 {
		// The editor's buffer is full of a key sequence without an end.
		return 0, io.ErrNoProgress
	}
	n, err := k.in.Read(p)
	if bytes.IndexByte(p[:n], ctrlC) >= 0 {
		k.interrupted = true
	}
	return n, err
}

// clearing is how the editor begins to clear its line: it goes left by as many
// columns as there are characters. Wide characters take two, so the line's
// start is the only safe place to go to.
var clearing = regexp.MustCompile(`\A\x1b\[[0-9]*D\x1b\[K`)

// Write writes what the editor draws.
func (k *keyboard) Write(p []byte) (int, error) {
	if at := clearing.FindIndex(p); at != nil {
		if _, err := io.WriteString(k.out, "\r\x1b[K"); err != nil {
			return 0, err
		}
		if _, err := k.out.Write(p[at[1]:]); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	return k.out.Write(p)
}
