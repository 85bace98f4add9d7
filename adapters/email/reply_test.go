package email

import (
	"bytes"
	"flag"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/adapters/email/message"
	"github.com/letserverrun/skadi/core/chat"
)

var update = flag.Bool("update", false, "write the golden files anew")

// boundaries are drawn at random.
var boundaries = regexp.MustCompile(`\b[0-9a-f]{60}\b`)

// sent returns the reply as it goes over the wire.
func sent(t testing.TB, l letter) []byte {
	t.Helper()
	raw, err := l.bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// constant puts a boundary's number in its place.
func constant(raw []byte) []byte {
	names := map[string]string{}
	return boundaries.ReplaceAllFunc(raw, func(found []byte) []byte {
		if names[string(found)] == "" {
			names[string(found)] = "boundary-" + string(rune('1'+len(names)))
		}
		return []byte(names[string(found)])
	})
}

func ordinary() letter {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return letter{
		from: inboxAddress, id: "skadi.k7f3q2.0000000000000000.000000000000000000000000@example.com", at: at.Add(42 * time.Second),
		text: "✓ #k7f3q2 web-1 · deploy v1.2.3 · 42 s\nall is well",
		origin: origin{
			To: "ada@example.org", ID: "second@example.org", References: []string{"first@example.org"},
			Subject: "web-1: deploy v1.2.3", Quote: "deploy it, please\nThank you", At: at,
		},
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	with := func(change func(l *letter)) letter { l := ordinary(); change(&l); return l }
	for name, l := range map[string]letter{
		"plain": ordinary(),
		"hint":  with(func(l *letter) { l.hint = hintOf(chat.Outbound{Card: &chat.Card{Code: "k7f3q2", Final: true}}) }),
		"first": with(func(l *letter) { l.origin.References, l.origin.Subject, l.origin.Quote = nil, "", "" }),
		"markup": with(func(l *letter) {
			l.text = "<b>bold</b> & <script>alert(1)</script> https://example.com/?a=1&b=2 \x1b[31mred\u202e"
			l.origin.Quote = "<img src=x onerror=alert(1)>"
		}),
		"file": with(func(l *letter) {
			l.files = []chat.File{{Name: "k7f3q2.txt", Text: strings.Repeat("a line of output\n", 20)}}
		}),
		"words of the world": with(func(l *letter) {
			l.origin.Subject, l.text = "web-1: größer 世界 =?utf-8?q?x?=", "fertig: größer 世界"
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := constant(sent(t, l))
			file := filepath.Join("testdata", "replies", strings.ReplaceAll(name, " ", "-")+".eml")
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v; go test -update writes it; it is\n%s", err, got)
			}
		})
	}
}

// Whatever stands in a mail, the answer to it has the header that is meant, and
// goes to nobody else.
func TestNothingIsInjected(t *testing.T) {
	t.Parallel()
	hostile := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"a\r\nBcc: eve@example.net", "a\nX: y", "<a> <b>", "a@b>\r\n\r\nbody", "=?utf-8?q?=0D=0ABcc:_eve?=", "\x00", "x\r", strings.Repeat("x", 3000),
	}))
	rapid.Check(t, func(rt *rapid.T) {
		m := &message.Message{
			ID: hostile.Draw(rt, "id"), Subject: hostile.Draw(rt, "subject"), Text: hostile.Draw(rt, "text"),
			References: rapid.SliceOf(hostile).Draw(rt, "references"), InReplyTo: rapid.SliceOf(hostile).Draw(rt, "in reply to"),
		}
		l := ordinary()
		l.origin, l.text = originOf(m, "ada@example.org"), hostile.Draw(rt, "output")
		l.files = []chat.File{{Name: hostile.Draw(rt, "file"), Text: "x"}}
		raw := sent(t, l)
		got, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			rt.Fatalf("%v\n%s", err, raw)
		}
		for name, n := range map[string]int{"From": 1, "To": 1, "Subject": 1, "Message-Id": 1, "Auto-Submitted": 1, "Date": 1, "Bcc": 0, "Cc": 0, "X": 0} {
			if len(got.Header[name]) != n {
				rt.Fatalf("%d fields %s\n%s", len(got.Header[name]), name, raw)
			}
		}
		if len(got.Header) > 12 || got.Header.Get("To") != "<ada@example.org>" {
			rt.Fatalf("the header is %v", got.Header)
		}
		for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
			if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
				rt.Fatalf("a line of %d bytes: %q", len(line), line)
			}
		}
	})
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"ada@example.org": true, "o'neil+x@example.org": true, "größe@example.org": true,
		"": false, "ada": false, "@example.org": false, "ada@": false, "a b@example.org": false, "a@b>\r\nRCPT TO:<c": false,
		"<a@b>": false, "a,b@example.org": false, `"a"@example.org`: false, "a@b\x00": false, "\xff@example.org": false,
	} {
		if got := isRecipient(address); got != want {
			t.Errorf("%q can be sent to: %t, want %t", address, got, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	m := &message.Message{ID: "last@example.org", Subject: "RE: AW: Fwd: web-1: x", Text: "1\n2\n3\n4\n5\n6"}
	for range 60 {
		m.References = append(m.References, "r"+strings.Repeat("x", len(m.References))+"@example.org")
	}
	o := originOf(m, "ada@example.org")
	if len(o.References) != maxReferences || o.root() != "r@example.org" || o.References[maxReferences-1] != m.References[59] {
		t.Errorf("the references are %q", o.References)
	}
	if o.Subject != "web-1: x" || o.Quote != "1\n2\n3\n4\n…" {
		t.Errorf("the subject is %q, the quote %q", o.Subject, o.Quote)
	}
	first := originOf(&message.Message{ID: "only@example.org"}, "ada@example.org")
	if first.root() != "only@example.org" {
		t.Errorf("the thread begins with %q", first.root())
	}
}
