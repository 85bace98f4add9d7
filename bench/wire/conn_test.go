package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// setup returns a connection to a server that runs handler.
func setup(t *testing.T, handler http.HandlerFunc) *Conn {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := Dial(strings.TrimPrefix(server.URL, "http://"), "skd_test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDoKeepsTheConnection(t *testing.T) {
	t.Parallel()
	var from string
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if from == "" {
			from = r.RemoteAddr
		}
		if r.RemoteAddr != from {
			t.Errorf("a request came over a new connection")
		}
		if got := r.Header.Get("Authorization"); got != "Bearer skd_test" {
			t.Errorf("Authorization is %q", got)
		}
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/empty":
			w.WriteHeader(http.StatusCreated)
		case "/long":
			// Too long for net/http to know the length: it comes in chunks.
			for range 100 {
				fmt.Fprint(w, strings.Repeat("x", 999)+"\n")
				w.(http.Flusher).Flush()
			}
		default:
			w.WriteHeader(http.StatusAccepted)
			_, _ = w.Write(append([]byte(r.Method+" "), body...))
		}
	})
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/echo", `{"a":1}`, 202, `POST {"a":1}`},
		{"POST", "/none", `{}`, 204, ""},
		{"POST", "/long", `{}`, 200, strings.Repeat(strings.Repeat("x", 999)+"\n", 100)},
		{"GET", "/empty", ``, 201, ""},
		{"GET", "/echo", ``, 202, `GET `},
	} {
		var body []byte
		if tc.body != "" {
			body = []byte(tc.body)
		}
		status, answer, err := c.Do(tc.method, tc.path, body)
		if err != nil || status != tc.status || string(answer) != tc.want {
			t.Errorf("%s %s: %d, %d bytes, %v; want %d and %d bytes", tc.method, tc.path, status, len(answer), err, tc.status, len(tc.want))
		}
	}
}

func TestLinesEndWhenTheReaderHasEnough(t *testing.T) {
	t.Parallel()
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	})
	enough := errors.New("enough")
	var got []string
	s, err := c.Stream("/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	err = s.Lines(func(line []byte) error {
		if len(line) > 0 {
			got = append(got, string(line))
		}
		if len(got) == 3 {
			return enough
		}
		return nil
	})
	if want := "data: 0|data: 1|data: 2"; !errors.Is(err, enough) || strings.Join(got, "|") != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestStreamTellsARefusal(t *testing.T) {
	t.Parallel()
	c := setup(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	_, err := c.Stream("/v1/events")
	if err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("got %v; want the status", err)
	}
}

// FuzzAnswer holds the parser to returning, whatever a server sends.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 204 No Content\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		c := &Conn{r: bufio.NewReader(strings.NewReader(raw))}
		if status, body, err := c.answer(); err == nil && (status < -99 || status > 999 || len(body) > len(raw)) {
			t.Errorf("took %q for status %d and %d bytes", raw, status, len(body))
		}
	})
}
