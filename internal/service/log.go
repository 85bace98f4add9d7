package service

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// maxEvent is how much text the event log of Windows takes, in bytes of which
// each may be a character.
const maxEvent = 30_000

// eventLog is where a Windows service writes. What is written to it is an error;
// what is logged, by way of Handler, has its level.
type eventLog struct {
	report func(slog.Level, string)
}

func (l eventLog) Write(p []byte) (int, error) {
	l.event(slog.LevelError, string(p))
	return len(p), nil
}

func (l eventLog) event(level slog.Level, text string) {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\x00", "�")
	if len(text) > maxEvent {
		text = strings.ToValidUTF8(text[:maxEvent], "") + " …"
	}
	l.report(level, text)
}

// Handler returns a handler that writes lines of text, or of JSON, to w. If w is
// the event log that Main gives a program, every line becomes an event of the
// line's level.
func Handler(w io.Writer, json bool, options *slog.HandlerOptions) slog.Handler {
	l := &line{}
	log, isEvents := w.(eventLog)
	if isEvents {
		w = &l.text
	}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if json {
		h = slog.NewJSONHandler(w, options)
	}
	if isEvents {
		h = events{log: log, line: l, Handler: h}
	}
	return h
}

// line is what one record comes to.
type line struct {
	mu   sync.Mutex
	text bytes.Buffer
}

type events struct {
	slog.Handler
	log  eventLog
	line *line
}

func (e events) Handle(ctx context.Context, r slog.Record) error {
	e.line.mu.Lock()
	defer e.line.mu.Unlock()
	e.line.text.Reset()
	if err := e.Handler.Handle(ctx, r); err != nil {
		return err
	}
	e.log.event(r.Level, e.line.text.String())
	return nil
}

func (e events) WithAttrs(attrs []slog.Attr) slog.Handler {
	e.Handler = e.Handler.WithAttrs(attrs)
	return e
}

func (e events) WithGroup(name string) slog.Handler {
	e.Handler = e.Handler.WithGroup(name)
	return e
}
