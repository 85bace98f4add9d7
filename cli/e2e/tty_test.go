//go:build unix

package e2e

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/creack/pty"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// terminal is a program that runs in a terminal of its own.
type terminal struct {
	*process
	tty *os.File
}

// startTTY runs a program in a terminal until the test ends.
func startTTY(t *testing.T, name string, args ...string) *terminal {
	t.Helper()
	return startTTYIn(t, "", environment(t, []string{"TERM=xterm-256color"}), programs.Path(name), args...)
}

// startTTYIn is startTTY in a folder and an environment.
func startTTYIn(t *testing.T, dir string, env []string, program string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, env
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, out: newTranscript(), done: make(chan struct{})}
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			_, _ = p.out.Write(buf[:n])
			if err != nil { // EIO when the program has ended
				return
			}
		}
	}()
	p.afterExit = func() { <-read }
	p.watch()
	t.Cleanup(func() { _ = tty.Close() })
	return &terminal{process: p, tty: tty}
}

// types enters a line.
func (c *terminal) types(line string) {
	c.t.Helper()
	if _, err := c.tty.WriteString(line + "\r"); err != nil {
		c.t.Fatal(err)
	}
}

// presses sends a key, such as ctrlC.
func (c *terminal) presses(key string) {
	c.t.Helper()
	if _, err := c.tty.WriteString(key); err != nil {
		c.t.Fatal(err)
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

var listensOn = regexp.MustCompile(`The API listens on (http://[0-9.:]+)`)

// startUp runs `skadi up` in a terminal, on a free port, and returns where its
// API is.
func startUp(t *testing.T, data string) (c *terminal, url string) {
	t.Helper()
	c = startTTY(t, "skadi", "up", "--data", data, "--listen", "127.0.0.1:0")
	m := listensOn.FindStringSubmatch(c.sees("opens it."))
	if m == nil {
		t.Fatalf("no address in the welcome:\n%s", c.out.text())
	}
	return c, m[1]
}
