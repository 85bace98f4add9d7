package teams

import "github.com/letserverrun/skadi/core/chat"

var _ chat.Entered = (*Adapter)(nil)

// Endpoints implements chat.Entered: the page of the bot in Azure.
func (a *Adapter) Endpoints() []chat.Endpoint {
	return []chat.Endpoint{{Path: "messages", Where: "Azure Bot, Configuration, Messaging endpoint"}}
}
