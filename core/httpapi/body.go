package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	// bodyTime is how long a body may take to arrive.
	bodyTime = 30 * time.Second
	// keptBody is the largest buffer that is kept for the next body.
	keptBody = 64 << 10
	// jsonGrowth is how much longer a text gets at most when every byte of it
	// is written as an escape.
	jsonGrowth = 6
)

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func releaseBody(b *bytes.Buffer) {
	if b.Cap() <= keptBody {
		b.Reset()
		bodies.Put(b)
	}
}

// readBody reads the whole body, up to limit bytes. The caller releases the
// buffer.
func (c *call) readBody(limit int64) (*bytes.Buffer, error) {
	r := c.request()
	if r.ContentLength > limit {
		return nil, c.tooLarge(limit)
	}
	if r.Body == nil || r.Body == http.NoBody {
		return bodies.Get().(*bytes.Buffer), nil
	}
	b := bodies.Get().(*bytes.Buffer)
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, limit+1))
	switch {
	case n > limit:
		releaseBody(b)
		return nil, c.tooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		releaseBody(b)
		c.response().Header().Set("Connection", "close")
		return nil, fail(agentapi.ProblemBodyTimeout, "the body did not arrive within %s", c.api.bodyTime).because(err)
	case err != nil:
		releaseBody(b)
		return nil, fail(agentapi.ProblemBadRequest, "the body broke off").because(err)
	}
	// From here on nothing limits how long the request may wait.
	c.setReadDeadline(time.Time{})
	return b, nil
}

func (c *call) tooLarge(limit int64) error {
	c.response().Header().Set("Connection", "close")
	return fail(agentapi.ProblemTooLarge, "this call takes a body of at most %d bytes", limit)
}

// decode reads a body of an agent into out. Fields that this version does not
// know are ignored, so that agents may be newer than the server.
func (c *call) decode(out any) error { return c.decodeBody(out, nil, false) }

// decodeStrict reads a body of a person or a CI system into out and refuses
// whatever is not part of it.
func (c *call) decodeStrict(out any, s *shape) error { return c.decodeBody(out, s, false) }

// decodeOptional is decode, and an empty body leaves out as it is.
func (c *call) decodeOptional(out any) error { return c.decodeBody(out, nil, true) }

func (c *call) decodeBody(out any, s *shape, optional bool) error {
	b, err := c.readBody(c.route.limit(c.api))
	if err != nil {
		return err
	}
	defer releaseBody(b)
	data := bytes.Trim(b.Bytes(), " \t\r\n")
	if len(data) == 0 && optional {
		return nil
	}
	return unmarshal(data, out, s)
}

// unmarshal decodes one JSON object; s is nil for an agent's. An agent's
// broken UTF-8 is mended, since a report must not be lost over its output.
func unmarshal(data []byte, out any, s *shape) error {
	switch {
	case len(data) == 0:
		return fail(agentapi.ProblemBadJSON, "the body is empty; it must be a JSON object")
	case data[0] != '{':
		return fail(agentapi.ProblemBadJSON, "the body must be a JSON object: it must begin with {")
	case s != nil && !utf8.Valid(data):
		at := invalidAt(data)
		return fail(agentapi.ProblemBadJSON, "the body is not valid UTF-8 at byte %d", at).at(fieldAt(data, at))
	}
	if err := json.Unmarshal(data, out); err != nil {
		return badJSON(err)
	}
	if s != nil {
		return s.check(data)
	}
	return nil
}

func badJSON(err error) error {
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return fail(agentapi.ProblemBadJSON, "the body is not JSON at byte %d: %s", syntax.Offset, syntax.Error())
	case errors.As(err, &kind):
		return fail(agentapi.ProblemBadJSON, "%s must be %s and not %s", orBody(kind.Field), jsonKind(kind.Type), kind.Value).at(kind.Field)
	}
	return fail(agentapi.ProblemBadJSON, "the body is not JSON: %s", err.Error())
}

func orBody(field string) string {
	if field == "" {
		return "the body"
	}
	return field
}

// jsonKind names a type as somebody who writes JSON knows it.
func jsonKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	}
	return "a whole number"
}

// invalidAt is where data stops being UTF-8.
func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(data)
}
