package mailbox

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap"
	"github.com/emersion/go-imap/client"
	"github.com/emersion/go-imap/commands"
	"github.com/emersion/go-imap/responses"
)

// TestServersThatMisbehave sends in the middle of everything what makes go-imap
// panic, wait, forget or take memory without end. The connection ends, or
// nothing happens; mail comes in the end.
func TestServersThatMisbehave(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5<<20)
	tests := map[string]string{
		"EXISTS of nothing":       "* EXISTS",
		"RECENT of nothing":       "* RECENT",
		"EXPUNGE of nothing":      "* EXPUNGE",
		"FETCH of nothing":        "* FETCH",
		"FETCH without data":      "* 1 FETCH",
		"FETCH of a word":         "* 1 FETCH x",
		"FETCH of a number":       "* 1 FETCH 2",
		"FETCH of a list":         "* FETCH (UID 1)",
		"FETCH in quotes":         `* "FETCH"`,
		"ENVELOPE of nothing":     "* 1 FETCH (UID 1 ENVELOPE ())",
		"ENVELOPE of nil":         "* 1 FETCH (UID 1 ENVELOPE NIL)",
		"BODYSTRUCTURE of nil":    "* 1 FETCH (UID 1 BODYSTRUCTURE NIL)",
		"BODYSTRUCTURE of few":    `* 1 FETCH (UID 1 BODYSTRUCTURE ("text" "plain" NIL))`,
		"BODYSTRUCTURE of lists":  "* 1 FETCH (UID 1 BODYSTRUCTURE ((NIL) NIL NIL))",
		"FLAGS of nothing":        "* FLAGS",
		"SEARCH of words":         "* SEARCH a b",
		"a body of another mail":  "* 1 FETCH (UID 99 BODY[] {3}\r\nabc)",
		"a body that nobody asks": "* 1 FETCH (UID 1 BODY[]<0> {3}\r\nabc)",
		"a body of no section":    "* 1 FETCH (UID 1 BODY[\"\"] NIL)",
		"lists within lists":      "* 1 FETCH " + strings.Repeat("(", 100_000),
		"lists beside lists":      "* 1 FETCH (" + strings.Repeat("() ", 100_000),
		"a huge literal":          "* 1 FETCH (UID 1 BODY[] {4294967295}",
		"a huger literal":         "* 1 FETCH (UID 1 BODY[] {99999999999999999999}",
		"a huge literal in text":  "* OK [ALERT] {4294967295}",
		"many literals":           "* SEARCH" + strings.Repeat(" {100000}\r\n"+strings.Repeat("1", 100_000), 60),
		"a line without end":      "* SEARCH " + long,
		"an atom without end":     "* {" + long,
		"go on":                   "+ go on",
		"go on, many times":       "+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+\r\n+",
		"a tag of nobody":         "zzz OK done",
		"nothing":                 "",
		"no IMAP":                 "HTTP/1.1 400 Bad Request",
		"bytes":                   "\x00\xff\xfe",
		"a quote without end":     `* LIST () "`,
		"LIST":                    `* LIST () "/" x`,
		"CAPABILITY of lists":     "* CAPABILITY (x) {1}\r\nx",
		"it says no":              "* NO [ALERT] low disk",
		"it logs in by itself":    "* PREAUTH hello",
		"farewell":                "* BYE going down",
	}
	for name, line := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := []string{"SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "IDLE"}
			if len(line) > 1000 {
				at = []string{"UID FETCH", "IDLE"}
			}
			for _, before := range at {
				f, k := newFake(t), newTaker()
				f.hook = func(c *fakeConn, _, name string, _ []string) bool {
					if name == before && c.n == 1 {
						c.send(line)
					}
					return false
				}
				c := f.config(k)
				if len(line) > 1000 {
					c.Logger = slog.New(slog.DiscardHandler)
				}
				end := start(t, open(t, c))
				f.add(letter("one"))
				k.upTo(t, "one")
				f.add(letter("two"))
				k.upTo(t, "two")
				end()
				f.drop()
			}
		})
	}
}

// TestMemory counts what a server can make the reader allocate.
func TestMemory(t *testing.T) {
	g := newGuard(nil, &net.TCPConn{}, bufio.NewReader(io.MultiReader(strings.NewReader("* SEARCH "), endless{})), chunk)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := g.next(); err == nil {
		t.Fatal("a line without end was read to its end")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d bytes", got)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '1'
	}
	return len(p), nil
}

// TestServerSendsForEver must end although each line is right.
func TestServerSendsForEver(t *testing.T) {
	t.Parallel()
	line := "* OK " + strings.Repeat("x", 1<<20) + "\r\n"
	g := newGuard(nil, &net.TCPConn{}, bufio.NewReader(&repeated{line: line}), chunk)
	for range 1000 {
		if _, err := g.next(); err != nil {
			return
		}
	}
	t.Error("it goes on")
}

type repeated struct {
	line string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.line[r.at:])
	r.at = (r.at + n) % len(r.line)
	return n, nil
}

// TestNoLiteralIsSent would wait for a server that has gone away.
func TestNoLiteralIsSent(t *testing.T) {
	t.Parallel()
	g := newGuard(nil, nil, nil, chunk)
	if _, err := g.Write([]byte("a1 LOGIN {3}\r\n")); !errors.Is(err, errLiteral) {
		t.Error(err)
	}
}

// scripted is a connection whose far side has said all in advance.
type scripted struct {
	net.TCPConn
	io.Reader
}

func (s *scripted) Read(p []byte) (int, error)  { return s.Reader.Read(p) }
func (s *scripted) Write(p []byte) (int, error) { return len(p), nil }
func (s *scripted) Close() error                { return nil }

// FuzzServer lets the library read what comes past the guard. A panic in its
// goroutine ends the test binary.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"* 3 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n",
		"* 1 FETCH (UID 1 BODY[]<0> {3}\r\nabc FLAGS (\\Seen))\r\n",
		"* 1 FETCH (UID 1 ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n",
		"* 1 FETCH (UID 1 BODYSTRUCTURE (\"text\" \"plain\" () NIL NIL \"7bit\" 3 1))\r\n",
		"* SEARCH 1 2 3\r\n* FLAGS (a)\r\n* CAPABILITY X\r\n",
		"* LIST () \"/\" {1}\r\nx\r\n", "+ x\r\n", "* BYE\r\n", "* FETCH\r\n", "* EXISTS\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		conn := &scripted{Reader: bytes.NewReader(said)}
		g := newGuard(conn, conn, bufio.NewReader(conn), chunk)
		c, err := client.New(g)
		if err != nil {
			t.Fatal(err)
		}
		c.ErrorLog = stop{g}
		c.SetState(imap.SelectedState, nil)
		s := &session{c: c, g: g, timeout: time.Minute}
		g.open()
		_ = s.execute(&commands.Uid{Cmd: &commands.Fetch{SeqSet: one(1), Items: []imap.FetchItem{imap.FetchUid}}}, &fetched{uid: 1})
		_ = s.execute(&commands.Search{Criteria: &imap.SearchCriteria{}}, &responses.Search{})
		_, _ = s.selectFolder("INBOX", "$x")
		_ = g.Close()
		<-c.LoggedOut()
	})
}
