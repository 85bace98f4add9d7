package chattest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func runRefused(t *testing.T, h Harness) {
	t.Run("EveryKind", func(t *testing.T) {
		s := start(t, h)
		if _, ok := s.Adapter().(chat.Pushed); !ok {
			t.Skip("the adapter is not called over HTTP")
		}
		for _, kind := range BadKinds {
			if h.Without[kind] == "" && !hasBad(h.Bad, kind) {
				t.Errorf("the harness has no bad input that is %s, and no reason for that", kind)
			}
		}
	})
	for _, bad := range h.Bad {
		t.Run(bad.Name, func(t *testing.T) {
			s := start(t, h)
			if got := bad.Do(t, s.Far); got != bad.Want {
				t.Errorf("it was answered with %d, want %d", got, bad.Want)
			}
			s.onlyGood(t)
		})
	}
	for _, one := range callTrials() {
		t.Run("Call/"+one.name, func(t *testing.T) {
			for _, way := range h.askings() {
				t.Run(wayName(way), func(t *testing.T) { one.try(t, h, way) })
			}
		})
	}
}

func hasBad(all []Bad, kind string) bool {
	for _, bad := range all {
		if strings.HasPrefix(bad.Name, kind) {
			return true
		}
	}
	return false
}

// onlyGood checks that what is good comes through, and nothing came before it.
func (s *setup) onlyGood(t *testing.T) {
	t.Helper()
	if n := s.inbox.count(); n != 0 {
		t.Errorf("%d messages were handed in, want none", n)
	}
	m := Message{Text: "local hello"}
	s.sameAs(t, s.said(t, m), s.Expect(m))
}

// callTrial spoils a genuine call.
type callTrial struct {
	name  string
	spoil func(r *http.Request)
	// statuses are how it may be answered.
	statuses []int
	// most bounds what is read of the body; 0 is anything.
	most int64
}

var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity}

// mostRead is more than any adapter needs to read to know that a body is too
// long.
const mostRead = 9 << 20

// unprovenCall is skipped where Without says so.
const unprovenCall = "without its headers"

func callTrials() []callTrial {
	return []callTrial{
		{unprovenCall, unproven, refusals, 0},
		{"without a body", func(r *http.Request) { setBody(r, http.NoBody, 0) }, refusals, 0},
		{"cut short", func(r *http.Request) {
			all, _ := io.ReadAll(r.Body)
			setBody(r, io.MultiReader(bytes.NewReader(all[:len(all)/2]), broken{}), int64(len(all)))
		}, refusals, 0},
		{"endless", func(r *http.Request) {
			setBody(r, io.MultiReader(r.Body, zeros{}), -1)
		}, append([]int{http.StatusRequestEntityTooLarge}, refusals...), mostRead},
		{"endless without its headers", func(r *http.Request) {
			unproven(r)
			setBody(r, io.MultiReader(r.Body, zeros{}), -1)
		}, append([]int{http.StatusRequestEntityTooLarge}, refusals...), mostRead},
		{"by GET", func(r *http.Request) { r.Method = http.MethodGet }, []int{http.StatusMethodNotAllowed, http.StatusNotFound}, 0},
		{"of a path that is none", func(r *http.Request) { r.URL.Path = "/no/such/path" }, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, 0},
	}
}

// unproven takes from a call what could prove whose it is: its headers and its
// query.
func unproven(r *http.Request) {
	r.Header = http.Header{"Content-Type": r.Header["Content-Type"]}
	r.URL.RawQuery = ""
}

// try makes a spoiled call to the adapter's handler.
func (c callTrial) try(t *testing.T, h Harness, way string) {
	if why := h.Without[Unproven]; why != "" && c.name == unprovenCall {
		t.Skip(why)
	}
	s := start(t, h)
	far, ok := s.Far.(Requests)
	pushed, isPushed := s.Adapter().(chat.Pushed)
	if !ok || !isPushed {
		t.Skip("messages are no calls to the adapter")
	}
	r := far.Request(t, Message{Way: way, Text: "local hello"})
	if r == nil {
		t.Skip("this way is no call to the adapter")
	}
	c.spoil(r)
	counted := &counter{r: r.Body}
	r.Body = io.NopCloser(counted)
	w := httptest.NewRecorder()
	within(t, "the handler", func() { pushed.Handler().ServeHTTP(w, r) })
	answered := false
	for _, status := range c.statuses {
		answered = answered || w.Code == status
	}
	if !answered {
		t.Errorf("it was answered with %d, want one of %d", w.Code, c.statuses)
	}
	s.noSecret(t, "the answer", w.Body.String())
	if c.most > 0 && counted.n > c.most {
		t.Errorf("%d bytes of the body were read", counted.n)
	}
	s.onlyGood(t)
}

func setBody(r *http.Request, body io.Reader, length int64) {
	r.Body, r.ContentLength = io.NopCloser(body), length
	r.Header.Del("Content-Length")
}

// broken is where a connection broke.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// zeros never end, or almost so.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// counter counts what is read, and ends what would never end.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	if c.n > 2*mostRead {
		return 0, errors.New("too much was read")
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
