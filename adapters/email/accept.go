package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/letserverrun/skadi/adapters/email/identity"
	"github.com/letserverrun/skadi/adapters/email/mailbox"
	"github.com/letserverrun/skadi/adapters/email/message"
	"github.com/letserverrun/skadi/core/chat"
)

const (
	// handleTimeout bounds the handling of one mail, so that others get on.
	handleTimeout = time.Minute
	// seenFor is how long a signature is remembered: longer than its mail is
	// fresh.
	seenFor = 72 * time.Hour
)

// handle takes one mail. After nil it is marked as handled.
func (a *Adapter) handle(ctx context.Context, raw mailbox.Mail) error {
	ctx, cancel := context.WithTimeout(ctx, handleTimeout)
	defer cancel()
	m, err := message.Parse(raw.Raw)
	if err != nil {
		return mailbox.Aside(err)
	}
	log := a.env.Logger.With("mail", clip(oneLine(chat.Readable(m.ID)), 200))
	if m.Kind == message.Bounced {
		return a.bounced(ctx, m)
	}
	if why, is := m.Automatic(); is {
		log.Info("a mail is passed over, for a program sent it", "why", why)
		return nil
	}
	if err := m.Check(); err != nil {
		log.Warn("a mail is refused", "reason", identity.Malformed, "why", explain(err))
		return nil
	}
	if a.isOwn(m) {
		log.Info("a mail is passed over, for it is from this inbox itself")
		return nil
	}
	who, err := a.verifier.Verify(ctx, raw.Raw, m)
	var refusal *identity.Refusal
	switch {
	case errors.As(err, &refusal):
		// No answer: it would go to the one whose name was used.
		log.Warn("a mail is refused", "reason", refusal.Reason, "from", from(m), "why", explain(refusal))
		return nil
	case err != nil:
		return fmt.Errorf("check who sent a mail: %w", err)
	}
	return a.take(ctx, m, who)
}

// isOwn reports whether this inbox is the sender, as of an answer that came
// back.
func (a *Adapter) isOwn(m *message.Message) bool {
	for _, f := range m.From {
		if a.inbox.is(f) {
			return true
		}
	}
	return false
}

// from is who a mail says that it is from, for the log.
func from(m *message.Message) string {
	if len(m.From) == 0 {
		return ""
	}
	return clip(oneLine(chat.Readable(m.From[0].Raw)), 200)
}

// take hands in the mail of somebody who was proved.
func (a *Adapter) take(ctx context.Context, m *message.Message, who identity.Identity) error {
	log := a.env.Logger.With("from", who.Address, "mail", clip(oneLine(chat.Readable(m.ID)), 200))
	o := originOf(m, who.Address)
	if !isRecipient(who.Address) {
		log.Warn("a mail is refused", "reason", "address", "why", "nothing can be sent to its sender's address")
		return nil
	}
	replayed, err := a.isReplay(ctx, m, who)
	if err != nil {
		return err
	}
	if replayed {
		log.Warn("a mail is refused", "reason", "replay", "why", "its signature came before, with another mail")
		return nil
	}
	id := who.Address + " " + m.ID
	agents := a.inbox.agents(m)
	ok, tell := a.pace.allow(who.Address, id)
	if !ok {
		log.Warn("a mail is refused", "reason", "rate", "why", fmt.Sprintf("its sender sent more than %d in a minute", a.cfg.Rate))
		if !tell {
			return nil
		}
	}
	code, ours, err := a.threadOf(ctx, m)
	if err != nil {
		return err
	}
	in, err := a.inbound(m, who, o, id, ask(m, first(agents), code, ours))
	if err != nil {
		return err
	}
	switch n := attached(m); {
	case !ok:
		in.Refused = fmt.Sprintf("Not done: more than %d mails of yours came within a minute. This one and the next are not carried out; please wait.", a.cfg.Rate)
	case n != "":
		in.Refused = "Not done: your mail has " + n + ", and attachments are not passed on. Please send the command without."
	case len(agents) > 1:
		in.Refused = "Not done: your mail names several agents (" + strings.Join(agents, ", ") + "). Please write one mail to each."
	}
	if err := a.env.Inbox.Accept(ctx, in); err != nil {
		return fmt.Errorf("hand in a mail: %w", err)
	}
	return nil
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// inbound is the mail as core takes it.
func (a *Adapter) inbound(m *message.Message, who identity.Identity, o origin, id string, what asked) (chat.Inbound, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return chat.Inbound{}, err
	}
	return chat.Inbound{
		ID:     id,
		Sender: chat.Sender{Account: a.env.Account, User: who.Address, Name: who.Name},
		Conversation: chat.ConversationRef{
			Account: a.env.Account, Channel: a.inbox.local + "@" + a.inbox.domain,
			// The thread is what the sender says, so it is one among the sender's.
			Key: who.Address + "/" + digest(o.root()), Data: data,
		},
		Text: what.text, Direct: !what.talk, Addressed: !what.talk, Followed: what.talk,
		At: m.Date,
	}, nil
}

// isReplay notes the mail's signature and reports whether it came before with
// another mail.
func (a *Adapter) isReplay(ctx context.Context, m *message.Message, who identity.Identity) (bool, error) {
	if who.Signature == "" {
		return false, nil
	}
	key := "signature/" + digest(who.Domain, who.Signature)
	known, ok, err := a.env.KV.Get(ctx, key)
	if err != nil {
		return false, fmt.Errorf("look for the signature of a mail: %w", err)
	}
	if ok {
		return string(known) != m.ID, nil
	}
	if err := a.env.KV.Set(ctx, key, []byte(m.ID), seenFor); err != nil {
		return false, fmt.Errorf("note the signature of a mail: %w", err)
	}
	return false, nil
}

// threadOf returns the code of the job whose thread the mail stands in, and
// whether it stands in a thread of ours at all: whether it answers a mail with a
// Message-ID that we signed. The newest counts.
func (a *Adapter) threadOf(ctx context.Context, m *message.Message) (code string, ours bool, err error) {
	const most = 50 // each costs a signature
	var ids []string
	ids = append(ids, m.InReplyTo...)
	for i := len(m.References) - 1; i >= 0; i-- {
		ids = append(ids, m.References[i])
	}
	for _, id := range ids[:min(len(ids), most)] {
		t, ok := parseThread(id)
		if !ok {
			continue
		}
		if ok, err = a.signer.isThread(ctx, t); err != nil {
			return "", false, err
		}
		if ok {
			return t.code, true, nil
		}
	}
	return "", false, nil
}

// attached says what is attached to a mail, or nothing. Pictures within the
// text, such as a logo in a signature, do not count.
func attached(m *message.Message) string {
	var names []string
	for _, f := range m.Attachments {
		if f.Inline {
			continue
		}
		name := f.Name
		if name == "" {
			name = f.Type
		}
		names = append(names, clip(oneLine(chat.Readable(name)), 100))
	}
	const most = 5
	switch {
	case len(names) == 0:
		return ""
	case len(names) > most:
		return fmt.Sprintf("%d attachments", len(names))
	case len(names) == 1:
		return "an attachment (" + names[0] + ")"
	}
	return fmt.Sprintf("%d attachments (%s)", len(names), strings.Join(names, ", "))
}
