package email

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// bouncesFor is how long a reply can still come back.
const bouncesFor = 14 * 24 * time.Hour

// returnTo returns the envelope sender of a reply, and notes which it is, so
// that a bounce says what did not arrive.
func (a *Adapter) returnTo(ctx context.Context, outboundID string) (string, error) {
	if a.cfg.NullSender {
		return "", nil
	}
	tag, err := a.signer.bounce(ctx, outboundID)
	if err != nil {
		return "", err
	}
	if err := a.env.KV.Set(ctx, "sent/"+digest(outboundID), []byte(outboundID), bouncesFor); err != nil {
		return "", fmt.Errorf("note a reply: %w", err)
	}
	if a.cfg.PlainSender { // a bounce is then known by the Message-ID that it quotes
		return a.cfg.BounceAddress, nil
	}
	return newInbox(a.cfg.BounceAddress).with(tag), nil
}

// bounced takes a report about a mail that was not delivered. It counts only
// where it comes to an envelope sender that we signed, or is about a mail whose
// Message-ID we signed: nobody else knows these.
func (a *Adapter) bounced(ctx context.Context, m *message.Message) error {
	hash, ok, err := a.bouncedReply(ctx, m)
	if err != nil {
		return err
	}
	why := reasonOf(m.Bounce)
	if !ok {
		a.env.Logger.Info("a mail is passed over, for it is a report about a mail of somebody else", "report", why)
		return nil
	}
	if m.Bounce != nil && !m.Bounce.Failed {
		a.env.Logger.Info("a reply is on its way still", "report", why)
		return nil
	}
	id, known, err := a.env.KV.Get(ctx, "sent/"+hash)
	if err != nil {
		return fmt.Errorf("look for a reply that bounced: %w", err)
	}
	a.env.Logger.Error("a reply was not delivered", "message", string(id), "report", why)
	if !known || a.env.Undelivered == nil {
		return nil
	}
	if err := a.env.Undelivered(ctx, string(id), "the mail came back: "+why); err != nil {
		return fmt.Errorf("note that a reply bounced: %w", err)
	}
	return nil
}

// bouncedReply returns the digest of the Outbound.ID of what bounced.
func (a *Adapter) bouncedReply(ctx context.Context, m *message.Message) (hash string, ok bool, err error) {
	to := slices.Clone(m.Envelope.DeliveredTo)
	for _, addr := range m.To {
		to = append(to, addr.String())
	}
	for _, addr := range to {
		local, _, _ := strings.Cut(addr, "@")
		_, tag, _ := strings.Cut(local, "+")
		hash, mac, ok := parseBounceTag(strings.ToLower(tag))
		if !ok {
			continue
		}
		if ok, err = a.signer.isBounce(ctx, hash, mac); ok || err != nil {
			return hash, ok, err
		}
	}
	if m.Bounce == nil {
		return "", false, nil
	}
	t, ok := parseThread(m.Bounce.OriginalID)
	if !ok {
		return "", false, nil
	}
	ok, err = a.signer.isThread(ctx, t)
	return t.hash, ok, err
}

// reasonOf is what a report says, on one line.
func reasonOf(b *message.Bounce) string {
	if b == nil || len(b.Recipients) == 0 {
		return "it does not say why"
	}
	r := b.Recipients[0]
	for _, other := range b.Recipients {
		if other.Action == "failed" {
			r = other
			break
		}
	}
	return clip(oneLine(strings.TrimSpace(r.Address+": "+r.Action+" "+r.Status+" "+r.Diagnostic)), 300)
}
