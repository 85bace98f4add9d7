package identity_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/letserverrun/skadi/adapters/email/identity"
	"github.com/letserverrun/skadi/adapters/email/message"
)

// now is when all mail of these tests comes. The library that checks
// signatures has its own clock, so it is today.
var now = time.Now().Truncate(time.Second)

// dns answers what tests put into it.
type dns struct {
	mu    sync.Mutex
	txt   map[string][]string
	err   map[string]error
	asked []string
}

func (d *dns) lookup(_ context.Context, name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, name)
	if err := d.err[name]; err != nil {
		return nil, err
	}
	if txt, ok := d.txt[name]; ok {
		return txt, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

var keys = sync.OnceValues(func() (*rsa.PrivateKey, *rsa.PrivateKey) {
	// A short key is made by hand, for the standard library makes none.
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return long, other
})

func record(t *testing.T, key crypto.Signer) string {
	t.Helper()
	if public, ok := key.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// world is a DNS with example.com in it, and a verifier that asks it.
type world struct {
	*dns
	v   *identity.Verifier
	key *rsa.PrivateKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, _ := keys()
	w := &world{key: key, dns: &dns{txt: map[string][]string{}, err: map[string]error{}}}
	for _, domain := range []string{"example.com", "mail.example.com", "eve.example", "xn--bcher-kva.example"} {
		w.txt["s._domainkey."+domain] = []string{record(t, key)}
	}
	w.v = &identity.Verifier{
		TXT: w.lookup, Now: func() time.Time { return now },
		Inbox: func(a message.Address) bool {
			local, _, _ := strings.Cut(strings.ToLower(a.Local), "+")
			return local == "inbox" && a.Domain == "skadi.example"
		},
	}
	return w
}

// all are the fields that a good signature covers.
var all = []string{"From", "To", "Subject", "Date", "Message-ID"}

func write(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

// plain is a mail that is right but for a signature.
func plain() string {
	return write(
		"From: Alice <alice@example.com>", "To: inbox+web-1@skadi.example", "Subject: status",
		"Date: "+now.Format(time.RFC1123Z), "Message-ID: <1@example.com>", "", "status",
	)
}

func (w *world) sign(t *testing.T, mail string, change ...func(*dkim.SignOptions)) string {
	t.Helper()
	o := &dkim.SignOptions{
		Domain: "example.com", Selector: "s", Signer: w.key, Hash: crypto.SHA256, HeaderKeys: all,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}
	for _, c := range change {
		c(o)
	}
	var b bytes.Buffer
	if err := dkim.Sign(&b, strings.NewReader(mail), o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (w *world) verify(t *testing.T, mail string) (identity.Identity, error) {
	t.Helper()
	m, err := message.Parse([]byte(mail))
	if err != nil {
		t.Fatal(err)
	}
	return w.v.Verify(t.Context(), []byte(mail), m)
}

// wants fails unless err is a refusal for that reason.
func wants(t *testing.T, err error, reason identity.Reason) {
	t.Helper()
	var r *identity.Refusal
	if !errors.As(err, &r) || r.Reason != reason {
		t.Fatalf("%v, want %s", err, reason)
	}
	if r.Text == "" || len(r.Text) > 400 {
		t.Errorf("it says %q", r.Text)
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mail := w.sign(t, plain())
	id, err := w.verify(t, mail)
	if err != nil {
		t.Fatal(err)
	}
	if id.Address != "alice@example.com" || id.Name != "Alice" || id.Proof != identity.ByDKIM || id.Domain != "example.com" || id.Signature == "" || now.Sub(id.SignedAt).Abs() > time.Hour {
		t.Errorf("%+v", id)
	}

	t.Run("again, written otherwise", func(t *testing.T) {
		t.Parallel()
		i := strings.Index(mail, "b="+id.Signature[:8])
		other := mail[:i+4] + "\r\n\t " + mail[i+4:]
		again, err := w.verify(t, other)
		if err != nil || again.Signature != id.Signature {
			t.Errorf("%q, %v; want %q", again.Signature, err, id.Signature)
		}
	})
	t.Run("line feeds alone", func(t *testing.T) {
		t.Parallel()
		if again, err := w.verify(t, strings.ReplaceAll(mail, "\r\n", "\n")); err != nil || again != id {
			t.Errorf("%+v, %v", again, err)
		}
	})
	t.Run("one byte is another", func(t *testing.T) {
		t.Parallel()
		_, err := w.verify(t, strings.Replace(mail, "\r\n\r\nstatus", "\r\n\r\nstatuS", 1))
		wants(t, err, identity.BadSignature)
		_, err = w.verify(t, strings.Replace(mail, "Subject: status", "Subject: reboot", 1))
		wants(t, err, identity.BadSignature)
		_, err = w.verify(t, strings.Replace(mail, "alice@", "bob@", 1))
		wants(t, err, identity.BadSignature)
	})
	t.Run("ed25519, and a second signature that is wrong", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		w.txt["e._domainkey.example.com"] = []string{record(t, key)}
		mail := w.sign(t, plain(), func(o *dkim.SignOptions) { o.Signer, o.Selector = key, "e" })
		bad := w.sign(t, strings.Replace(plain(), "\r\n\r\nstatus", "\r\n\r\nother", 1))
		mail = bad[:strings.Index(bad, "From: ")] + mail
		if id, err := w.verify(t, mail); err != nil || id.Address != "alice@example.com" {
			t.Errorf("%+v, %v", id, err)
		}
	})
}

// TestMalleable writes the signature's last digit otherwise, where some bits of
// it mean nothing: the same signature must be known again.
func TestMalleable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mail := w.sign(t, plain())
	id, err := w.verify(t, mail)
	if err != nil {
		t.Fatal(err)
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	end := strings.LastIndex(mail[:strings.Index(mail, "From: ")], "=")
	for mail[end-1] == '=' {
		end--
	}
	other := []byte(mail)
	other[end-1] = digits[strings.IndexByte(digits, other[end-1])|1]
	again, err := w.verify(t, string(other))
	if err != nil || string(other) == mail || again.Signature != id.Signature {
		t.Errorf("%v: %q, want %q", err, again.Signature, id.Signature)
	}
}

func TestSignaturesThatDoNotCount(t *testing.T) {
	t.Parallel()
	_, short := keys()
	without := func(name string) []string {
		var kept []string
		for _, n := range all {
			if n != name {
				kept = append(kept, n)
			}
		}
		return kept
	}
	signing := func(change func(*dkim.SignOptions)) func(*testing.T, *world) string {
		return func(t *testing.T, w *world) string { return w.sign(t, plain(), change) }
	}
	tests := []struct {
		name   string
		reason identity.Reason
		mail   func(t *testing.T, w *world) string
	}{
		{"none", identity.Unsigned, func(*testing.T, *world) string { return plain() }},
		{"no To", identity.NotCovered, signing(func(o *dkim.SignOptions) { o.HeaderKeys = without("To") })},
		{"no Subject", identity.NotCovered, signing(func(o *dkim.SignOptions) { o.HeaderKeys = without("Subject") })},
		{"no Date", identity.NotCovered, signing(func(o *dkim.SignOptions) { o.HeaderKeys = without("Date") })},
		{"no Message-ID", identity.NotCovered, signing(func(o *dkim.SignOptions) { o.HeaderKeys = without("Message-ID") })},
		{"no Cc, which there is", identity.NotCovered, func(t *testing.T, w *world) string { return w.sign(t, "Cc: bob@example.com\r\n"+plain()) }},
		{"no Reply-To, which there is", identity.NotCovered, func(t *testing.T, w *world) string {
			return "Reply-To: alice@example.com\r\n" + w.sign(t, plain())
		}},
		{"another domain", identity.NotAligned, signing(func(o *dkim.SignOptions) { o.Domain = "eve.example" })},
		{"a part of it, without DMARC", identity.NotAligned, signing(func(o *dkim.SignOptions) { o.Domain = "mail.example.com" })},
		{"a part of it, and DMARC is strict", identity.NotAligned, func(t *testing.T, w *world) string {
			w.txt["_dmarc.example.com"] = []string{"v=DMARC1; p=none; adkim=s"}
			return w.sign(t, plain(), func(o *dkim.SignOptions) { o.Domain = "mail.example.com" })
		}},
		{"run out", identity.BadSignature, signing(func(o *dkim.SignOptions) { o.Expiration = now.Add(-time.Hour) })},
		{"no key", identity.BadSignature, signing(func(o *dkim.SignOptions) { o.Selector = "gone" })},
		{"a key that was taken back", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{"v=DKIM1; p="}
			return w.sign(t, plain())
		}},
		{"a key for tests", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{record(t, w.key) + "; t=s:y"}
			return w.sign(t, plain())
		}},
		{"a key for no part", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{record(t, w.key) + "; t=s"}
			return w.sign(t, plain(), func(o *dkim.SignOptions) { o.Identifier = "x@mail.example.com" })
		}},
		{"a key for sha1", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{record(t, w.key) + "; h=sha1"}
			return w.sign(t, plain())
		}},
		{"a key that is too long to be one", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{record(t, w.key) + "; n=" + strings.Repeat("x", 5000)}
			return w.sign(t, plain())
		}},
		{"a key of 512 bits", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{"v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ=="}
			return w.sign(t, plain())
		}},
		{"two keys at once", identity.BadSignature, func(t *testing.T, w *world) string {
			w.txt["s._domainkey.example.com"] = []string{record(t, w.key), record(t, short)}
			return w.sign(t, plain())
		}},
		{"sha1", identity.BadSignature, func(t *testing.T, w *world) string {
			return strings.Replace(w.sign(t, plain()), "a=rsa-sha256", "a=rsa-sha1", 1)
		}},
		{"a part of the text", identity.NotCovered, func(t *testing.T, w *world) string {
			return strings.Replace(w.sign(t, plain()), "a=rsa-sha256;", "a=rsa-sha256; l=8;", 1)
		}},
		{"twice the same tag", identity.Unsigned, func(t *testing.T, w *world) string {
			return strings.Replace(w.sign(t, plain()), "a=rsa-sha256;", "a=rsa-sha256; d=example.com;", 1)
		}},
		{"a From put on top", identity.Malformed, func(t *testing.T, w *world) string { return "From: eve@eve.example\r\n" + w.sign(t, plain()) }},
		{"a From put below", identity.Malformed, func(t *testing.T, w *world) string {
			return strings.Replace(w.sign(t, plain()), "\r\n\r\n", "\r\nFrom: eve@eve.example\r\n\r\n", 1)
		}},
		{"a Subject put on top", identity.Malformed, func(t *testing.T, w *world) string { return "Subject: reboot\r\n" + w.sign(t, plain()) }},
		{"a Cc put on top", identity.NotCovered, func(t *testing.T, w *world) string { return "Cc: inbox@skadi.example\r\n" + w.sign(t, plain()) }},
		{"ARC alone", identity.Unsigned, func(t *testing.T, w *world) string {
			signed := w.sign(t, plain())
			return "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.com; s=s; b=AAAA\r\n" +
				"ARC-Authentication-Results: i=1; mx.skadi.example; dkim=pass header.d=example.com; dmarc=pass header.from=example.com\r\n" +
				strings.Replace(signed, "DKIM-Signature:", "ARC-Message-Signature: i=1;", 1)
		}},
		{"a ninth", identity.NotAligned, func(t *testing.T, w *world) string {
			eve := w.sign(t, plain(), func(o *dkim.SignOptions) { o.Domain = "eve.example" })
			return strings.Repeat(eve[:strings.Index(eve, "From: ")], 8) + w.sign(t, plain())
		}},
		{"a mail of weeks ago", identity.Stale, func(t *testing.T, w *world) string {
			return w.sign(t, strings.Replace(plain(), now.Format(time.RFC1123Z), now.Add(-25*time.Hour).Format(time.RFC1123Z), 1))
		}},
		{"a mail of tomorrow", identity.Stale, func(t *testing.T, w *world) string {
			return w.sign(t, strings.Replace(plain(), now.Format(time.RFC1123Z), now.Add(25*time.Hour).Format(time.RFC1123Z), 1))
		}},
		{"a mail to somebody else", identity.NotAddressed, func(t *testing.T, w *world) string {
			return "Delivered-To: inbox@skadi.example\r\n" + w.sign(t, strings.Replace(plain(), "inbox+web-1@", "dave@", 1))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := w.verify(t, tt.mail(t, w))
			wants(t, err, tt.reason)
		})
	}
}

