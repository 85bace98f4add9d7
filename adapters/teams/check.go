package teams

import (
	"context"
	"fmt"

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
		return append(found, chat.Finding{
			Level: chat.Wrong, Text: fmt.Sprintf("app_password: no token for the app: %v", err),
			Fix: "compare app_id, tenant_id and app_password with the app's registration in Entra; a client secret ends on a day that is shown there",
		})
	}
	return append(found, chat.Finding{Level: chat.Fine, Text: "app_password: Microsoft gives out a token for the app"})
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
