package email

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/letserverrun/skadi/adapters/email/identity"
	"github.com/letserverrun/skadi/adapters/email/mailbox"
	"github.com/letserverrun/skadi/adapters/email/message"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

const (
	imapUser     = "inbox@example.com"
	imapPassword = "the-password-of-the-mailbox"
	inboxAddress = "inbox@example.com"
	domain       = "example.org" // of the people
)

// people write from here.
var people = []string{"ada@example.org", "bob@example.org"}

// identities are a CA, a server's certificate and a domain's key, once for all
// tests.
var identities = sync.OnceValue(func() (made struct {
	ca     []byte
	server *tls.Config
	dkim   ed25519.PrivateKey
	record string
},
) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test's own"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	made.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	made.server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	made.dkim, made.record = private, "v=DKIM1; k=ed25519; p="+base64.StdEncoding.EncodeToString(public)
	return made
})

// caFile writes the certificate to trust.
func caFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, identities().ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// far is a mail server, and people who write to it.
type far struct {
	t       *testing.T
	cfg     Config
	imap    *imapFar
	smtp    *smtpFar
	adapter *Adapter
	clock   chat.Clock
	failed  chan struct{} // a mail was handed in and not taken

	mu   sync.Mutex
	last map[string][]byte // what was last said, by way
}

// watched tells when its inbox does not take a mail.
type watched struct {
	chat.Inbox
	failed chan struct{}
}

func (w watched) Accept(ctx context.Context, m chat.Inbound) error {
	err := w.Inbox.Accept(ctx, m)
	if err != nil {
		select {
		case w.failed <- struct{}{}:
		default:
		}
	}
	return err
}

var mails atomic.Int64

// startFar starts the servers and makes an adapter for them.
func startFar(t *testing.T, env chat.Env) *far {
	t.Helper()
	f := &far{
		t: t, imap: startIMAP(t, identities().server), smtp: startSMTP(t, identities().server, false),
		clock: env.Clock, last: map[string][]byte{}, failed: make(chan struct{}, 1),
	}
	f.cfg = defaults()
	f.cfg.Address, f.cfg.Rate = inboxAddress, 1000
	ca := caFile(t)
	f.cfg.IMAP = IMAP{Host: "127.0.0.1", Port: portOf(t, f.imap.addr), TLS: tlsImplicit, CAFile: ca, Password: imapPassword}
	f.cfg.SMTP = SMTP{Host: "127.0.0.1", Port: portOf(t, f.smtp.addr), TLS: tlsImplicit, CAFile: ca}
	f.make(env)
	return f
}

func (f *far) make(env chat.Env) {
	f.t.Helper()
	env.Inbox = watched{env.Inbox, f.failed}
	a, err := New(f.cfg, env)
	if err != nil {
		f.t.Fatal(err)
	}
	a.verifier.TXT = keys
	f.adapter = a
}

