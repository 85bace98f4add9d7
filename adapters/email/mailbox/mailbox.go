// Package mailbox reads mail over IMAP: each mail in some folders is handed to
// a function once it is there, and marked once that has taken it. Nothing is
// ever expunged.
package mailbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

// Security is how a connection is encrypted. There is none without.
type Security string

// The ways.
const (
	// Implicit speaks TLS from the first byte on, mostly on port 993.
	Implicit Security = "implicit"
	// StartTLS asks the server to turn to TLS, mostly on port 143.
	StartTLS Security = "starttls"
)

// Config is a mailbox and what to do with its mail.
type Config struct {
	Host string
	// Port is 993 with Implicit and 143 with StartTLS, if it is 0.
	Port int
	// Security is Implicit if it is empty.
	Security Security
	// CAFile has the certificates to trust instead of the system's, in PEM.
	CAFile string

	Username string
	// Password is for AUTHENTICATE PLAIN or LOGIN.
	Password chat.Secret
	// Token returns an access token for OAUTHBEARER or XOAUTH2, whichever the
	// server takes; it is used instead of Password when it is set. It is called
	// once for each connection, with renew set after the server refused the last
	// one.
	Token func(ctx context.Context, renew bool) (string, error)

	// Folders are what is read; none: INBOX.
	Folders []string
	// Keyword is the flag that marks a mail that was handled; empty: $SkadiDone.
	// Where the server keeps no such flags, \Flagged does, and mail must then not
	// be flagged by hand.
	Keyword string
	// DoneFolder is where a mail goes that was handled, instead of being marked.
	DoneFolder string
	// AsideFolder is where mail goes that cannot be read; empty: Skadi-Unreadable.
	// It is made when it is missing.
	AsideFolder string
	// MaxSize is the size of the largest mail that is read; 0: 25 MiB. Larger
	// ones go aside.
	MaxSize int64
	// Since is how old mail may be that is read, as the server got it; 0: 8 days.
	// What lay in the mailbox before is not touched.
	Since time.Duration
	// Poll is how often to look where the server cannot wake; 0: 30 s.
	Poll time.Duration

	// Lease makes one node of many read at a time.
	Lease chat.Leaser
	// LeaseName is the lease's; empty: mailbox.
	LeaseName string

	// Handle takes a mail. It is called for one mail at a time, and again for the
	// same one if the mark was not written: it must be able to tell. Its context
	// ends when the lease is lost. After nil the mail is marked; after an
	// [Aside] error it goes aside; after any other it stays as it is and is tried
	// again later, while other mail goes on.
	Handle func(ctx context.Context, m Mail) error
	Logger *slog.Logger
	// Report, if set, is told how reading goes, as [chat.Env.Report] is.
	Report func(err error)
	// Guard, if set, calls f in each goroutine that reads a folder and makes an
	// error of its panic, as [chat.Env.Guard] does.
	Guard func(ctx context.Context, what string, f func() error) error
}

// Mail is one mail of a folder.
type Mail struct {
	Raw    []byte
	Folder string
	// UID names it within Folder as long as Validity stays the same.
	UID, Validity uint32
	// Received is when the server got it.
	Received time.Time
}

// Aside is the error with which Handle says that a mail cannot be read, ever.
// reason is logged.
func Aside(reason error) error { return &asideError{reason} }

type asideError struct{ error }

func (e *asideError) Unwrap() error { return e.error }

// configError is what only the config, or somebody at the far side, can mend.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }

// times are how long things take; tests have less of it.
type times struct {
	// command is how long a command may take.
	command time.Duration
	// idle is how often IDLE begins anew: sooner than servers end it, and routers
	// forget the connection.
	idle time.Duration
	// retry is how soon something that failed is tried again, at first, and
	// retryMost how soon in the end.
	retry, retryMost time.Duration
	// lease is how long the lease holds.
	lease time.Duration
	// unread is how long the lease is kept while no folder is read: longer than
	// a command may take, so that it is known why.
	unread time.Duration
}

// Mailbox reads one mailbox. Run reads.
type Mailbox struct {
	c     Config
	tls   *tls.Config
	times times
	// handling keeps mail of several folders apart.
	handling sync.Mutex
	health   health
}

// atom is what a keyword may be.
var atom = regexp.MustCompile(`^[A-Za-z0-9$_.+-]{1,100}$`)

