package mailbox

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an IMAP server that does what tests want it to, line by line.
type fake struct {
	t        *testing.T
	caFile   string
	tls      *tls.Config
	listener net.Listener
	wg       sync.WaitGroup
	begin    sync.Once

	// hook may answer a line itself, and then returns true. It is called with
	// the words of the line.
	hook func(c *fakeConn, tag, name string, args []string) bool

	mu       sync.Mutex
	starttls bool
	greeting string
	caps     string
	flags    string // permanent
	mails    []*fakeMail
	folders  map[string][]string // subjects of what was moved or copied
	commands []string
	conns    map[net.Conn]bool
	changed  chan struct{}
	validity int
}

type fakeMail struct {
	uid   int
	raw   []byte
	flags []string
	gone  bool
}

type fakeConn struct {
	net.Conn
	f *fake
	r *bufio.Reader
	n int // of the connection, from 1 on
	// known is how much mail the far side was told of.
	known int
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{
		t: t, greeting: "* OK ready", caps: "IMAP4rev1 AUTH=PLAIN SASL-IR IDLE MOVE", flags: `\Seen \Flagged \*`,
		folders: map[string][]string{}, conns: map[net.Conn]bool{}, changed: make(chan struct{}), validity: 1,
	}
	f.certificate()
	var err error
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.listener.Close()
		f.drop()
		f.wg.Wait()
	})
	return f
}

// accept takes connections.
func (f *fake) accept() {
	f.wg.Go(func() {
		for n := 1; ; n++ {
			c, err := f.listener.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns[c] = true
			f.mu.Unlock()
			f.wg.Go(func() { defer c.Close(); f.serve(c, n) })
		}
	})
}

// drop ends all connections.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
		delete(f.conns, c)
	}
}

func (f *fake) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.t.Fatal(err)
	}
	f.caFile = filepath.Join(f.t.TempDir(), "ca.pem")
	if err := os.WriteFile(f.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// config is for a mailbox on this server, which must be as the test wants it by
// now.
func (f *fake) config(k *taker) Config {
	f.begin.Do(f.accept)
	_, port, err := net.SplitHostPort(f.listener.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		f.t.Fatal(err)
	}
	return Config{
		Host: "127.0.0.1", Port: n, CAFile: f.caFile, Username: user, Password: "secret word",
		Poll: 10 * time.Millisecond, Handle: k.take, Logger: slog.New(slog.NewTextHandler(f.t.Output(), nil)),
	}
}

// add puts a mail into the folder and wakes who waits.
func (f *fake) add(raw []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mails = append(f.mails, &fakeMail{uid: len(f.mails) + 1, raw: raw})
	f.change()
}

func (f *fake) change() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// logged returns the commands that came, by name.
func (f *fake) logged(name string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []string
	for _, line := range f.commands {
		if strings.HasPrefix(strings.ToUpper(line), name) {
			found = append(found, line)
		}
	}
	return found
}

// flagsOf returns those of the mail with that UID.
func (f *fake) flagsOf(uid int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.mails[uid-1].flags)
}

func (c *fakeConn) send(lines ...string) {
	_, _ = io.WriteString(c.Conn, strings.Join(lines, "\r\n")+"\r\n")
}

func (f *fake) serve(raw net.Conn, n int) {
	c := &fakeConn{Conn: raw, f: f, r: bufio.NewReader(raw), n: n}
	if f.starttls {
		c.send(f.greeting)
	} else {
		c.secure()
		c.send(f.greeting)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return
		}
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		tag, name, args := words[0], strings.ToUpper(words[1]), words[2:]
		if name == "UID" {
			name, args = "UID "+strings.ToUpper(words[2]), words[3:]
		}
		f.mu.Lock()
		f.commands = append(f.commands, name+" "+strings.Join(args, " "))
		f.mu.Unlock()
		if f.hook != nil && f.hook(c, tag, name, args) {
			continue
		}
		if !f.answer(c, tag, name, args) {
			return
		}
	}
}

func (c *fakeConn) secure() {
	conn := tls.Server(c.Conn, c.f.tls)
	c.Conn, c.r = conn, bufio.NewReader(conn)
}

