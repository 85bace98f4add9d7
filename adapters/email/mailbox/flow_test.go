package mailbox

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
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
