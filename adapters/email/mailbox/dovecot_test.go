package mailbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/internal/throwaway"
)

const user = "inbox@example.com"

// taker takes mail, and tells tests of it.
type taker struct {
	mu   sync.Mutex
	fail map[string]error // by Subject
	got  []string
	each chan string
}

func newTaker() *taker { return &taker{fail: map[string]error{}, each: make(chan string, 10_000)} }

func (k *taker) take(_ context.Context, m Mail) error {
	subject := subjectOf(m.Raw)
	k.mu.Lock()
	err := k.fail[subject]
	if err == nil {
		k.got = append(k.got, subject)
	}
	k.mu.Unlock()
	k.each <- subject
	return err
}

func subjectOf(raw []byte) string {
	_, after, _ := bytes.Cut(raw, []byte("Subject: "))
	line, _, _ := bytes.Cut(after, []byte("\r\n"))
	return string(line)
}

func (k *taker) set(subject string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail[subject] = err
}

func (k *taker) taken() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.got)
}

// next waits for the next mail that comes, taken or not.
func (k *taker) next(t *testing.T) string {
	t.Helper()
	select {
	case s := <-k.each:
		return s
	case <-time.After(time.Minute):
		t.Fatalf("no mail came; before: %v", k.taken())
		return ""
	}
}

// upTo waits until a mail comes that has this subject.
func (k *taker) upTo(t *testing.T, subject string) {
	t.Helper()
	for got := ""; got != subject; {
		got = k.next(t)
	}
}

func letter(subject string) []byte {
	return []byte("From: alice@example.com\r\nSubject: " + subject + "\r\n\r\ntext\r\n")
}

// quick has less patience.
func quick(b *Mailbox) *Mailbox {
	b.times.retry, b.times.retryMost = 10*time.Millisecond, 50*time.Millisecond
	b.times.command = 20 * time.Second
	return b
}