// answer does what a server should.
func (f *fake) answer(c *fakeConn, tag, name string, args []string) bool {
	f.mu.Lock()
	changed, there := f.changed, len(f.mails)
	f.mu.Unlock()
	switch name {
	case "CAPABILITY":
		c.send("* CAPABILITY " + f.caps)
	case "STARTTLS":
		c.send(tag + " OK go ahead")
		c.secure()
		return true
	case "SELECT":
		c.known = there
		f.mu.Lock()
		c.send(fmt.Sprintf("* %d EXISTS", there), `* FLAGS (\Seen)`, "* OK [PERMANENTFLAGS ("+f.flags+")] x", fmt.Sprintf("* OK [UIDVALIDITY %d] x", f.validity))
		f.mu.Unlock()
	case "UID SEARCH":
		c.send("* SEARCH" + f.unmarked(args))
	case "UID FETCH":
		f.fetch(c, args)
	case "UID STORE":
		f.store(args)
	case "UID COPY", "UID MOVE":
		f.move(args, name == "UID MOVE")
	case "IDLE":
		c.send("+ idling")
		if there > c.known {
			c.known = there
			c.send(fmt.Sprintf("* %d EXISTS", there))
		}
		return f.idle(c, tag, changed)
	case "LOGOUT":
		c.send("* BYE", tag+" OK done")
		return false
	case "EXPUNGE", "CLOSE":
		f.t.Errorf("%s", name)
	}
	c.send(tag + " OK done")
	return true
}

func (f *fake) idle(c *fakeConn, tag string, changed <-chan struct{}) bool {
	done := make(chan bool, 1)
	f.wg.Go(func() {
		line, err := c.r.ReadString('\n')
		done <- err == nil && strings.TrimSpace(line) == "DONE"
	})
	select {
	case <-changed:
		f.mu.Lock()
		c.known = len(f.mails)
		f.mu.Unlock()
		c.send(fmt.Sprintf("* %d EXISTS", c.known))
		if !<-done {
			return false
		}
	case ok := <-done:
		if !ok {
			return false
		}
	}
	c.send(tag + " OK done")
	return true
}

// unmarked finds what has none of the flags that the search names.
func (f *fake) unmarked(args []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	without := []string{`\deleted`}
	for i, a := range args {
		switch strings.ToUpper(a) {
		case "UNKEYWORD":
			without = append(without, strings.ToLower(args[i+1]))
		case "UNFLAGGED":
			without = append(without, `\flagged`)
		}
	}
	var b strings.Builder
	for _, m := range f.mails {
		if !m.gone && !slices.ContainsFunc(m.flags, func(has string) bool { return slices.Contains(without, strings.ToLower(has)) }) {
			fmt.Fprintf(&b, " %d", m.uid)
		}
	}
	return b.String()
}

func (f *fake) find(uid string) *fakeMail {
	n, _ := strconv.Atoi(uid)
	if n < 1 || n > len(f.mails) || f.mails[n-1].gone {
		return nil
	}
	return f.mails[n-1]
}

func (f *fake) fetch(c *fakeConn, args []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.find(args[0])
	if m == nil {
		return
	}
	what := strings.Join(args[1:], " ")
	_, partial, _ := strings.Cut(what, "<")
	var from, most int
	_, _ = fmt.Sscanf(partial, "%d.%d", &from, &most)
	piece := m.raw[min(from, len(m.raw)):min(from+most, len(m.raw))]
	fmt.Fprintf(c.Conn, "* %d FETCH (UID %d FLAGS () INTERNALDATE \"29-Nov-2026 16:00:00 +0000\" RFC822.SIZE %d BODY[]<%d> {%d}\r\n%s)\r\n", m.uid, m.uid, len(m.raw), from, len(piece), piece)
}

func (f *fake) store(args []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.find(args[0]); m != nil {
		m.flags = append(m.flags, strings.Fields(strings.Trim(strings.Join(args[2:], " "), "()"))...)
	}
}

func (f *fake) move(args []string, gone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.find(args[0])
	name := strings.Trim(strings.Join(args[1:], " "), `"`)
	f.folders[name] = append(f.folders[name], subjectOf(m.raw))
	m.gone = gone
}
