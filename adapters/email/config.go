package email

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/letserverrun/skadi/adapters/email/mailbox"
	"github.com/letserverrun/skadi/core/chat"
)

// Kind is the adapter's name in the config.
const Kind = "email"

// Config is the adapter's block in the config.
type Config struct {
	Address string `yaml:"address" json:"address" jsonschema:"required" doc:"The inbox's address, such as inbox@example.com. Mail to inbox+web-1@example.com is for the agent web-1."`
	IMAP    IMAP   `yaml:"imap" json:"imap" jsonschema:"required" doc:"Where mail is read."`
	SMTP    SMTP   `yaml:"smtp" json:"smtp" jsonschema:"required" doc:"Where replies are handed in."`

	Folders     []string      `yaml:"folders,omitempty" json:"folders,omitempty" doc:"The folders to read; INBOX if left out."`
	DoneFlag    string        `yaml:"done_flag,omitempty" json:"done_flag,omitempty" doc:"The keyword that marks a mail which was handled."`
	DoneFolder  string        `yaml:"done_folder,omitempty" json:"done_folder,omitempty" doc:"A folder where mail goes that was handled, instead of being marked."`
	AsideFolder string        `yaml:"aside_folder,omitempty" json:"aside_folder,omitempty" doc:"The folder where mail goes that cannot be read."`
	Poll        time.Duration `yaml:"poll,omitempty" json:"poll,omitempty" min:"1s" max:"1h" doc:"How often to look where the server cannot wake Skadi."`

	AuthservID   string `yaml:"authserv_id,omitempty" json:"authserv_id,omitempty" doc:"The name with which your own mail server begins its Authentication-Results, such as mx.example.com; without it, only signatures count that Skadi checks itself."`
	AuthservHops int    `yaml:"authserv_hops,omitempty" json:"authserv_hops,omitempty" min:"1" max:"20" doc:"How many Received fields, from the top, your own servers write, from the one that checks on."`
	Unsigned     bool   `yaml:"allow_unsigned,omitempty" json:"allow_unsigned,omitempty" doc:"Also believes the server of authserv_id that DMARC passed by the address of the sending server, without a signature. Such a mail can be replayed by whoever reads it on the way."`
	DNS          string `yaml:"dns,omitempty" json:"dns,omitempty" doc:"The DNS server to ask for keys, as address:port, where that of the system does not do; for sites that answer differently within."`

	Progress      bool   `yaml:"progress,omitempty" json:"progress,omitempty" doc:"Also sends a mail when a job has begun, instead of one when it has ended."`
	BounceAddress string `yaml:"bounce_address,omitempty" json:"bounce_address,omitempty" doc:"The address whose plus-addresses are the envelope senders of replies; what is sent back to it must arrive in one of the folders. address if left out."`
	NullSender    bool   `yaml:"null_sender,omitempty" json:"null_sender,omitempty" doc:"Sends replies with the empty envelope sender, so that nothing ever bounces; where the server takes it."`
	PlainSender   bool   `yaml:"plain_sender,omitempty" json:"plain_sender,omitempty" doc:"Sends replies with bounce_address itself as envelope sender, where the server refuses plus-addresses of it."`
	Rate          int    `yaml:"rate,omitempty" json:"rate,omitempty" min:"1" max:"100000" doc:"How many mails of one sender are carried out in a minute."`
}

// IMAP is where mail is read.
type IMAP struct {
	Host     string      `yaml:"host" json:"host" jsonschema:"required" doc:"The server's name, as its certificate has it."`
	Port     int         `yaml:"port,omitempty" json:"port,omitempty" min:"1" max:"65535" doc:"993, or 143 with tls: starttls, if left out."`
	TLS      string      `yaml:"tls,omitempty" json:"tls,omitempty" jsonschema:"enum=implicit,enum=starttls" doc:"implicit: TLS from the first byte; starttls: TLS after a command. There is nothing without."`
	CAFile   string      `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"The certificates to trust instead of the system's, in PEM."`
	Username string      `yaml:"username,omitempty" json:"username,omitempty" doc:"The account's address if left out."`
	Password chat.Secret `yaml:"password,omitempty" json:"password,omitempty" doc:"The password; or oauth."`
	OAuth    OAuth       `yaml:"oauth,omitempty" json:"oauth,omitempty" doc:"How to get a token instead of a password."`
}

