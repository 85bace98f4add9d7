package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/core/access"
)

const (
	// keepAlive is how often a silent stream says that it is there.
	keepAlive = 15 * time.Second
	// streamWrite is how long a reader may take to make room for what is
	// written; then it is cut off.
	streamWrite = 20 * time.Second
)

// stream writes server-sent events.
type stream struct {
	c   *call
	rc  *http.ResponseController
	buf bytes.Buffer
}

// openStream answers with an event stream. After it nothing else can be
// answered.
func (c *call) openStream() (*stream, error) {
	h := c.response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	s := &stream{c: c, rc: http.NewResponseController(c.response().Writer)}
	c.begin(http.StatusOK)
	s.buf.WriteString("retry: 1000\n\n")
	return s, s.flush()
}

// event queues one event; flush sends it. An empty id leaves the last one.
func (s *stream) event(name, id string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	s.line(name, id, body)
	return nil
}

// line is event with data that is one line of JSON.
func (s *stream) line(name, id string, body []byte) {
	if id != "" {
		s.buf.WriteString("id: ")
		s.buf.WriteString(id)
		s.buf.WriteByte('\n')
	}
	s.buf.WriteString("event: ")
	s.buf.WriteString(name)
	s.buf.WriteString("\ndata: ")
	s.buf.Write(body)
	s.buf.WriteString("\n\n")
}

// beat keeps the connection alive, unless the token was revoked meanwhile: then
// it ends the stream, which would else outlive the token for ever.
func (s *stream) beat() error {
	plain, _ := bearer(s.c.request().Header)
	if _, err := s.c.api.cfg.Tokens.Verify(s.c.context(), plain); errors.Is(err, access.ErrNoToken) {
		return errReaderGone
	}
	return s.comment()
}

// comment sends a line that readers ignore, to keep the connection alive.
func (s *stream) comment() error {
	s.buf.WriteString(":\n\n")
	return s.flush()
}

func (s *stream) flush() error {
	s.c.setWriteDeadline(time.Now().Add(s.c.api.streamWrite))
	_, err := s.buf.WriteTo(s.c.response())
	if err != nil {
		return err
	}
	if s.buf.Cap() > keptBody {
		s.buf = bytes.Buffer{}
	}
	return s.rc.Flush()
}

// lastEventID is where a reader wants to go on, 0 for the start.
func (c *call) lastEventID() (int64, error) {
	v := c.request().Header.Get("Last-Event-ID")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, badParameter("Last-Event-ID", "must be the id of an event of this stream, a whole number")
	}
	return n, nil
}

// errReaderGone ends a stream that nobody reads any more.
var errReaderGone = errors.New("the reader of the stream is gone")

// gone is nil for an error that only says that nobody reads any more.
func gone(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errReaderGone) {
		return nil
	}
	return err
}
