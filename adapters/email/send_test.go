package email

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/letserverrun/skadi/core/chat"
)

// submit is a far side that mail is handed in to, and an adapter for it that
// reads none.
func submit(t *testing.T, start bool, change func(c *Config)) (*smtpFar, *Adapter, *memory) {
	t.Helper()
	far := startSMTP(t, identities().server, start)
	cfg := fine()
	cfg.IMAP.Password = imapPassword
	cfg.SMTP = SMTP{Host: "127.0.0.1", Port: portOf(t, far.addr), TLS: tlsImplicit, CAFile: caFile(t)}
	if start {
		cfg.SMTP.TLS = tlsStart
	}
	if change != nil {
		change(&cfg)
	}
	shared := newMemory()
	a, err := New(cfg, chat.Env{Account: "inbox", KV: shared, Lease: shared, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return far, a, shared
}

func answer(id string) chat.Outbound {
	data, _ := json.Marshal(ordinary().origin)
	return chat.Outbound{ID: id, To: chat.ConversationRef{Account: "inbox", Key: "k", Data: data}, Text: "done"}
}

func TestSends(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start  bool
		mech   string
		change func(c *Config)
		from   string
	}{
		"implicit":       {from: "inbox+b="},
		"starttls":       {start: true, from: "inbox+b="},
		"login":          {mech: sasl.Login, from: "inbox+b="},
		"null sender":    {change: func(c *Config) { c.NullSender = true }, from: ""},
		"plain sender":   {change: func(c *Config) { c.PlainSender = true }, from: inboxAddress},
		"bounce address": {change: func(c *Config) { c.BounceAddress = "bounces@example.net" }, from: "bounces+b="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, a, _ := submit(t, c.start, c.change)
			if c.mech != "" {
				far.mech = c.mech
			}
			m := answer("job.3")
			m.Card = &chat.Card{Code: "k7f3q2", Final: true}
			ref, err := a.Send(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			got := far.received()
			if len(got) != 1 || got[0].to != "ada@example.org" || !strings.HasPrefix(got[0].from, c.from) || (c.from == "") != (got[0].from == "") {
				t.Fatalf("it was handed in as %+v", got)
			}
			again, _ := a.Send(t.Context(), m)
			if again.ID != ref.ID || read(t, got[0].body).Header.Get("Message-Id") != "<"+ref.ID+">" {
				t.Errorf("its Message-ID is %s, then %s", ref.ID, again.ID)
			}
			if th, ok := parseThread(ref.ID); !ok || th.code != "k7f3q2" {
				t.Errorf("its Message-ID is %s", ref.ID)
			}
		})
	}
}

func TestSendFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start  bool
		begin  func(far *smtpFar)
		change func(c *Config)
		want   chat.Class
	}{
		"unknown mailbox":        {begin: func(f *smtpFar) { f.fails(stageTo, 550, 5, 1, 1) }, want: chat.Gone},
		"unknown, old style":     {begin: func(f *smtpFar) { f.fails(stageTo, 550) }, want: chat.Gone},
		"mailbox disabled":       {begin: func(f *smtpFar) { f.fails(stageTo, 550, 5, 2, 1) }, want: chat.Gone},
		"mailbox full":           {begin: func(f *smtpFar) { f.fails(stageTo, 552, 5, 2, 2) }, want: chat.Permanent},
		"full for now":           {begin: func(f *smtpFar) { f.fails(stageTo, 452, 4, 2, 2) }, want: chat.Temporary},
		"greylisted":             {begin: func(f *smtpFar) { f.fails(stageTo, 451, 4, 7, 1) }, want: chat.Temporary},
		"too fast":               {begin: func(f *smtpFar) { f.fails(stageTo, 421, 4, 7, 28) }, want: chat.RateLimited},
		"too many a day":         {begin: func(f *smtpFar) { f.fails(stageData, 550, 5, 4, 5) }, want: chat.RateLimited},
		"not for this recipient": {begin: func(f *smtpFar) { f.fails(stageTo, 550, 5, 7, 1) }, want: chat.Permanent},
		"sender not allowed":     {begin: func(f *smtpFar) { f.fails(stageFrom, 553, 5, 7, 1) }, want: chat.Auth},
		"too large":              {begin: func(f *smtpFar) { f.fails(stageData, 552, 5, 3, 4) }, want: chat.Permanent},
		"spam":                   {begin: func(f *smtpFar) { f.fails(stageData, 554, 5, 7, 1) }, want: chat.Permanent},
		"disk full":              {begin: func(f *smtpFar) { f.fails(stageData, 452, 4, 3, 1) }, want: chat.Temporary},
		"wrong password":         {begin: func(f *smtpFar) { f.lock(true) }, want: chat.Auth},
		"no way to log in":       {begin: func(f *smtpFar) { f.mech = "GSSAPI" }, want: chat.Auth},
		"no certificate":         {change: func(c *Config) { c.SMTP.CAFile = "" }, want: chat.Temporary},
		"no file of it":          {change: func(c *Config) { c.SMTP.CAFile = "/nowhere/ca.pem" }, want: chat.Auth},
		"no STARTTLS":            {start: true, begin: func(f *smtpFar) { f.srv.TLSConfig = nil }, want: chat.Auth},
		"nobody there":           {begin: func(f *smtpFar) { _ = f.l.Close() }, want: chat.Temporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far, a, _ := submit(t, c.start, c.change)
			if c.begin != nil {
				c.begin(far)
			}
			_, err := a.Send(t.Context(), answer("job.3"))
			var se *chat.SendError
			if !errors.As(err, &se) || se.Class != c.want {
				t.Errorf("it is %v, want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), imapPassword) {
				t.Error("the error shows the password")
			}
			if n := len(far.received()); n > 0 {
				t.Errorf("%d mails were taken all the same", n)
			}
		})
	}
}

