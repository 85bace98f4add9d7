package email

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// imapFar is a mail server in memory, with one mailbox of one user. It speaks
// as much IMAP as the adapter does.
type imapFar struct {
	addr string

	mu      sync.Mutex
	locked  bool
	away    bool   // it ends connections before it speaks TLS
	token   string // that OAUTHBEARER takes
	folders map[string][]*stored
	changed chan struct{} // closed at each change
	uid     int
	conns   map[net.Conn]bool
}

type stored struct {
	uid   int
	at    time.Time
	flags []string
	body  []byte
}

// startIMAP starts a server that speaks TLS from the first byte.
func startIMAP(t *testing.T, config *tls.Config) *imapFar {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	f := &imapFar{
		addr: l.Addr().String(), folders: map[string][]*stored{"INBOX": nil},
		changed: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns[c] = true
			f.mu.Unlock()
			all.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.breakAll()
		all.Wait()
	})
	return f
}

// change runs what, and tells who waits.
func (f *imapFar) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	close(f.changed)
	f.changed = make(chan struct{})
}

// append adds a mail to a folder, and returns its UID.
func (f *imapFar) append(name string, body []byte) (uid int) {
	f.change(func() {
		f.uid++
		uid = f.uid
		f.folders[name] = append(f.folders[name], &stored{uid: uid, at: time.Now(), body: body})
	})
	return uid
}

// handled waits until the mail has a flag or has left its folder, and reports
// whether it has; it ends when failed says so, or patience does.
func (f *imapFar) handled(name string, uid int, failed <-chan struct{}, patience time.Duration) bool {
	late := time.After(patience)
	for {
		f.mu.Lock()
		m, changed := f.find(name, uid), f.changed
		done := m == nil || slices.Contains(m.flags, defaults().DoneFlag)
		f.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-changed:
		case <-failed:
			return false
		case <-late:
			return false
		}
	}
}

// find is called with f.mu held.
func (f *imapFar) find(name string, uid int) *stored {
	for _, m := range f.folders[name] {
		if m.uid == uid {
			return m
		}
	}
	return nil
}

func (f *imapFar) lock(locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

// breakAll breaks every connection.
func (f *imapFar) breakAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
		delete(f.conns, c)
	}
}

// imapConn is one connection.
type imapConn struct {
	*imapFar
	net.Conn
	r      *bufio.Reader
	folder string
	told   int // how many mails the client knows of
}

func (f *imapFar) serve(conn net.Conn) {
	c := &imapConn{imapFar: f, Conn: conn, r: bufio.NewReader(conn)}
	defer func() { _ = conn.Close() }()
	f.mu.Lock()
	away := f.away
	f.mu.Unlock()
	if away {
		_ = conn.(*tls.Conn).NetConn().Close()
		return
	}
	c.say("* OK ready")
	for {
		line, err := c.line()
		if err != nil {
			return
		}
		tag, command, _ := strings.Cut(line, " ")
		answer := c.do(command)
		c.say("%s %s", tag, answer)
		if strings.EqualFold(command, "LOGOUT") {
			return
		}
	}
}

func (c *imapConn) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.Conn, format+"\r\n", args...)
}

