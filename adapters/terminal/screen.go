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

	mu     sync.Mutex
	editor *term.Terminal // while a line can be typed
	size   func() (width, height int, ok bool)
	undo   func() error // leaves raw mode
}

func newScreen(cfg Config) *screen {
	s := &screen{in: cfg.In, out: cfg.Out, prompt: cfg.Prompt}
	in, out := isTerminal(cfg.In), isTerminal(cfg.Out)
	dumb := os.Getenv("TERM") == "dumb"
	s.interactive = in && out && !dumb
	s.style.colours = out && !dumb && os.Getenv("NO_COLOR") == ""
	return s
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) //nolint:gosec // a descriptor is small
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
	in, out := s.in.(*os.File), s.out.(*os.File)
	fd := int(in.Fd()) //nolint:gosec // a descriptor is small
	before, err := term.MakeRaw(fd)
	if err != nil {
		return scan(s.in), err
	}
	size := func() (width, height int, ok bool) {
		w, h, err := term.GetSize(int(out.Fd())) //nolint:gosec // a descriptor is small
		return w, h, err == nil && w > 0
	}
	return s.edit(size, func() error { return term.Restore(fd, before) }), nil
}

// edit makes lines be typed at a prompt.
func (s *screen) edit(size func() (int, int, bool), undo func() error) func() (string, error) {
	keys := &keyboard{screen: s}
	prompt := s.style.paint(bold, s.prompt)
	editor := term.NewTerminal(keys, prompt)
	s.mu.Lock()
	s.editor, s.size, s.undo = editor, size, undo
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
	if w, h, ok := s.size(); ok {
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
	if s.undo != nil {
		_ = s.undo()
	}
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