// A server that says nothing is waited for no longer than the context lasts.
func TestSendEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		cancel()
		_, _ = c.Read(make([]byte, 1<<16))
		_, _ = c.Read(make([]byte, 1))
		_ = c.Close()
	}()
	_, a, _ := submit(t, false, func(c *Config) { c.SMTP.Port = portOf(t, l.Addr().String()) })
	if _, err := a.Send(ctx, answer("job.3")); chat.Classify(err).Class != chat.Temporary {
		t.Errorf("it is %v, want temporary", err)
	}
	<-done
}

func TestReferencesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, a, _ := submit(t, false, nil)
	for _, data := range []string{"", "{", `{"to":""}`, `{"to":"a@b>\r\nRCPT TO:<c@d"}`} {
		m := answer("job.3")
		m.To.Data = json.RawMessage(data)
		if _, err := a.Send(t.Context(), m); chat.Classify(err).Class != chat.Permanent {
			t.Errorf("%q is %v, want permanent", data, err)
		}
	}
}

// A reply that came back is reported as what core called it.
func TestBounces(t *testing.T) {
	t.Parallel()
	far, a, _ := submit(t, false, nil)
	var log bytes.Buffer
	a.env.Logger = slog.New(slog.NewTextHandler(&log, nil))
	type noted struct{ id, why string }
	var got []noted
	a.env.Undelivered = func(_ context.Context, id, why string) error {
		got = append(got, noted{id, why})
		return nil
	}
	ref, err := a.Send(t.Context(), answer("job.3"))
	if err != nil {
		t.Fatal(err)
	}
	sender := far.received()[0].from
	report := func(to, original, action string) []byte {
		return []byte("From: <>\r\nTo: " + to + "\r\nSubject: Undelivered\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\nMessage-ID: <b@mx.example.org>\r\n" +
			"MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n" +
			"--B\r\nContent-Type: text/plain\r\n\r\nIt did not work.\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\n" +
			"Reporting-MTA: dns; mx.example.org\r\n\r\nFinal-Recipient: rfc822; ada@example.org\r\nAction: " + action + "\r\nStatus: 5.1.1\r\n" +
			"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--B\r\nContent-Type: text/rfc822-headers\r\n\r\n" +
			"Message-ID: <" + original + ">\r\nSubject: x\r\n\r\n--B--\r\n")
	}
	for name, c := range map[string]struct {
		raw  []byte
		want int
	}{
		"to the envelope sender":    {report(sender, "x@example.org", "failed"), 1},
		"about a mail of ours":      {report(inboxAddress, ref.ID, "failed"), 1},
		"only late":                 {report(sender, ref.ID, "delayed"), 0},
		"about a mail of others":    {report(inboxAddress, "x@example.org", "failed"), 0},
		"to a sender that is none":  {report("inbox+"+bounceTag(digest("job.3"), strings.Repeat("0", macLength))+"@example.com", "x@example.org", "failed"), 0},
		"about a mail that is none": {report(inboxAddress, strings.Replace(ref.ID, ".-.", ".k7f3q2.", 1), "failed"), 0},
	} {
		got = nil
		if err := a.handle(t.Context(), mailOf(c.raw)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(got) != c.want || c.want > 0 && (got[0].id != "job.3" || !strings.Contains(got[0].why, "no such user")) {
			t.Errorf("%s: reported is %+v, want %d", name, got, c.want)
		}
	}
	if !strings.Contains(log.String(), "a reply was not delivered") {
		t.Errorf("the log says\n%s", &log)
	}
}
