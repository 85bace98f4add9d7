package mailbox

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		change     func(*Config)
	}{
		{"as it should be", "", func(*Config) {}},
		{"no host", "host:", func(c *Config) { c.Host = "" }},
		{"no user", "username:", func(c *Config) { c.Username = "" }},
		{"a user of two lines", "username:", func(c *Config) { c.Username = "a\r\nb" }},
		{"no password", "password:", func(c *Config) { c.Password = "" }},
		{"a password of two lines", "password:", func(c *Config) { c.Password = "secret\r\nword" }},
		{"no TLS", "tls:", func(c *Config) { c.Security = "none" }},
		{"a port that is none", "port:", func(c *Config) { c.Port = 70_000 }},
		{"a flag of two words", "keyword:", func(c *Config) { c.Keyword = "a b" }},
		{"a flag that ends the command", "keyword:", func(c *Config) { c.Keyword = "a)\r\nb DELETE INBOX" }},
		{"a flag of the server's own", "keyword:", func(c *Config) { c.Keyword = `\Deleted` }},
		{"a folder of two lines", "folders:", func(c *Config) { c.Folders = []string{"a\r\nb"} }},
		{"all folders", "folders:", func(c *Config) { c.Folders = []string{"*"} }},
		{"a folder twice", "folders:", func(c *Config) { c.Folders = []string{"INBOX", "inbox"} }},
		{"moved to where it is read", "done_folder:", func(c *Config) { c.DoneFolder = "Inbox" }},
		{"aside to where it is read", "aside_folder:", func(c *Config) { c.Folders, c.AsideFolder = []string{"a"}, "a" }},
		{"no such file", "ca_file:", func(c *Config) { c.CAFile = "/nowhere" }},
		{"nobody takes it", "nobody", func(c *Config) { c.Handle = nil }},
		{"a negative size", "negative", func(c *Config) { c.MaxSize = -1 }},
	}
	for _, tt := range tests {
		c := Config{Host: "imap.example.com", Username: user, Password: "secret word", Handle: newTaker().take}
		tt.change(&c)
		_, err := New(c)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: it tells the password: %v", tt.name, err)
		}
	}
}

// TestMarks shows how mail is marked on servers of several kinds, and that
// nothing is ever deleted.
func TestMarks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, flags, caps, done string
		want                    string // the flag, or what Run says
		folder                  string
	}{
		{"any flag", `\Seen \*`, "IDLE MOVE", "", "$SkadiDone", ""},
		{"that flag", `\Seen $skadidone`, "IDLE MOVE", "", "$SkadiDone", ""},
		{"no flags of one's own", `\Seen \Flagged \Deleted`, "IDLE MOVE", "", `\Flagged`, ""},
		{"no flags at all", "", "IDLE MOVE", "", "keeps no flags", ""},
		{"moved", `\*`, "IDLE MOVE", "Done", "", "Done"},
		{"moved by a server that cannot", `\*`, "IDLE", "Done", "$SkadiDone", "Done"},
		{"polled", `\*`, "", "", "$SkadiDone", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			f.flags, f.caps = tt.flags, "IMAP4rev1 AUTH=PLAIN "+tt.caps
			c := f.config(k)
			c.DoneFolder = tt.done
			b := open(t, c)
			if strings.Contains(tt.want, " ") {
				if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatal(err)
				}
				return
			}
			end := start(t, b)
			f.add(letter("one"))
			k.upTo(t, "one")
			f.add(letter("two"))
			k.upTo(t, "two")
			end()
			if got := f.flagsOf(1); strings.Join(got, " ") != tt.want {
				t.Errorf("flags %v, want %s", got, tt.want)
			}
			if tt.folder != "" && !slices.Equal(f.folders[tt.folder], []string{"one", "two"}) {
				t.Errorf("folders %v", f.folders)
			}
			if got := k.taken(); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("took %v", got)
			}
			for _, line := range f.logged("") {
				if strings.Contains(line, "EXPUNGE") || strings.Contains(strings.ToUpper(line), `STORE`) && strings.Contains(strings.ToUpper(line), `\DELETED`) || strings.HasPrefix(line, "CLOSE") {
					t.Errorf("it deletes: %s", line)
				}
			}
		})
	}
}