// SMTP is where replies are handed in.
type SMTP struct {
	Host     string      `yaml:"host" json:"host" jsonschema:"required" doc:"The server's name, as its certificate has it."`
	Port     int         `yaml:"port,omitempty" json:"port,omitempty" min:"1" max:"65535" doc:"465, or 587 with tls: starttls, if left out."`
	TLS      string      `yaml:"tls,omitempty" json:"tls,omitempty" jsonschema:"enum=implicit,enum=starttls" doc:"implicit: TLS from the first byte; starttls: TLS after a command. There is nothing without."`
	CAFile   string      `yaml:"ca_file,omitempty" json:"ca_file,omitempty" doc:"The certificates to trust instead of the system's, in PEM."`
	Username string      `yaml:"username,omitempty" json:"username,omitempty" doc:"That of imap if left out."`
	Password chat.Secret `yaml:"password,omitempty" json:"password,omitempty" doc:"Without it and oauth, those of imap are used."`
	OAuth    OAuth       `yaml:"oauth,omitempty" json:"oauth,omitempty" doc:"How to get a token instead of a password."`
}

// OAuth is how to get access tokens: with a refresh token, or without one as
// the program itself (client credentials).
type OAuth struct {
	TokenURL     string      `yaml:"token_url,omitempty" json:"token_url,omitempty" doc:"Where tokens are given out."`
	ClientID     string      `yaml:"client_id,omitempty" json:"client_id,omitempty" doc:"The ID under which Skadi is registered there."`
	ClientSecret chat.Secret `yaml:"client_secret,omitempty" json:"client_secret,omitempty" doc:"The secret that goes with it."`
	RefreshToken chat.Secret `yaml:"refresh_token,omitempty" json:"refresh_token,omitempty" doc:"For Gmail, and other mailboxes of a person."`
	Scopes       []string    `yaml:"scopes,omitempty" json:"scopes,omitempty" doc:"What the token is for."`
}

// set reports whether any of it was configured.
func (o OAuth) set() bool {
	return o.TokenURL != "" || o.ClientID != "" || o.ClientSecret != "" || o.RefreshToken != "" || len(o.Scopes) > 0
}

const (
	tlsImplicit = string(mailbox.Implicit)
	tlsStart    = string(mailbox.StartTLS)
)

// wellKnown are the ports of each server, by how TLS begins there:
// https://www.rfc-editor.org/rfc/rfc8314#section-7
var wellKnown = map[string]map[string]int{
	"imap": {tlsImplicit: 993, tlsStart: 143},
	"smtp": {tlsImplicit: 465, tlsStart: 587},
}

// defaults is what holds where the config says nothing.
func defaults() Config {
	return Config{
		IMAP: IMAP{TLS: tlsImplicit}, SMTP: SMTP{TLS: tlsImplicit},
		Folders: []string{"INBOX"}, DoneFlag: "$SkadiDone", AsideFolder: "Skadi-Unreadable",
		Poll: 30 * time.Second, AuthservHops: 1, Rate: 30,
	}
}

// complete fills in what follows from other keys.
func (c Config) complete() Config {
	if c.IMAP.Username == "" {
		c.IMAP.Username = c.Address
	}
	if c.SMTP.Username == "" {
		c.SMTP.Username = c.IMAP.Username
	}
	if c.SMTP.Password == "" && !c.SMTP.OAuth.set() {
		c.SMTP.Password, c.SMTP.OAuth = c.IMAP.Password, c.IMAP.OAuth
	}
	if c.SMTP.Port == 0 {
		c.SMTP.Port = 465
		if c.SMTP.TLS == tlsStart {
			c.SMTP.Port = 587
		}
	}
	if c.BounceAddress == "" {
		c.BounceAddress = c.Address
	}
	return c
}

