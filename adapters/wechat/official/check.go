package official

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/letserverrun/skadi/adapters/wechat/tencent"
	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Checker = (*Adapter)(nil)

// Check implements chat.Checker: it asks for a token by the credentials, of a
// sort that leaves the one in use alone.
func (a *Adapter) Check(ctx context.Context) []chat.Finding {
	err := a.api.Try(ctx)
	if err == nil {
		return []chat.Finding{{Level: chat.Fine, Text: "app_secret: WeChat gives out an access token for " + a.cfg.AppID}}
	}
	var said *tencent.Error
	if a.cfg.APIURL != "" && errors.As(err, &said) && said.Status == http.StatusNotFound {
		return []chat.Finding{{
			Level: chat.Untried,
			Text:  "app_secret: api_url does not pass on /cgi-bin/stable_token, and any other way to try it would end the token in use",
		}}
	}
	f := chat.Finding{
		Level: chat.Wrong, Text: fmt.Sprintf("app_secret: no access token: %v", err),
		Fix: "compare app_id and app_secret with 设置与开发, 基本配置 of the account, and see that this machine's address is on the IP白名单 there",
	}
	if chat.Classify(err).Class == chat.Temporary {
		f.Fix = "see that this machine reaches " + a.api.Base() + ", also through its proxy (HTTPS_PROXY), and try again"
	}
	return []chat.Finding{f}
}