// New checks c and returns its mailbox, without a connection.
func New(c Config) (*Mailbox, error) {
	switch {
	case c.Host == "":
		return nil, errors.New("host: say which server has the mailbox")
	case c.Port < 0 || c.Port > 65535:
		return nil, fmt.Errorf("port: %d is none", c.Port)
	case c.Username == "" || strings.ContainsAny(c.Username, "\x00\x01\r\n"):
		return nil, errors.New("username: say who logs in, on one line")
	case c.Token == nil && (c.Password == "" || strings.ContainsAny(string(c.Password), "\x00\r\n")):
		return nil, errors.New("password: set one, on one line, or oauth")
	case c.Handle == nil:
		return nil, errors.New("mailbox: nobody takes the mail")
	case c.MaxSize < 0 || c.Poll < 0 || c.Since < 0:
		return nil, errors.New("mailbox: a size or a time is negative")
	}
	switch c.Security {
	case "":
		c.Security = Implicit
	case Implicit, StartTLS:
	default:
		return nil, fmt.Errorf("tls: %q is neither %s nor %s", c.Security, Implicit, StartTLS)
	}
	if c.Port == 0 {
		c.Port = map[Security]int{Implicit: 993, StartTLS: 143}[c.Security]
	}
	c.Keyword = cmp.Or(c.Keyword, "$SkadiDone")
	c.AsideFolder = cmp.Or(c.AsideFolder, "Skadi-Unreadable")
	c.MaxSize = cmp.Or(c.MaxSize, 25<<20)
	c.Poll = cmp.Or(c.Poll, 30*time.Second)
	c.Since = cmp.Or(c.Since, 8*24*time.Hour)
	c.LeaseName = cmp.Or(c.LeaseName, "mailbox")
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Report == nil {
		c.Report = func(error) {}
	}
	if c.Guard == nil {
		c.Guard = func(_ context.Context, _ string, f func() error) error { return f() }
	}
	if !atom.MatchString(c.Keyword) {
		return nil, fmt.Errorf("keyword: %q is no name for a flag; use letters and digits", c.Keyword)
	}
	if err := c.checkFolders(); err != nil {
		return nil, err
	}
	config := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no certificate in it", c.CAFile)
		}
	}
	return &Mailbox{c: c, tls: config, times: times{
		command: time.Minute, idle: 9 * time.Minute, retry: time.Second, retryMost: 2 * time.Minute, lease: 30 * time.Second, unread: 90 * time.Second,
	}}, nil
}

func (c *Config) checkFolders() error {
	if len(c.Folders) == 0 {
		c.Folders = []string{"INBOX"}
	}
	read := map[string]bool{}
	for _, name := range c.Folders {
		if err := checkFolder(name); err != nil {
			return fmt.Errorf("folders: %w", err)
		}
		if read[canonical(name)] {
			return fmt.Errorf("folders: %q stands twice", name)
		}
		read[canonical(name)] = true
	}
	for key, name := range map[string]string{"done_folder": c.DoneFolder, "aside_folder": c.AsideFolder} {
		if name == "" {
			continue
		}
		if err := checkFolder(name); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if read[canonical(name)] {
			return fmt.Errorf("%s: %q is read, too, and its mail would come again", key, name)
		}
	}
	return nil
}

// canonical is a folder's name as servers compare it: INBOX is the only one
// whose letters do not matter.
func canonical(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

func checkFolder(name string) error {
	if name == "" || len(name) > 200 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) || strings.ContainsAny(name, "*%") {
		return fmt.Errorf("%q is no name of a folder", name)
	}
	return nil
}

// Run reads until ctx ends, then it returns nil. What passes by itself, such as
// a server that is down, is tried again and only logged. An error means that
// the account cannot work as configured: the server refuses the login, has no
// such folder, or has a certificate that cannot be trusted.
func (b *Mailbox) Run(ctx context.Context) error {
	b.c.Report(chat.ErrConnecting)
	if b.c.Lease == nil {
		b.health.begin(b.c.Folders)
		return b.read(ctx)
	}
	return b.lead(ctx, b.read)
}

// read reads all folders, each over a connection of its own, since a server
// wakes for one at a time.
func (b *Mailbox) read(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(b.c.Folders))
	for i, name := range b.c.Folders {
		wg.Go(func() {
			f := &folder{b: b, name: name, log: b.c.Logger.With("folder", name)}
			errs[i] = b.c.Guard(ctx, "reading a mailbox", func() error { return f.run(ctx) })
			if errs[i] != nil {
				cancel() // the account does not work as it should
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
