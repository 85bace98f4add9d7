//go:build unix

package mail

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

const (
	ada, eve, inbox = "ada@example.org", "eve@example.org", "inbox@example.com"
	domain          = "example.org" // of the people
	selector        = "k1"
)

// keys are those that the domain signs with, and a DNS that tells of them.
type keys struct {
	private ed25519.PrivateKey
	dns     string // its address
}

// newKeys starts a DNS.
func newKeys(t *testing.T) keys {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	programs.Must(t, err)
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	programs.Must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		answer(c, map[string]string{
			selector + "._domainkey." + domain + ".": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
			"_dmarc." + domain + ".":                 "v=DMARC1; p=reject",
		})
	}()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return keys{private, c.LocalAddr().String()}
}

// answer answers questions for texts until c is closed.
func answer(c net.PacketConn, texts map[string]string) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
			continue
		}
		a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: q.Questions}
		name := strings.ToLower(q.Questions[0].Name.String())
		if text, ok := texts[name]; ok && q.Questions[0].Type == dnsmessage.TypeTXT {
			a.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET, TTL: 60},
				Body:   &dnsmessage.TXTResource{TXT: []string{text}},
			}}
		} else if !ok {
			a.RCode = dnsmessage.RCodeNameError
		}
		if packed, err := a.Pack(); err == nil {
			_, _ = c.WriteTo(packed, from)
		}
	}
}

// letter is a mail that somebody writes.
type letter struct {
	id, subject, body string
	header            []string
}

// raw returns it as Ada's, not signed.
func (l letter) raw() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: Ada <%s>\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s>\r\n", ada, inbox, l.subject, time.Now().Format(time.RFC1123Z), l.id)
	for _, h := range l.header {
		b.WriteString(h + "\r\n")
	}
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", l.body)
	return b.Bytes()
}

// sign signs a mail as its domain does.
func (k keys) sign(t *testing.T, raw []byte) []byte {
	t.Helper()
	return signed(t, raw, k.private)
}

func signed(t *testing.T, raw []byte, key crypto.Signer) []byte {
	t.Helper()
	var b bytes.Buffer
	programs.Must(t, dkim.Sign(&b, bytes.NewReader(raw), &dkim.SignOptions{
		Domain: domain, Selector: selector, Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"},
	}))
	return b.Bytes()
}

// arrived returns the mails in a Maildir's INBOX.
func arrived(t *testing.T, dir string) (all []*mail.Message) {
	t.Helper()
	for _, sub := range []string{"new", "cur"} {
		names, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, name := range names {
			raw, err := os.ReadFile(filepath.Join(dir, sub, name.Name()))
			if os.IsNotExist(err) { // moved from new to cur
				continue
			}
			programs.Must(t, err)
			m, err := mail.ReadMessage(bytes.NewReader(raw))
			programs.Must(t, err)
			all = append(all, m)
		}
	}
	return all
}

// bare is a Message-ID without angle brackets.
func bare(id string) string { return strings.Trim(id, "<> ") }