// Validate names every key that is missing or wrong, and shows no secret.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &keyError{key: key, detail: fmt.Sprintf(format, args...)})
	}
	if detail := checkAddress(c.Address); detail != "" {
		bad("address", "%s", detail)
	}
	if c.BounceAddress != "" {
		switch detail := checkAddress(c.BounceAddress); {
		case detail != "":
			bad("bounce_address", "%s", detail)
		case c.NullSender:
			bad("bounce_address", "is of no use with null_sender, since nothing bounces then")
		}
	}
	if c.PlainSender && c.NullSender {
		bad("plain_sender", "is of no use with null_sender")
	}
	s := c.SMTP
	checkServer(bad, "imap", c.IMAP)
	checkServer(bad, "smtp", IMAP{Host: s.Host, Port: s.Port, TLS: s.TLS, CAFile: s.CAFile, Username: s.Username})
	switch imap := c.IMAP; {
	case imap.Password != "" && imap.OAuth.set():
		bad("imap.oauth", "is of no use beside imap.password; leave one of them out")
	case imap.OAuth.set():
		checkOAuth(bad, "imap.oauth", imap.OAuth)
	case imap.Password == "":
		bad("imap.password", "is empty; give the password of the mailbox, or imap.oauth")
	}
	switch {
	case s.Password != "" && s.OAuth.set():
		bad("smtp.oauth", "is of no use beside smtp.password; leave one of them out")
	case s.OAuth.set():
		checkOAuth(bad, "smtp.oauth", s.OAuth)
	}
	for i, folder := range c.Folders {
		if folder == "" || folder == c.DoneFolder || folder == c.AsideFolder {
			bad(fmt.Sprintf("folders[%d]", i), "must be the name of a folder, and not that of done_folder or aside_folder")
		}
	}
	if c.DoneFlag != "" && strings.ContainsFunc(c.DoneFlag, notAtom) {
		bad("done_flag", "must be one word of printable ASCII without any of ( ) { } %% * \" \\ ]")
	}
	if c.AuthservID != "" && strings.ContainsFunc(c.AuthservID, notPrintable) {
		bad("authserv_id", "must be a name such as mx.example.com, as it stands at the beginning of Authentication-Results")
	}
	if c.Unsigned && c.AuthservID == "" {
		bad("allow_unsigned", "needs authserv_id, the server whose word is taken")
	}
	if c.DNS != "" {
		if _, err := netip.ParseAddrPort(c.DNS); err != nil {
			bad("dns", "must be an address and a port, such as 10.0.0.53:53")
		}
	}
	return errors.Join(errs...)
}

func checkServer(bad func(key, format string, args ...any), at string, s IMAP) {
	switch {
	case s.Host == "":
		bad(at+".host", "is empty; it is the name of the server")
	case strings.ContainsFunc(s.Host, notPrintable) || strings.ContainsAny(s.Host, "/@") || net.ParseIP(s.Host) == nil && strings.Contains(s.Host, ":"):
		bad(at+".host", "must be the name of the server alone, such as %s.example.com", at)
	}
	if s.TLS != "" && s.TLS != tlsImplicit && s.TLS != tlsStart {
		bad(at+".tls", "is %q; it must be %s or %s", s.TLS, tlsImplicit, tlsStart)
	}
	for this, other := range map[string]string{tlsImplicit: tlsStart, tlsStart: tlsImplicit} {
		if s.TLS == this && s.Port == wellKnown[at][other] {
			bad(at+".port", "is %d, which is for tls: %s; write that beside it, or port: %d", s.Port, other, wellKnown[at][this])
		}
	}
	if strings.ContainsFunc(s.Username, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		bad(at+".username", "has a character in it that cannot be seen")
	}
}

func checkOAuth(bad func(key, format string, args ...any), at string, o OAuth) {
	if o.ClientID == "" {
		bad(at+".client_id", "is empty; it is the ID under which Skadi is registered")
	}
	if o.ClientSecret == "" && o.RefreshToken == "" {
		bad(at+".client_secret", "is empty, and so is refresh_token; one of them is needed")
	}
	if detail := checkURL(o.TokenURL); detail != "" {
		bad(at+".token_url", "%s", detail)
	}
}

// keyError is about one key of the block; whoever decodes it adds the line.
type keyError struct{ key, detail string }

func (e *keyError) Error() string { return e.key + ": " + e.detail }

// Field says which key it is about.
func (e *keyError) Field() (path, detail string) { return e.key, e.detail }