// TestAsideIsMade makes the folder that the server says is missing, and marks
// in place where it may not be made.
func TestAsideIsMade(t *testing.T) {
	t.Parallel()
	for _, mayBeMade := range []bool{true, false} {
		f, k := newFake(t), newTaker()
		k.set("broken", Aside(errors.New("broken")))
		var made atomic.Bool
		f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
			switch {
			case name == "UID MOVE" && !made.Load():
				c.send(tag + " NO [TRYCREATE] no such folder")
			case name == "CREATE" && !mayBeMade:
				c.send(tag + " NO permission denied")
			case name == "CREATE":
				made.Store(true)
				return false
			default:
				return false
			}
			return true
		}
		end := start(t, open(t, f.config(k)))
		f.add(letter("broken"))
		f.add(letter("one"))
		k.upTo(t, "one")
		end()
		if got := len(f.folders["Skadi-Unreadable"]); (got == 1) != mayBeMade {
			t.Errorf("%v", f.folders)
		}
		if got := f.flagsOf(1); (len(got) == 1) == mayBeMade {
			t.Errorf("flags %v", got)
		}
	}
}

// TestOneMailStopsNoOther has a mail that cannot be fetched, one that ends the
// connection, one that cannot be marked, and one at which the taker panics.
func TestOneMailStopsNoOther(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	for _, subject := range []string{"refused", "fatal", "unmarked", "panic", "one"} {
		f.add(letter(subject))
	}
	f.hook = func(c *fakeConn, tag, name string, args []string) bool {
		switch {
		case name == "UID FETCH" && args[0] == "1":
			c.send(tag + " NO [SERVERBUG] cannot be read")
			return true
		case name == "UID FETCH" && args[0] == "2":
			_ = c.Close()
			return true
		case name == "UID STORE" && args[0] == "3":
			c.send(tag + " NO over quota")
			return true
		}
		return false
	}
	c := f.config(k)
	c.Handle = func(ctx context.Context, m Mail) error {
		if subjectOf(m.Raw) == "panic" {
			panic("at this mail")
		}
		return k.take(ctx, m)
	}
	start(t, open(t, c))
	k.upTo(t, "one")
	f.add(letter("two"))
	k.upTo(t, "two")
}

// TestServerThatDoesNotAnswer ends a connection that hangs, wherever.
func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for _, silent := range []string{"CAPABILITY", "AUTHENTICATE", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE", "IDLE"} {
		t.Run(silent, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			f.hook = func(c *fakeConn, _, name string, _ []string) bool {
				if name != silent || c.n > 1 {
					return false
				}
				_, _ = io.Copy(io.Discard, c.r) // until the far side gives up
				return true
			}
			b := open(t, f.config(k))
			b.times.command, b.times.idle = 100*time.Millisecond, 50*time.Millisecond
			start(t, b)
			f.add(letter("one"))
			k.upTo(t, "one")
			f.add(letter("two"))
			k.upTo(t, "two")
		})
	}
}

func TestIdleBeginsAnew(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	again := make(chan struct{})
	var n atomic.Int32
	f.hook = func(_ *fakeConn, _, name string, _ []string) bool {
		if name == "IDLE" && n.Add(1) == 4 {
			close(again)
		}
		return false
	}
	b := open(t, f.config(k))
	b.times.idle = 5 * time.Millisecond
	start(t, b)
	<-again
	f.add(letter("one"))
	k.upTo(t, "one")
	if got := open(t, f.config(k)).times.idle; got != 9*time.Minute {
		t.Errorf("by itself it begins anew each %s", got)
	}
}

func TestServerThatDoesNotIdleAfterAll(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
		if name == "IDLE" {
			c.send(tag + " NO not today")
		}
		return name == "IDLE"
	}
	start(t, open(t, f.config(k)))
	f.add(letter("one"))
	k.upTo(t, "one")
	f.add(letter("two"))
	k.upTo(t, "two")
}

