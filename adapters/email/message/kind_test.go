package message_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/adapters/email/message"
)

func TestBounce(t *testing.T) {
	t.Parallel()
	postfix := mail(
		"Return-Path: <>", "From: MAILER-DAEMON@mx.example.com (Mail Delivery System)", "To: bounce@example.com", "Subject: Undelivered Mail",
		"Date: Sun, 29 Nov 2026 16:00:00 +0000", "Message-Id: <1@mx.example.com>", "Auto-Submitted: auto-replied",
		"Content-Type: multipart/report; report-type=delivery-status; boundary=\"b/c\"", "",
		"--b/c", "Content-Type: text/plain", "", "I'm sorry.",
		"--b/c", "Content-Type: message/delivery-status", "",
		"Reporting-MTA: dns; mx.example.com", "",
		"Final-Recipient: rfc822; Alice@Example.com", "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 no", "    such user", "",
		"Final-Recipient: rfc822; bob@example.com", "Action: delayed", "Status: 4.4.1", "",
		"--b/c", "Content-Type: message/rfc822", "", "From: x@example.com", "Message-ID: <job-1@example.com>", "Subject: Re: y", "", "text", "--b/c--",
	)
	m := parse(t, postfix)
	want := &message.Bounce{Failed: true, OriginalID: "job-1@example.com", Recipients: []message.Recipient{
		{Address: "alice@example.com", Action: "failed", Status: "5.1.1", Diagnostic: "smtp; 550 5.1.1 no such user"},
		{Address: "bob@example.com", Action: "delayed", Status: "4.4.1"},
	}}
	if m.Kind != message.Bounced || !cmp.Equal(m.Bounce, want) {
		t.Error(m.Kind, cmp.Diff(want, m.Bounce))
	}

	exim := parse(t, mail(
		"Return-path: <>", "X-Failed-Recipients: alice@example.com", "From: Mail Delivery System <Mailer-Daemon@mx.example.com>", "To: b@example.com",
		"Auto-Submitted: auto-replied", "", "This message was created automatically.", "", "------ This is a copy of the message ------", "",
		"Subject: z", "Message-Id: <job-2@example.com>", "", "text",
	))
	want = &message.Bounce{Failed: true, OriginalID: "job-2@example.com", Recipients: []message.Recipient{{Address: "alice@example.com", Action: "failed"}}}
	if exim.Kind != message.Bounced || !cmp.Equal(exim.Bounce, want) {
		t.Error(exim.Kind, cmp.Diff(want, exim.Bounce))
	}

	headers := parse(t, mail(
		"From: postmaster@example.com", "Content-Type: multipart/report; report-type=delivery-status; boundary=b", "",
		"--b", "Content-Type: text/rfc822-headers", "Content-Transfer-Encoding: base64", "", "TWVzc2FnZS1JRDogPGpvYi0zQGV4YW1wbGUuY29tPg0K", "--b--",
	))
	if headers.Bounce == nil || headers.Bounce.OriginalID != "job-3@example.com" || headers.Bounce.Failed {
		t.Errorf("%+v", headers.Bounce)
	}
}

