// Package email is the channel of one mailbox: mail to it gives commands, and
// answers go back to who sent them.
//
// Whoever can write a From can pretend to be anybody, so a mail counts only if
// its domain has signed it, or the mailbox's own server says that it has
// checked who sent it; see package identity. All other mail is passed over
// without an answer, which would only reach the one in whose name it was sent.
//
// A mail is marked as handled once core has stored what it asks for. It is never
// expunged.
package email

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/letserverrun/skadi/adapters/email/identity"
	"github.com/letserverrun/skadi/adapters/email/mailbox"
	"github.com/letserverrun/skadi/core/chat"
)

// Adapter is one account: a mailbox, and where its answers are handed in.
type Adapter struct {
	cfg   Config
	env   chat.Env
	inbox inbox

	mailbox  *mailbox.Mailbox
	verifier *identity.Verifier
	signer   *signer
	smtp     *submission
	pace     *pace
}

var (
	_ chat.Adapter = (*Adapter)(nil)
	_ chat.Checker = (*Adapter)(nil)
	_ chat.Factory = Factory
)

// Factory makes an account of its block in the config.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	cfg := defaults()
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// New makes an account. It calls nobody before Run. Its error is that of
// Validate.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	if env.Clock == nil {
		env.Clock = time.Now
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Adapter{
		cfg: cfg, env: env, inbox: newInbox(cfg.Address),
		signer: &signer{account: env.Account, kv: env.KV, lease: env.Lease},
		pace:   newPace(cfg.Rate, env.Clock),
	}
	a.smtp = &submission{cfg: cfg.SMTP, domain: a.inbox.domain}
	imapTokens, smtpTokens := tokensOf(cfg, env)
	a.smtp.tokens = smtpTokens
	a.verifier = &identity.Verifier{TXT: lookup(cfg.DNS), Now: env.Clock, Inbox: a.inbox.is}
	if cfg.AuthservID != "" {
		a.verifier.Results = &identity.Results{AuthservID: cfg.AuthservID, Hops: cfg.AuthservHops, Unsigned: cfg.Unsigned}
	}
	box := mailbox.Config{
		Host: cfg.IMAP.Host, Port: cfg.IMAP.Port, Security: mailbox.Security(cfg.IMAP.TLS), CAFile: cfg.IMAP.CAFile,
		Username: cfg.IMAP.Username, Password: cfg.IMAP.Password,
		Folders: cfg.Folders, Keyword: cfg.DoneFlag, DoneFolder: cfg.DoneFolder, AsideFolder: cfg.AsideFolder, Poll: cfg.Poll,
		Lease: env.Lease, Logger: env.Logger, Guard: env.Guard, Report: env.Report,
		Handle: func(ctx context.Context, m mailbox.Mail) error {
			return env.Guard(ctx, "handling a mail", func() error { return a.handle(ctx, m) })
		},
	}
	if imapTokens != nil {
		box.Token = imapTokens.renewing()
	}
	var err error
	if a.mailbox, err = mailbox.New(box); err != nil {
		return nil, &keyError{key: "imap", detail: err.Error()}
	}
	return a, nil
}

// tokensOf returns who gets tokens for IMAP and SMTP: the same one, where their
// config is the same.
func tokensOf(cfg Config, env chat.Env) (imap, smtp *tokens) {
	if cfg.IMAP.OAuth.set() {
		imap = newTokens(cfg.IMAP.OAuth, env)
	}
	if cfg.SMTP.OAuth.set() {
		smtp = newTokens(cfg.SMTP.OAuth, env)
		if imap != nil && imap.name == smtp.name {
			smtp = imap
		}
	}
	return imap, smtp
}

// lookup asks a DNS server of one's own; nil is the system's.
func lookup(server string) identity.LookupTXT {
	if server == "" {
		return nil
	}
	return (&net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}).LookupTXT
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities {
	return chat.Capabilities{Files: true, MaxBytes: maxText, FinalOnly: !a.cfg.Progress}
}

// Run reads mail until ctx ends. Trouble that may pass it waits out; its error
// says what of the config does not work. It can be called again once it has
// returned.
func (a *Adapter) Run(ctx context.Context) error {
	if err := a.mailbox.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// Send implements chat.Adapter: it hands in one mail.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	o, err := readOrigin(m.To)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	code := ""
	if m.Card != nil {
		code = m.Card.Code
	}
	t, err := a.signer.thread(ctx, code, m.ID)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Temporary, Err: err}
	}
	id := t.messageID(a.inbox.domain)
	l := letter{
		from: a.cfg.Address, id: id, origin: o, text: m.Text, hint: hintOf(m), files: m.Files, at: a.env.Clock(),
	}
	raw, err := l.bytes()
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	from, err := a.returnTo(ctx, m.ID)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Temporary, Err: err}
	}
	if err := a.smtp.send(ctx, envelope{from: from, to: o.To, mail: raw}); err != nil {
		return chat.MessageRef{}, err
	}
	return chat.MessageRef{ID: id}, nil
}