// TestNoPlainText sees that nothing is told to a server that does not turn to
// TLS, and that nothing is believed that was said before.
func TestNoPlainText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		change     func(*fake)
	}{
		{"it refuses", "does not turn to TLS", func(f *fake) {
			f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
				if name == "STARTTLS" {
					c.send(tag + " NO not here")
				}
				return name == "STARTTLS"
			}
		}},
		{"it needs no login", "", func(f *fake) { f.greeting = "* PREAUTH welcome" }},
		{"it has put in more", "", func(f *fake) {
			f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
				if name == "STARTTLS" {
					c.send(tag+" OK go ahead", "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "x OK")
					c.secure()
				}
				return name == "STARTTLS"
			}
		}},
		{"it speaks something else", "", func(f *fake) { f.greeting = "220 mx ESMTP" }},
		{"it is going", "", func(f *fake) { f.greeting = "* BYE busy" }},
		{"it has another certificate", "not trusted", func(f *fake) {
			other := newFake(f.t)
			f.tls = other.tls
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, starttls := range []bool{true, false} {
				f, k := newFake(t), newTaker()
				f.starttls = starttls
				tt.change(f)
				if !starttls && f.hook != nil {
					continue
				}
				c := f.config(k)
				if starttls {
					c.Security = StartTLS
				}
				b := open(t, c)
				ctx, cancel := context.WithCancel(t.Context())
				if tt.want == "" {
					// It tries again for ever; one try is enough to see.
					if _, err := b.connect(ctx, false); err == nil {
						t.Error("connected")
					}
				} else if err := b.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				cancel()
				if got := append(f.logged("LOGIN"), f.logged("AUTHENTICATE")...); len(got) > 0 {
					t.Errorf("it was told %v", got)
				}
			}
		})
	}
}

func TestAnotherHost(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	b := open(t, f.config(k))
	b.tls = &tls.Config{RootCAs: b.tls.RootCAs, ServerName: "imap.example.com", MinVersion: tls.VersionTLS12}
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Error(err)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00secret word"))
	tests := []struct{ name, caps, want string }{
		{"plain at once", "AUTH=PLAIN SASL-IR", "AUTHENTICATE PLAIN " + plain},
		{"plain when asked", "auth=plain", "AUTHENTICATE PLAIN"},
		{"login", "AUTH=LOGIN", "AUTHENTICATE LOGIN"},
		{"the command", "", `LOGIN "` + user + `" "secret word"`},
		{"none", "LOGINDISABLED", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			f.caps = "IMAP4rev1 " + tt.caps
			var told []string
			f.hook = func(c *fakeConn, tag, name string, args []string) bool {
				if name != "AUTHENTICATE" || len(args) > 1 {
					return false
				}
				asks := []string{""}
				if args[0] == "LOGIN" {
					asks = []string{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"}
				}
				for _, ask := range asks {
					c.send("+ " + ask)
					line, err := c.r.ReadString('\n')
					if err != nil {
						return true
					}
					f.mu.Lock()
					told = append(told, strings.TrimSpace(line))
					f.mu.Unlock()
				}
				c.send(tag + " OK done")
				return true
			}
			b := open(t, f.config(k))
			s, err := b.connect(t.Context(), false)
			if tt.want == "" {
				if err == nil || strings.Contains(err.Error(), "secret") {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s.close()
			if got := strings.TrimSpace(strings.Join(append(f.logged("LOGIN"), f.logged("AUTHENTICATE")...), ";")); got != tt.want {
				t.Errorf("it was told %q, want %q", got, tt.want)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			switch tt.name {
			case "plain when asked":
				if !slices.Equal(told, []string{plain}) {
					t.Error(told)
				}
			case "login":
				if want := []string{base64.StdEncoding.EncodeToString([]byte(user)), base64.StdEncoding.EncodeToString([]byte("secret word"))}; !slices.Equal(told, want) {
					t.Error(told)
				}
			}
		})
	}
}

// TestTokens lets a token run out, and then all of them.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			f.caps = "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=" + mechanism
			var good atomic.Value
			good.Store("token-2")
			f.hook = func(c *fakeConn, tag, name string, args []string) bool {
				if name != "AUTHENTICATE" {
					return false
				}
				said, _ := base64.StdEncoding.DecodeString(args[1])
				want := "user=" + user + "\x01auth=Bearer " + good.Load().(string) + "\x01\x01"
				if mechanism == "OAUTHBEARER" {
					if _, after, ok := strings.Cut(string(said), "\x01auth="); !ok || !strings.HasPrefix(string(said), "n,a="+user+",\x01host=127.0.0.1\x01port=") {
						t.Errorf("it was told %q", said)
					} else {
						said = []byte("user=" + user + "\x01auth=" + after)
					}
				}
				if args[0] != mechanism || string(said) != want {
					c.send("+ " + base64.StdEncoding.EncodeToString([]byte(`{"status":"400"}`)))
					_, _ = c.r.ReadString('\n')
					c.send(tag + " NO [AUTHENTICATIONFAILED] no")
					return true
				}
				return false
			}
			c := f.config(k)
			c.Password = ""
			var mu sync.Mutex
			var asked []bool
			c.Token = func(_ context.Context, renew bool) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, renew)
				return map[bool]string{false: "token-1", true: "token-2"}[renew], nil
			}
			end := start(t, open(t, c))
			f.add(letter("one"))
			k.upTo(t, "one")
			end()
			if !slices.Equal(asked, []bool{false, true}) {
				t.Errorf("asked %v", asked)
			}

			good.Store("token-3")
			err := open(t, c).Run(t.Context())
			if err == nil || strings.Contains(err.Error(), "token-") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		f, k := newFake(t), newTaker()
		f.caps = "IMAP4rev1 AUTH=XOAUTH2"
		c := f.config(k)
		for _, token := range []string{"", "a\r\nb", "a\x01b"} {
			c.Token = func(context.Context, bool) (string, error) { return token, nil }
			if _, err := open(t, c).connect(t.Context(), false); err == nil || len(f.logged("AUTHENTICATE")) > 0 {
				t.Errorf("%q: %v", token, err)
			}
		}
	})
}