func (c *imapConn) line() (string, error) {
	line, err := c.r.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

var (
	fetching = regexp.MustCompile(`^UID FETCH (\d+) .*BODY\.PEEK\[\]<(\d+)\.(\d+)>`)
	storing  = regexp.MustCompile(`^UID STORE (\d+) \+FLAGS\.SILENT \(?([^)]+)\)?`)
	moving   = regexp.MustCompile(`^UID (MOVE|COPY) (\d+) "?([^"]+)"?`)
)

// do carries out a command and returns how it ended.
func (c *imapConn) do(command string) string {
	word, rest, _ := strings.Cut(command, " ")
	switch strings.ToUpper(word) {
	case "CAPABILITY":
		mech := "AUTH=PLAIN"
		if c.token != "" {
			mech = "AUTH=XOAUTH2"
		}
		c.say("* CAPABILITY IMAP4rev1 SASL-IR IDLE MOVE %s", mech)
		return "OK done"
	case "AUTHENTICATE":
		return c.authenticate(rest)
	case "SELECT":
		return c.open(strings.Trim(rest, `"`))
	case "CREATE":
		c.change(func() { c.folders[strings.Trim(rest, `"`)] = nil })
		return "OK created"
	case "IDLE":
		return c.idle()
	case "LOGOUT":
		c.say("* BYE")
		return "OK bye"
	case "UID":
		return c.uidCommand(command)
	}
	return "BAD what?"
}

func (c *imapConn) authenticate(rest string) string {
	_, given, _ := strings.Cut(rest, " ")
	secret, _ := base64.StdEncoding.DecodeString(given)
	c.mu.Lock()
	defer c.mu.Unlock()
	want := "\x00" + imapUser + "\x00" + imapPassword
	if c.token != "" {
		want = "user=" + imapUser + "\x01auth=Bearer " + c.token + "\x01\x01"
	}
	if c.locked || string(secret) != want {
		return "NO [AUTHENTICATIONFAILED] no"
	}
	return "OK in"
}

func (c *imapConn) open(name string) string {
	c.mu.Lock()
	mail, ok := c.folders[name]
	c.mu.Unlock()
	if !ok {
		return "NO no such folder"
	}
	c.folder, c.told = name, len(mail)
	c.say(`* FLAGS (\Seen)`)
	c.say(`* OK [PERMANENTFLAGS (\Seen \*)] flags`)
	c.say("* %d EXISTS", len(mail))
	c.say("* OK [UIDVALIDITY 1] valid")
	return "OK [READ-WRITE] open"
}

func (c *imapConn) uidCommand(command string) string {
	if strings.HasPrefix(command, "UID SEARCH ") {
		var ids []string
		c.mu.Lock()
		for _, m := range c.folders[c.folder] {
			if !slices.Contains(m.flags, defaults().DoneFlag) {
				ids = append(ids, strconv.Itoa(m.uid))
			}
		}
		c.mu.Unlock()
		c.say("* SEARCH %s", strings.Join(ids, " "))
		return "OK found"
	}
	if m := fetching.FindStringSubmatch(command); m != nil {
		return c.fetch(number(m[1]), number(m[2]), number(m[3]))
	}
	if m := storing.FindStringSubmatch(command); m != nil {
		c.change(func() {
			if one := c.find(c.folder, number(m[1])); one != nil {
				one.flags = append(one.flags, m[2])
			}
		})
		return "OK stored"
	}
	if m := moving.FindStringSubmatch(command); m != nil {
		return c.move(number(m[2]), m[3], m[1] == "MOVE")
	}
	return "BAD what?"
}

func (c *imapConn) fetch(uid, from, most int) string {
	c.mu.Lock()
	m := c.find(c.folder, uid)
	seq := slices.Index(c.folders[c.folder], m) + 1
	c.mu.Unlock()
	if m == nil {
		return "OK nothing"
	}
	from = min(from, len(m.body))
	part := m.body[from:min(from+most, len(m.body))]
	c.say("* %d FETCH (UID %d RFC822.SIZE %d INTERNALDATE %q BODY[]<%d> {%d}\r\n%s)",
		seq, uid, len(m.body), m.at.Format("02-Jan-2006 15:04:05 -0700"), from, len(part), part)
	return "OK fetched"
}

func (c *imapConn) move(uid int, to string, away bool) string {
	answer := "NO [TRYCREATE] no such folder"
	c.change(func() {
		m := c.find(c.folder, uid)
		if _, ok := c.folders[to]; !ok || m == nil {
			return
		}
		c.uid++
		c.folders[to] = append(c.folders[to], &stored{uid: c.uid, at: m.at, body: m.body})
		if away {
			c.say("* %d EXPUNGE", slices.Index(c.folders[c.folder], m)+1)
			c.told--
			c.folders[c.folder] = slices.DeleteFunc(c.folders[c.folder], func(other *stored) bool { return other == m })
		}
		answer = "OK moved"
	})
	return answer
}

// idle tells of new mail until the client says DONE.
func (c *imapConn) idle() string {
	c.say("+ idling")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = c.line()
	}()
	for {
		c.mu.Lock()
		n, changed := len(c.folders[c.folder]), c.changed
		c.mu.Unlock()
		if n != c.told {
			c.told = n
			c.say("* %d EXISTS", n)
		}
		select {
		case <-changed:
		case <-done:
			return "OK woken"
		}
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// portOf is the port of an address.
func portOf(t *testing.T, addr string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}