func TestAutomatic(t *testing.T) {
	t.Parallel()
	calendar := []string{"Content-Type: multipart/alternative; boundary=b", "", "--b", "", "Invitation", "--b", "Content-Type: text/calendar; method=REQUEST", "", "BEGIN:VCALENDAR", "--b--"}
	tests := []struct {
		name  string
		want  string
		lines []string
	}{
		{"a person", "", []string{""}},
		{"auto-submitted no", "", []string{"Auto-Submitted: no", ""}},
		{"auto-replied", "Auto-Submitted", []string{"Auto-Submitted: auto-replied", ""}},
		{"auto-generated with a comment", "Auto-Submitted", []string{"Auto-submitted: Auto-Generated (vacation)", ""}},
		{"auto-submitted with nothing", "Auto-Submitted", []string{"Auto-Submitted:", ""}},
		{"a list", "List-Id", []string{"List-ID: <dev.example.com>", ""}},
		{"a newsletter", "List-Unsubscribe", []string{"List-Unsubscribe: <https://example.com>", ""}},
		{"bulk", "Precedence", []string{"Precedence: BULK", ""}},
		{"a second precedence", "Precedence", []string{"Precedence: normal", "Precedence: list", ""}},
		{"an empty envelope sender", "an empty envelope sender", []string{"Return-Path: <>", ""}},
		{"Exchange's out of office", "X-Auto-Response-Suppress", []string{"X-Auto-Response-Suppress: All", ""}},
		{"Outlook's", "", []string{"X-Auto-Response-Suppress: NDR", ""}},
		{"a calendar", "a calendar", calendar},
		{"a calendar alone", "a calendar", []string{"Content-Type: text/calendar", "", "BEGIN:VCALENDAR"}},
		{"a calendar file", "", []string{"Content-Type: multipart/mixed; boundary=b", "", "--b", "", "x", "--b", "Content-Type: text/calendar; name=a.ics", "Content-Disposition: attachment", "", "y", "--b--"}},
		{"a receipt", "a receipt", []string{"Content-Type: multipart/report; report-type=disposition-notification; boundary=b", "", "--b", "", "read", "--b--"}},
		{"a bounce", "a bounce", []string{"Content-Type: multipart/report; report-type=delivery-status; boundary=b", "", "--b", "", "gone", "--b--"}},
		{"an envelope sender that is a program", "an envelope sender that reads nothing", []string{"Return-Path: <no-reply@example.com>", ""}},
		{"a sender that is a program", "a sender that reads nothing", []string{"Sender: MAILER-DAEMON@example.com", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			reason, is := parse(t, headed(tt.lines...)).Automatic()
			if reason != tt.want || is != (tt.want != "") {
				t.Errorf("%q %v, want %q", reason, is, tt.want)
			}
		})
	}
	if _, is := parse(t, []byte(strings.Replace(string(headed("", "x")), "alice@", "No-Reply@", 1))).Automatic(); !is {
		t.Error("no-reply is a person")
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct{ value, want string }{
		{"a@example.com", "a@example.com"},
		{"A <a@example.com>, \"B, C\" <b@Example.COM>", "a@example.com b@example.com"},
		{"a@example.com (comment)", "a@example.com"},
		{"(comment) a@example.com", "error"},
		{"\"a b\"@example.com", "a b@example.com"},
		{"\"eve@example.com\"@example.org", "eve@example.com@example.org"},
		{"a@[127.0.0.1]", "a@[127.0.0.1]"},
		{"g: a@example.com;", "a@example.com"},
		{"undisclosed-recipients:;", ""},
		{"a@b\u00fccher.example", "a@xn--bcher-kva.example"},
		{"a@XN--BCHER-KVA.example", "a@xn--bcher-kva.example"},
		{"a@under_score.example", "a@under_score.example"},
		{"<@a.example,@b.example:c@example.com>", "error"},
		{"a@example.com b@example.com", "error"},
		{"a@", "error"},
		{"@example.com", "error"},
		{"", "error"},
		{"a", "error"},
		{"a@example.com\x00", "error"},
		{"\"a\x01\"@example.com", "error"},
		{"a@exa\u200bmple.com", "a@example.com"},
		{"a@" + strings.Repeat("x", 70) + ".com", "error"},
		{"a@" + strings.Repeat("界", 80_000), "error"}, // takes minutes as Punycode
	}
	for _, tt := range tests {
		got := ""
		all, err := message.ParseAddresses(tt.value)
		if err != nil {
			got = "error"
		}
		for i, a := range all {
			if i > 0 {
				got += " "
			}
			got += a.String()
		}
		if got != tt.want {
			t.Errorf("%q: %q (%v), want %q", tt.value, got, err, tt.want)
		}
	}
}
