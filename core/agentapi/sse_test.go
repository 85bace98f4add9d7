package agentapi

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestEventReader(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"data: a\n\n", "message//a "},
		{"event: x\nid: 1\ndata: a\ndata: b\n\n", "x/1/a\nb "},
		{"data:a\r\n\r\ndata: b\r\rdata: c\n\n", "message//a message//b message//c "},
		{": comment\n\nevent: none\n\ndata: a\n\n", "message//a "},
		{"id: 7\ndata: a\n\ndata: b\n\n", "message/7/a message/7/b "},
		{"id: 1\x002\ndata: a\n\n", "message//a "},
		{"data\n\n", "message// "},
		{"data: cut off\n", ""},
		{"unknown: field\ndata:  two spaces\n\n", "message// two spaces "},
	} {
		for _, r := range []io.Reader{strings.NewReader(tc.in), iotest.OneByteReader(strings.NewReader(tc.in))} {
			events := newEventReader(r)
			var got strings.Builder
			var err error
			for {
				var e serverEvent
				if e, err = events.next(); err != nil {
					break
				}
				fmt.Fprintf(&got, "%s/%s/%s ", e.Name, e.ID, e.Data)
			}
			if got.String() != tc.want || err != io.EOF { //nolint:errorlint // exactly that
				t.Errorf("%q: %q, %v, want %q", tc.in, got.String(), err, tc.want)
			}
		}
	}
	long := strings.NewReader("data: " + strings.Repeat("x", maxServerEvent+1))
	if _, err := newEventReader(long).next(); err != errServerEventTooLarge { //nolint:errorlint // exactly that
		t.Errorf("got %v", err)
	}
}

func FuzzEventReader(f *testing.F) {
	f.Add("id: 1\nevent: output\ndata: {}\n\n")
	f.Add("data\r\r:\n\n")
	f.Fuzz(func(t *testing.T, in string) {
		events := newEventReader(strings.NewReader(in))
		for range len(in) + 1 {
			if _, err := events.next(); err != nil {
				return
			}
		}
		t.Fatalf("%q has more events than bytes", in)
	})
}
