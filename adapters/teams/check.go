package teams

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Checker = (*Adapter)(nil)

// Check implements chat.Checker: it gets a token by the app's credentials, and
// the keys that prove who calls.
func (a *Adapter) Check(ctx context.Context) []chat.Finding {
	if a.cfg.UnauthenticatedLoopback {
		return []chat.Finding{{
			Level: chat.Doubtful, Text: "unauthenticated_loopback: anybody on this machine can speak for anybody", Fix: "remove it where this is more than a test",
		}}
	}
	found := []chat.Finding{a.checkKeys(ctx)}
	if _, err := a.sender.tokens.get(ctx); err != nil {
		return append(found, a.noToken(err))
	}
	return append(found, chat.Finding{Level: chat.Fine, Text: "app_password: Microsoft gives out a token for the app"})
}

// noToken says what to do about a token that was not given out. Only a refusal
// is about the credentials.
func (a *Adapter) noToken(err error) chat.Finding {
	var refused *chat.SendError
	if errors.As(err, &refused) && refused.Class == chat.Auth {
		return chat.Finding{
			Level: chat.Wrong, Text: fmt.Sprintf("app_password: no token for the app: %v", err),
			Fix: "compare app_id, tenant_id and app_password with the app's registration in Entra; a client secret ends on a day that is shown there",
		}
	}
	host := a.cfg.tokenURL()
	if u, err := url.Parse(host); err == nil {
		host = u.Host
	}
	return chat.Finding{
		Level: chat.Wrong, Text: fmt.Sprintf("app_password: not tried, since %s gave no answer to it: %v", host, err),
		Fix: "see that this machine finds and reaches " + host + ": its DNS, its firewall, and its proxy (HTTPS_PROXY) if there is one",
	}
}

func (a *Adapter) checkKeys(ctx context.Context) chat.Finding {
	set, err := a.validator.keys.fetch(ctx)
	if err != nil {
		return chat.Finding{
			Level: chat.Wrong, Text: fmt.Sprintf("the keys that prove who calls cannot be had: %v", err),
			Fix: "see that this machine reaches the host, also through its proxy (HTTPS_PROXY)",
		}
	}
	return chat.Finding{Level: chat.Fine, Text: fmt.Sprintf("%d keys that prove who calls", len(set.endorsements))}
}
