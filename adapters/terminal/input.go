package terminal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine is the longest line that is read, in bytes. Core has a limit of its
// own for messages, far below this, and says so; this one is for memory.
const maxLine = 1 << 20

// read hands in each line of the input until it ends.
func (a *Adapter) read(ctx context.Context) {
	next, err := a.screen.lines()
	if err != nil {
		a.env.Logger.Warn("the terminal cannot be edited on; lines are read as they come", "err", err)
	}
	for n := 1; ctx.Err() == nil; n++ {
		line, err := next()
		switch {
		case errors.Is(err, errInterrupted):
			a.mu.Lock()
			a.interrupted = true
			a.mu.Unlock()
			return
		case errors.Is(err, errTooLong):
			a.track.unread()
			_ = a.screen.print(a.screen.style.complaint(
				fmt.Sprintf("Line %d is longer than %d bytes and was not taken.", n, maxLine)) + "\n")
			continue
		case err != nil && !errors.Is(err, io.EOF):
			a.env.Logger.Error("the input cannot be read any further", "err", err)
			_ = a.screen.print(a.screen.style.complaint("The input cannot be read any further: "+err.Error()) + "\n")
			a.track.broken()
			return
		}
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if strings.TrimSpace(line) != "" && ctx.Err() == nil {
			a.accept(ctx, n, line)
		}
		if err != nil {
			return
		}
	}
}

// scan returns a function that reads one line after the other, without its end.
// The last one, with or without an end, comes with io.EOF.
func scan(r io.Reader) func() (string, error) {
	in := bufio.NewReaderSize(r, 4096)
	return func() (string, error) {
		var line bytes.Buffer
		long := false
		for {
			part, err := in.ReadSlice('\n')
			if line.Len()+len(part) > maxLine+1 {
				long = true
				line.Reset()
			}
			if !long {
				line.Write(part)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if long && (err == nil || errors.Is(err, io.EOF)) {
				// The end of the input, if this was it, is met again.
				return "", errTooLong
			}
			text := strings.TrimSuffix(line.String(), "\n")
			return strings.TrimSuffix(text, "\r"), err
		}
	}
}