// TestLogin waits where a login may work later, and ends where it will not.
func TestLogin(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
		switch {
		case name != "AUTHENTICATE":
			return false
		case c.n <= 2:
			c.send(tag + " NO [UNAVAILABLE] the directory is down")
		default:
			return false
		}
		return true
	}
	start(t, open(t, f.config(k)))
	f.add(letter("one"))
	k.upTo(t, "one")
}

// leases are those of a database.
type leases struct {
	mu     sync.Mutex
	holder string
	until  time.Time
	down   bool
}

func (l *leases) of(name string) chat.Leaser { return &leaser{l, name} }

type leaser struct {
	*leases
	self string
}

// Acquire implements chat.Leaser.
func (l *leaser) Acquire(ctx context.Context, _ string, ttl time.Duration) (int64, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, false, errors.New("the database is down")
	}
	if l.holder != l.self && time.Now().Before(l.until) {
		return 0, false, nil
	}
	l.holder, l.until = l.self, time.Now().Add(ttl)
	return 1, true, ctx.Err()
}

// Release implements chat.Leaser.
func (l *leaser) Release(context.Context, string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == l.self {
		l.until = time.Time{}
	}
	return nil
}

// TestLease has two nodes read one mailbox: one does, and the other takes over
// when it ends, or when it loses its lease.
func TestLease(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	var l leases
	node := func(name string) (*Mailbox, *taker) {
		own := newTaker()
		c := f.config(k)
		c.Lease = l.of(name)
		c.Handle = func(ctx context.Context, m Mail) error { _ = own.take(ctx, m); return k.take(ctx, m) }
		b := open(t, c)
		b.times.lease = 300 * time.Millisecond
		return b, own
	}
	a, tookA := node("a")
	endA := start(t, a)
	f.add(letter("one"))
	k.upTo(t, "one")
	b, tookB := node("b")
	start(t, b)
	f.add(letter("two"))
	k.upTo(t, "two")
	endA()
	f.add(letter("three"))
	k.upTo(t, "three")
	if got, want := tookA.taken(), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("a took %v", got)
	}
	if got, want := tookB.taken(), []string{"three"}; !slices.Equal(got, want) {
		t.Errorf("b took %v", got)
	}
}

// TestLeaseIsLost ends the context of what is under way.
func TestLeaseIsLost(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"another has it", "the database is down"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			var l leases
			c := f.config(k)
			c.Lease = l.of("a")
			began, ended := make(chan struct{}, 1), make(chan struct{}, 1)
			c.Handle = func(ctx context.Context, m Mail) error {
				if subjectOf(m.Raw) == "first" && len(k.taken()) == 0 {
					began <- struct{}{}
					<-ctx.Done()
					ended <- struct{}{}
					_ = k.take(ctx, m)
					return ctx.Err()
				}
				return k.take(ctx, m)
			}
			b := open(t, c)
			b.times.lease = 200 * time.Millisecond
			start(t, b)
			f.add(letter("first"))
			<-began
			l.mu.Lock()
			if how == "another has it" {
				l.holder, l.until = "b", time.Now().Add(time.Second)
			} else {
				l.down = true
			}
			l.mu.Unlock()
			<-ended
			if got := f.flagsOf(1); len(got) > 0 {
				t.Errorf("it is marked: %v", got)
			}
			l.mu.Lock()
			l.down = false
			l.mu.Unlock()
			k.upTo(t, "first")
			k.upTo(t, "first")
		})
	}
}
