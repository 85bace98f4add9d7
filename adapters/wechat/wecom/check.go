package wecom

import (
	"context"
	"fmt"

	"github.com/letserverrun/skadi/core/chat"
)

var (
	_ chat.Checker = (*Adapter)(nil)
	_ chat.Checker = (*Robot)(nil)
)

// Check implements chat.Checker: it asks for a token by the credentials. That
// changes nothing, since WeCom gives out the same one for as long as it is good.
func (a *Adapter) Check(ctx context.Context) []chat.Finding {
	err := mendable(a.api.Try(ctx))
	if err == nil {
		return []chat.Finding{{Level: chat.Fine, Text: fmt.Sprintf("secret: WeCom gives out an access token of %s for the application %d", a.cfg.CorpID, a.cfg.AgentID)}}
	}
	f := chat.Finding{
		Level: chat.Wrong, Text: fmt.Sprintf("secret: no access token: %v", err),
		Fix: "compare corp_id with 我的企业, 企业信息 and secret with 应用管理, the application; it must be in use there",
	}
	if chat.Classify(err).Class == chat.Temporary {
		f.Fix = "see that this machine reaches " + a.api.Base() + ", also through its proxy (HTTPS_PROXY), and try again"
	}
	return []chat.Finding{f}
}

// Check implements chat.Checker. A robot's address is its only credential, and
// all that can be done with it is to say something in its group.
func (r *Robot) Check(context.Context) []chat.Finding {
	return []chat.Finding{{
		Level: chat.Untried, Text: "webhook_url: it cannot be tried without a message in the robot's group; whether it works shows with the first",
	}}
}