func TestDMARCLetsAPartSign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.txt["_dmarc.example.com"] = []string{"other", "v=DMARC1; p=reject"}
	id, err := w.verify(t, w.sign(t, plain(), func(o *dkim.SignOptions) { o.Domain = "mail.example.com" }))
	if err != nil || id.Domain != "mail.example.com" || id.Address != "alice@example.com" {
		t.Errorf("%+v, %v", id, err)
	}
	// And what is signed by the whole speaks for a part.
	part := strings.Replace(plain(), "alice@example.com", "alice@mail.example.com", 1)
	if id, err := w.verify(t, w.sign(t, part)); err != nil || id.Address != "alice@mail.example.com" {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestDNSThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"s._domainkey.example.com", "_dmarc.example.com"} {
		w := newWorld(t)
		w.err[name] = &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
		domain := "example.com"
		if name == "_dmarc.example.com" {
			domain = "mail.example.com"
		}
		_, err := w.verify(t, w.sign(t, plain(), func(o *dkim.SignOptions) { o.Domain = domain }))
		var r *identity.Refusal
		if err == nil || errors.As(err, &r) {
			t.Errorf("%s: %v is final", name, err)
		}
		w.err[name] = errors.New("some other trouble")
		if _, err := w.verify(t, w.sign(t, plain(), func(o *dkim.SignOptions) { o.Domain = domain })); err == nil || errors.As(err, &r) {
			t.Errorf("%s: %v is final", name, err)
		}
	}
}

// TestStrangersAskNothing sees that a mail of anybody's leads to no question
// about domains that he chose.
func TestStrangersAskNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.verify(t, w.sign(t, plain(), func(o *dkim.SignOptions) { o.Domain = "eve.example" }))
	wants(t, err, identity.NotAligned)
	if len(w.asked) != 0 {
		t.Errorf("asked %v", w.asked)
	}
}
