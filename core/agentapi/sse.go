package agentapi

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxServerEvent bounds one server-sent event, in bytes.
const maxServerEvent = 8 << 20

var errServerEventTooLarge = errors.New("a server-sent event is too large")

// serverEvent is one event of a text/event-stream.
type serverEvent struct {
	ID   string // the last id seen, also by earlier events
	Name string // "message" unless the event names itself
	Data string
}

// eventReader reads a text/event-stream as the HTML standard has it.
type eventReader struct {
	lines  *bufio.Reader
	lastID string
	// afterCR says that the last line ended with a carriage return, which a
	// newline may still belong to.
	afterCR bool
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{lines: bufio.NewReader(r)}
}

// next returns the next event with data. An event that the stream's end cuts
// off is dropped, and the error is then the reader's.
func (r *eventReader) next() (serverEvent, error) {
	var name string
	var data []string
	size := 0
	for {
		line, err := r.line()
		if err != nil {
			return serverEvent{}, err
		}
		if size += len(line); size > maxServerEvent {
			return serverEvent{}, errServerEventTooLarge
		}
		if line == "" {
			if data == nil {
				name, size = "", 0
				continue
			}
			if name == "" {
				name = "message"
			}
			return serverEvent{ID: r.lastID, Name: name, Data: strings.Join(data, "\n")}, nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data = append(data, value)
		case "id":
			if !strings.ContainsRune(value, 0) {
				r.lastID = value
			}
		}
	}
}

// line reads up to a newline, a carriage return or both.
func (r *eventReader) line() (string, error) {
	var b strings.Builder
	for {
		c, err := r.lines.ReadByte()
		if err != nil {
			return "", err
		}
		afterCR := r.afterCR
		r.afterCR = c == '\r'
		switch {
		case c == '\n' && afterCR:
			continue
		case c == '\n' || c == '\r':
			return b.String(), nil
		case b.Len() >= maxServerEvent:
			return "", errServerEventTooLarge
		}
		b.WriteByte(c)
	}
}
