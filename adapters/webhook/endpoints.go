package webhook

import "github.com/letserverrun/skadi/core/chat"

var _ chat.Entered = (*Adapter)(nil)

// Endpoints implements chat.Entered: the page where the webhook is made.
func (a *Adapter) Endpoints() []chat.Endpoint {
	where := "the sender's webhook URL"
	switch a.cfg.Provider {
	case GitHub:
		where = "Settings, Webhooks, Payload URL"
	case GitLab:
		where = "Settings, Webhooks, URL"
	}
	return []chat.Endpoint{{Path: endpoint, Where: where}}
}