// keys answers as the DNS.
func keys(_ context.Context, name string) ([]string, error) {
	if name == "k1._domainkey."+domain {
		return []string{identities().record}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (f *far) Adapter() chat.Adapter { return f.adapter }

// Restart implements chattest.Restarts.
func (f *far) Restart(_ *testing.T, env chat.Env) chat.Adapter {
	f.make(env)
	return f.adapter
}

// Break implements chattest.Breaks.
func (f *far) Break(*testing.T) { f.imap.breakAll() }

// Leave implements chattest.Leaves.
func (f *far) Leave(_ *testing.T, away bool) {
	f.imap.change(func() { f.imap.away = away })
}

// Lock implements chattest.Locks.
func (f *far) Lock(_ *testing.T, locked bool) {
	f.imap.lock(locked)
	f.smtp.lock(locked)
}

// written is a mail before it is signed.
type written struct {
	from, to, subject, body string
	id                      string
	at                      time.Time
	header                  []string // further fields
}

// bytes returns the mail as it is sent.
func (w written) bytes() []byte {
	var b bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	field("From", w.from)
	field("To", w.to)
	field("Subject", mime.QEncoding.Encode("utf-8", w.subject))
	field("Date", w.at.Format(time.RFC1123Z))
	field("Message-ID", "<"+w.id+">")
	field("MIME-Version", "1.0")
	typed := false
	for _, h := range w.header {
		b.WriteString(h + "\r\n")
		typed = typed || strings.HasPrefix(h, "Content-Type:")
	}
	if typed {
		b.WriteString("\r\n" + w.body)
		return b.Bytes()
	}
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "base64")
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(w.body))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

// signed returns the mail with its domain's signature.
func signed(t *testing.T, raw []byte) []byte {
	t.Helper()
	return signedBy(t, raw, domain, identities().dkim)
}

func signedBy(t *testing.T, raw []byte, domain string, key crypto.Signer) []byte {
	t.Helper()
	var b bytes.Buffer
	err := dkim.Sign(&b, bytes.NewReader(raw), &dkim.SignOptions{
		Domain: domain, Selector: "k1", Signer: key, HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// root is the mail that a conversation began with.
func root(conversation int) string { return fmt.Sprintf("thread-%d@example.org", conversation) }

// mail makes what a person writes.
func (f *far) mail(m chattest.Message) written {
	word, rest, _ := strings.Cut(m.Text, " ")
	w := written{
		from: people[m.Person], to: inboxAddress, at: f.clock(),
		id:     fmt.Sprintf("m-%d@example.org", mails.Add(1)),
		header: []string{"References: <" + root(m.Conversation) + ">"},
	}
	switch {
	case m.Way == "plus":
		w.to, w.body = "inbox+"+word+"@example.com", rest
	case m.Way == "subject" && !strings.Contains(rest, "\t"): // nor has any subject
		w.subject, w.body = m.Text, "Thank you!\n-- \nAda"
	default:
		w.subject, w.body = word, rest
	}
	return w
}

// Say implements chattest.Far.
func (f *far) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	raw := signed(t, f.mail(m).bytes())
	f.mu.Lock()
	f.last[m.Way] = raw
	f.mu.Unlock()
	return f.deliver(raw)
}

// Again implements chattest.Redelivers: the same mail comes twice.
func (f *far) Again(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	f.mu.Lock()
	raw := f.last[m.Way]
	f.mu.Unlock()
	return f.deliver(raw)
}

// handledWithin is how long to wait for a mail to be handled. Nothing is judged
// by it.
const handledWithin = 15 * time.Second

// deliver puts a mail into the mailbox and waits until it is handled, or was not
// taken.
func (f *far) deliver(raw []byte) chattest.Receipt {
	select { // of an earlier mail
	case <-f.failed:
	default:
	}
	uid := f.imap.append("INBOX", raw)
	return chattest.Receipt{Taken: f.imap.handled("INBOX", uid, f.failed, handledWithin)}
}

// Expect implements chattest.Far.
func (f *far) Expect(m chattest.Message) chat.Inbound {
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, User: people[m.Person]},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: inboxAddress},
		Text:         m.Text, Direct: true, Addressed: true,
	}
}

// Shown implements chattest.Far.
func (f *far) Shown(t *testing.T) []chattest.Shown {
	t.Helper()
	var all []chattest.Shown
	for _, r := range f.smtp.received() {
		m := read(t, r.body)
		s := chattest.Shown{Conversation: -1, Text: m.text, Files: m.files}
		first, _, _ := strings.Cut(m.Header.Get("References"), " ")
		_, _ = fmt.Sscanf(strings.Trim(first, "<>"), "thread-%d@", &s.Conversation)
		all = append(all, s)
	}
	return all
}

// reading is a mail as a mail program shows it.
type reading struct {
	*mail.Message
	text, html string
	files      []chat.File
}

func read(t *testing.T, raw []byte) reading {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("a reply cannot be read: %v\n%s", err, raw)
	}
	r := reading{Message: m}
	r.part(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), "", m.Body)
	return r
}

func (r *reading) part(t *testing.T, typ, encoding, disposition string, body io.Reader) {
	t.Helper()
	media, params, err := mime.ParseMediaType(typ)
	if err != nil {
		t.Fatalf("the type %q: %v", typ, err)
	}
	if strings.HasPrefix(media, "multipart/") {
		for parts := multipart.NewReader(body, params["boundary"]); ; {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.part(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-Disposition"), p)
		}
	}
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	all, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(all), "\r\n", "\n")
	switch _, named, _ := mime.ParseMediaType(disposition); {
	case named["filename"] != "":
		r.files = append(r.files, chat.File{Name: named["filename"], Text: string(all)})
	case media == "text/html":
		r.html = text
	default:
		r.text = text
	}
}

// mailOf is a mail as the mailbox hands it over.
func mailOf(raw []byte) mailbox.Mail {
	return mailbox.Mail{Raw: raw, Folder: "INBOX", UID: 1, Validity: 1, Received: time.Now()}
}

func parsed(t *testing.T, raw []byte) *message.Message {
	t.Helper()
	m, err := message.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// identity is who sent a mail.
func (d *desk) identity(raw []byte) identity.Identity {
	d.t.Helper()
	who, err := d.adapter.verifier.Verify(d.t.Context(), raw, parsed(d.t, raw))
	if err != nil {
		d.t.Fatal(err)
	}
	return who
}