func dovecotConfig(t *testing.T, d *throwaway.DovecotServer, k *taker) Config {
	t.Helper()
	host, port, err := net.SplitHostPort(d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Host: host, Port: n, CAFile: d.CAFile, Username: user, Password: chat.Secret(d.Password(user)),
		Handle: k.take, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func open(t *testing.T, c Config) *Mailbox {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return quick(b)
}

// start runs b until the test ends or what it returns is called.
func start(t *testing.T, b *Mailbox) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(end)
	return end
}

// flags returns those of all mail in a folder, by subject.
func flags(t *testing.T, d *throwaway.DovecotServer, folder string) map[string][]string {
	t.Helper()
	c := d.Client(t, user)
	status, err := c.Select(folder, true)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	if status.Messages == 0 {
		return all
	}
	set := new(imap.SeqSet)
	set.AddRange(1, status.Messages)
	ch := make(chan *imap.Message, status.Messages)
	section := &imap.BodySectionName{Peek: true}
	if err := c.Fetch(set, []imap.FetchItem{imap.FetchFlags, section.FetchItem()}, ch); err != nil {
		t.Fatal(err)
	}
	for m := range ch {
		var b bytes.Buffer
		if _, err := b.ReadFrom(m.GetBody(section)); err != nil {
			t.Fatal(err)
		}
		all[subjectOf(b.Bytes())] = slices.DeleteFunc(m.Flags, func(f string) bool { return f == imap.RecentFlag })
	}
	return all
}

func TestDovecot(t *testing.T) {
	t.Parallel()
	for _, security := range []Security{Implicit, StartTLS} {
		t.Run(string(security), func(t *testing.T) {
			t.Parallel()
			d, k := throwaway.Dovecot(t, user), newTaker()
			c := dovecotConfig(t, d, k)
			if c.Security = security; security == StartTLS {
				_, port, _ := net.SplitHostPort(d.StartTLS)
				c.Port, _ = strconv.Atoi(port)
			}
			c.MaxSize = 1 << 20
			d.Deliver(t, user, "INBOX", letter("before"))
			k.set("broken", Aside(errors.New("it is not to be read")))
			k.set("later", errors.New("not now"))
			end := start(t, open(t, c))
			k.upTo(t, "before")

			// IDLE wakes for what comes.
			d.Deliver(t, user, "INBOX", letter("idle"))
			k.upTo(t, "idle")
			// What cannot be read goes aside, what fails waits, and neither keeps
			// other mail.
			d.Deliver(t, user, "INBOX", letter("later"))
			d.Deliver(t, user, "INBOX", letter("broken"))
			d.Deliver(t, user, "INBOX", append(letter("large"), make([]byte, 2<<20)...))
			d.Deliver(t, user, "INBOX", append(letter("half"), bytes.Repeat([]byte("0123456789\r\n"), 60_000)...))
			k.upTo(t, "half")
			k.upTo(t, "later")
			k.upTo(t, "later")
			k.set("later", nil)
			k.upTo(t, "later")
			d.Deliver(t, user, "INBOX", letter("end"))
			k.upTo(t, "end")
			end()

			if got, want := k.taken(), []string{"before", "idle", "half", "later", "end"}; !slices.Equal(got, want) {
				t.Errorf("took %v, want %v", got, want)
			}
			inbox := flags(t, d, "INBOX")
			for _, subject := range []string{"before", "idle", "half", "later", "end"} {
				if !slices.Equal(inbox[subject], []string{"$skadidone"}) {
					t.Errorf("%s: %v", subject, inbox[subject])
				}
			}
			if len(inbox) != 5 {
				t.Errorf("in the inbox: %v", inbox)
			}
			if aside := flags(t, d, "Skadi-Unreadable"); len(aside) != 2 || aside["broken"] == nil || aside["large"] == nil {
				t.Errorf("aside: %v", aside)
			}
		})
	}
}

// TestDovecotRestarts kills the server while mail comes in.
func TestDovecotRestarts(t *testing.T) {
	t.Parallel()
	d, k := throwaway.Dovecot(t, user), newTaker()
	start(t, open(t, dovecotConfig(t, d, k)))
	want := map[string]bool{}
	defer func() {
		if t.Failed() {
			t.Logf("missing: %v; there: %v", want, flags(t, d, "INBOX"))
		}
	}()
	for i := range 60 {
		subject := fmt.Sprint("mail ", i)
		want[subject] = true
		d.Deliver(t, user, "INBOX", letter(subject))
		switch i {
		case 10, 30:
			delete(want, k.next(t))
			d.Restart()
		case 50:
			d.Kill()
		}
	}
	d.Start()
	for len(want) > 0 {
		delete(want, k.next(t))
	}
	d.Deliver(t, user, "INBOX", letter("end"))
	k.upTo(t, "end")
}

func TestDovecotFolders(t *testing.T) {
	t.Parallel()
	d, k := throwaway.Dovecot(t, user), newTaker()
	admin := d.Client(t, user)
	for _, name := range []string{"Jobs", "Jøbs & more", "Done"} {
		if err := admin.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	c := dovecotConfig(t, d, k)
	c.Folders = []string{"Inbox", "Jobs", "Jøbs & more"}
	c.DoneFolder = "Done"
	end := start(t, open(t, c))
	for i, name := range c.Folders {
		subject := fmt.Sprint("in ", i)
		if err := admin.Append(name, nil, time.Now(), bytes.NewReader(letter(subject))); err != nil {
			t.Fatal(err)
		}
		k.upTo(t, subject)
	}
	end()
	if done := flags(t, d, "Done"); len(done) != 3 {
		t.Errorf("done: %v", done)
	}
	for _, name := range c.Folders {
		if left := flags(t, d, name); len(left) != 0 {
			t.Errorf("%s: %v", name, left)
		}
	}
}

// TestDovecotMakesTheFolderAnew gives the folder another UIDVALIDITY, after
// which its UIDs begin anew.
func TestDovecotMakesTheFolderAnew(t *testing.T) {
	t.Parallel()
	d, k := throwaway.Dovecot(t, user), newTaker()
	admin := d.Client(t, user)
	create := func() uint32 {
		t.Helper()
		if err := admin.Create("Jobs"); err != nil {
			t.Fatal(err)
		}
		status, err := admin.Status("Jobs", []imap.StatusItem{imap.StatusUidValidity})
		if err != nil {
			t.Fatal(err)
		}
		return status.UidValidity
	}
	add := func(subject string) {
		t.Helper()
		if err := admin.Append("Jobs", nil, time.Now(), bytes.NewReader(letter(subject))); err != nil {
			t.Fatal(err)
		}
	}
	before := create()
	c := dovecotConfig(t, d, k)
	c.Folders = []string{"Jobs"}
	k.set("one", errors.New("not now")) // it waits under a UID that the next has, too
	end := start(t, open(t, c))
	add("one")
	k.upTo(t, "one")
	end()
	if err := admin.Delete("Jobs"); err != nil {
		t.Fatal(err)
	}
	if after := create(); after == before {
		t.Fatalf("UIDVALIDITY is %d as before", after)
	}
	b := open(t, c)
	b.times.idle = 200 * time.Millisecond
	start(t, b)
	add("two")
	k.upTo(t, "two")
	// And under way, which shows when IDLE begins anew.
	if err := admin.Delete("Jobs"); err != nil {
		t.Fatal(err)
	}
	create()
	add("three")
	k.upTo(t, "three")
	if got := strings.Join(k.taken(), " "); got != "two three" {
		t.Errorf("took %s", got)
	}
}

func TestDovecotRefuses(t *testing.T) {
	t.Parallel()
	d, k := throwaway.Dovecot(t, user), newTaker()
	tests := []struct {
		name, want string
		change     func(*Config)
	}{
		{"another password", "the login failed: the server says no", func(c *Config) { c.Password = "wrong" }},
		{"no such folder", `folder "Nowhere"`, func(c *Config) { c.Folders = []string{"Nowhere"} }},
		{"a certificate of nobody", "is not trusted", func(c *Config) { c.CAFile = "" }},
		{"OAuth that it does not know", "neither OAUTHBEARER nor XOAUTH2", func(c *Config) {
			c.Token = func(context.Context, bool) (string, error) { return "token", nil }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dovecotConfig(t, d, k)
			tt.change(&c)
			err := open(t, c).Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), d.Password(user)) {
				t.Error("it tells the password")
			}
		})
	}
}
