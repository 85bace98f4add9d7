package message_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// mail makes a mail of lines.
func mail(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// headed is mail with the fields that every mail has, and then lines.
func headed(lines ...string) []byte {
	return mail(append([]string{
		"From: Alice <alice@example.com>", "To: inbox@example.com", "Subject: web-1: status",
		"Date: Sun, 29 Nov 2026 16:00:00 +0000", "Message-ID: <a1@example.com>",
	}, lines...)...)
}

func parse(t *testing.T, raw []byte) *message.Message {
	t.Helper()
	m, err := message.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHeader(t *testing.T) {
	t.Parallel()
	m := parse(t, mail(
		"Return-Path: <Alice@Example.com>",
		"Delivered-To: inbox+web-1@example.com",
		"Received: from a by b; Sun, 29 Nov 2026 16:00:01 +0000",
		"From: =?utf-8?q?Alice_M=C3=BCller?= <Alice@EXAMPLE.com>",
		"Sender: bob@example.com",
		"Reply-To: carol@b\u00fccher.example",
		"To: \"Skadi, the\" <inbox@example.com>, Team: dave@example.com, erin@example.com;",
		"Cc: undisclosed-recipients:;",
		"Subject: =?iso-8859-1?q?web-1:_gr=FC=DFe?=",
		"\t=?utf-8?b?IGFuIGFsbGU=?=",
		"Date: Sun, 29 Nov 2026 16:00:00 +0100 (CET)",
		"message-id: <a1@example.com>",
		"In-Reply-To: <b1@example.com>",
		"References: <c1@example.com>",
		"\t<b1@example.com> garbage <no id>",
		"Precedence: First-Class",
		"Auto-Submitted: No (really); owner=x",
		"",
		"status",
	))
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if got, want := m.From, []message.Address{{Raw: "Alice@EXAMPLE.com", Name: "Alice Müller", Local: "Alice", Domain: "example.com"}}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if got := m.From[0].String(); got != "alice@example.com" {
		t.Error(got)
	}
	var to []string
	for _, a := range m.To {
		to = append(to, a.String())
	}
	if got, want := strings.Join(to, " "), "inbox@example.com dave@example.com erin@example.com"; got != want {
		t.Errorf("to %q", got)
	}
	if got := m.ReplyTo[0].Domain; got != "xn--bcher-kva.example" {
		t.Error(got)
	}
	if m.Subject != "web-1: grüße an alle" || m.ID != "a1@example.com" || m.AutoSubmitted != "no" || m.Precedence != "first-class" {
		t.Errorf("%q %q %q %q", m.Subject, m.ID, m.AutoSubmitted, m.Precedence)
	}
	if !m.Date.Equal(time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)) {
		t.Error(m.Date)
	}
	if got, want := m.References, []string{"c1@example.com", "b1@example.com"}; !cmp.Equal(got, want) {
		t.Error(got)
	}
	if m.Envelope.ReturnPath != "alice@example.com" || m.Envelope.Null || !cmp.Equal(m.Envelope.DeliveredTo, []string{"inbox+web-1@example.com"}) {
		t.Errorf("%+v", m.Envelope)
	}
	if m.Fields[0].Name != "Return-Path" || m.Fields[10].Name != "message-id" {
		t.Errorf("order: %v", m.Fields)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  string
		html  bool
	}{
		{"plain", []string{"", "web-1 status", "", "more"}, "web-1 status\n\nmore", false},
		{"line feeds alone", []string{"", "a\nb"}, "a\nb", false},
		{"no body", nil, "", false},
		{"quoted-printable", []string{"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "", "gr=C3=BC=C3=\r\n=9Fe"}, "grüße", false},
		{"base64", []string{"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: BASE64", "", "d2ViLTEg", " c3RhdHVz"}, "web-1 status", false},
		{"latin-1", []string{"Content-Type: text/plain; charset=iso-8859-1", "", "gr\xfc\xdfe"}, "grüße", false},
		{"windows-1252", []string{"Content-Type: text/plain; charset=windows-1252", "", "\x93a\x94"}, "“a”", false},
		{"shift-jis", []string{"Content-Type: text/plain; charset=shift_jis", "", "\x93\xfa\x96{"}, "日本", false},
		{"iso-2022-jp", []string{"Content-Type: text/plain; charset=iso-2022-jp", "", "\x1b$BF|K\\\x1b(B"}, "日本", false},
		{"gb18030", []string{"Content-Type: text/plain; charset=gb18030", "", "\xd6\xd0\xce\xc4"}, "中文", false},
		{"koi8-r", []string{"Content-Type: text/plain; charset=koi8-r", "", "\xcd\xc9\xd2"}, "мир", false},
		{"no charset", []string{"", "gr\xfc\xdfe"}, "grüße", false},
		{"a charset that is none", []string{"Content-Type: text/plain; charset=klingon", "", "status"}, "status", false},
		{"flowed", []string{"Content-Type: text/plain; format=flowed", "", "web-1 deploy ", "v1.2.3", " From here", "> and ", "> so on", "-- ", "Alice "}, "web-1 deploy v1.2.3\nFrom here", false},
		{"a type of old", []string{"Content-Type: text", "", "status"}, "status", false},
		{"alternative", []string{
			"Content-Type: multipart/alternative; boundary=b", "", "preamble", "--b", "Content-Type: text/html", "", "<p>no</p>",
			"--b", "", "yes", "--b--", "epilogue",
		}, "yes", false},
		{"alternative whose plain text is empty", []string{
			"Content-Type: multipart/alternative; boundary=b", "", "--b", "", " ", "--b", "Content-Type: text/html", "", "<p>web-1&nbsp;status</p>", "--b--",
		}, "web-1 status", true},
		{"mixed, as Apple Mail does it", []string{
			"Content-Type: multipart/mixed; boundary=\"b b\"", "", "--b b", "", "one", "--b b", "Content-Type: image/png; name=a.png", "Content-Disposition: inline", "", "x",
			"--b b", "Content-Type: text/plain", "", "two", "--b b--",
		}, "one\ntwo", false},
		{"html alone", []string{"Content-Type: text/html; charset=utf-8", "", "<html><head><title>t</title><style>p{}</style><body>a<br>b<p>c d</p><script>x</script><ul><li>e</ul>"}, "a\nb\n\nc d\n\n- e", true},
		{"no last boundary", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "cut short"}, "cut short\n", false},
		{"a boundary within a boundary", []string{
			"Content-Type: multipart/mixed; boundary=b", "", "--b", "Content-Type: multipart/alternative; boundary=bb", "", "--bb", "", "in", "--bb--", "--b--",
		}, "in", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := parse(t, headed(tt.lines...))
			if m.Text != strings.TrimSpace(tt.want) || m.FromHTML != tt.html {
				t.Errorf("%q (html %v), want %q", m.Text, m.FromHTML, tt.want)
			}
		})
	}
}

func TestAttachments(t *testing.T) {
	t.Parallel()
	m := parse(t, headed(
		"Content-Type: multipart/signed; boundary=s; protocol=\"application/pkcs7-signature\"", "",
		"--s", "Content-Type: multipart/mixed; boundary=m", "",
		"--m", "Content-Type: multipart/related; boundary=r", "",
		"--r", "Content-Type: text/html", "", "<p>see</p>",
		"--r", "Content-Type: image/png; name=logo.png", "Content-ID: <1>", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString(make([]byte, 30)), "--r--",
		"--m", "Content-Type: text/plain; charset=utf-8", "Content-Disposition: attachment; filename*=utf-8''..%2Fgr%C3%BC.txt", "", "12345",
		"--m", "Content-Type: application/octet-stream", "Content-Disposition: attachment; filename=\"=?utf-8?q?C:\\\\d=C3=A4.bin?=\"", "", "1",
		"--m", "Content-Type: message/rfc822", "", "Subject: x", "", "y",
		"--m--", "--s", "Content-Type: application/pkcs7-signature; name=smime.p7s", "", "x", "--s--",
	))
	want := []message.Attachment{
		{Name: "logo.png", Type: "image/png", Size: 30, Inline: true},
		{Name: "grü.txt", Type: "text/plain", Size: 5},
		{Name: "dä.bin", Type: "application/octet-stream", Size: 1},
		{Type: "message/rfc822", Size: len("Subject: x\r\n\r\ny")},
	}
	if m.Text != "see" || !cmp.Equal(m.Attachments, want) {
		t.Error(m.Text, cmp.Diff(want, m.Attachments))
	}
}

func TestBombs(t *testing.T) {
	t.Parallel()
	same := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	deep := ""
	for i := range 5000 {
		deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	tests := map[string][]byte{
		"deep":                  headed(deep + "\r\nx"),
		"one boundary for all":  headed(strings.Repeat(same, 5000)),
		"many parts":            headed("Content-Type: multipart/mixed; boundary=b", "", strings.Repeat("--b\r\n\r\n\r\n", 600)),
		"many fields":           headed(strings.Repeat("a: b\r\n", 2000), ""),
		"a long field":          headed("X: "+strings.Repeat("x", 300<<10), ""),
		"many lines":            headed("X: y\r\n"+strings.Repeat(" \r\n", 50_000), ""),
		"a part with a header":  headed("Content-Type: multipart/mixed; boundary=b", "", "--b", strings.Repeat("a: b\r\n", 9000), "--b--"),
		"a long text":           headed("", strings.Repeat("x", 2<<20)),
		"long HTML":             headed("Content-Type: text/html", "", strings.Repeat("<b>", 1<<20)),
		"many texts":            headed("Content-Type: multipart/mixed; boundary=b", "", strings.Repeat("--b\r\n\r\n"+strings.Repeat("x", 100<<10)+"\r\n", 20)),
		"no boundary":           headed("Content-Type: multipart/mixed", "", "x"),
		"an empty boundary":     headed("Content-Type: multipart/mixed; boundary=\"\"", "", "--", "", "x"),
		"no header":             []byte("hello"),
		"a line that is none":   headed("what is this", ""),
		"a null byte":           headed("X: a\x00b", ""),
		"a carriage return":     headed("X: a\rFrom: eve@example.com", ""),
		"an encoding of nobody": headed("Content-Transfer-Encoding: x-rot13", "", "x"),
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := message.Parse(raw)
			var e *message.Error
			if !errors.As(err, &e) {
				t.Fatalf("no error, but %+v", m)
			}
			if len(err.Error()) > 200 || strings.Contains(err.Error(), "xxx") {
				t.Errorf("the error quotes the mail: %.300s", err)
			}
		})
	}
}

// TestMemory parses what would take much memory if it were all kept.
func TestMemory(t *testing.T) {
	wide := headed("Content-Type: multipart/mixed; boundary=b", "",
		strings.Repeat("--b\r\nContent-Type: application/x; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("QUFB\r\n", 10_000)+"\r\n", 400))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parse(t, wide)
	runtime.ReadMemStats(&after)
	got := after.TotalAlloc - before.TotalAlloc
	if most := uint64(16 << 20); got > most {
		t.Errorf("%d bytes for a mail of %d", got, len(wide))
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	base := []string{"From: a@example.com", "To: b@example.com", "Subject: x", "Date: Sun, 29 Nov 2026 16:00:00 +0000", "Message-ID: <1@example.com>"}
	without := func(name string) []string {
		var kept []string
		for _, line := range base {
			if !strings.HasPrefix(line, name+":") {
				kept = append(kept, line)
			}
		}
		return kept
	}
	with := func(lines ...string) []string { return append(append([]string{}, base...), lines...) }
	tests := []struct {
		name, want string
		lines      []string
	}{
		{"whole", "", base},
		{"no subject", "", without("Subject")},
		{"no from", "no From", without("From")},
		{"empty from", "no From", append(without("From"), "From: ")},
		{"no date", "no Date", without("Date")},
		{"no id", "no Message-ID", without("Message-ID")},
		{"two froms", "From stands in it 2 times", with("From : eve@example.com")},
		{"two dates", "Date stands", with("DATE: x")},
		{"two ids", "Message-ID stands", with("Message-Id: <2@example.com>")},
		{"two subjects", "Subject stands", with("subject: y")},
		{"two tos", "To stands", with("To: c@example.com")},
		{"a bad from", "From is no list", append(without("From"), "From: <@a,@b:c@d>")},
		{"a bad date", "Date is no date", append(without("Date"), "Date: tomorrow")},
		{"a bad id", "Message-ID is no", append(without("Message-ID"), "Message-ID: none")},
		{"two ids in one", "Message-ID is no", append(without("Message-ID"), "Message-ID: <1@a><2@b>")},
		{"a bad domain", "whose domain is none", append(without("From"), "From: a@\u2024.example")},
		{"bytes that are no text", "From is no list", append(without("From"), "From: \xff <a@example.com>")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := parse(t, mail(append(tt.lines, "", "x")...)).Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestParagraph(t *testing.T) {
	t.Parallel()
	m := parse(t, headed("", "deploy  v1.2.3", "to all", "", "Thanks!"))
	if got := m.Paragraph(); got != "deploy v1.2.3 to all" {
		t.Error(got)
	}
}
