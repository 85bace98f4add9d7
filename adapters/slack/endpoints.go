package slack

import "github.com/letserverrun/skadi/core/chat"

var _ chat.Entered = pushed{}

// Endpoints implements chat.Entered: the pages of the app at api.slack.com/apps.
func (p pushed) Endpoints() []chat.Endpoint {
	return []chat.Endpoint{
		{Path: "events", Where: "Event Subscriptions, Request URL"},
		{Path: "commands", Where: "Slash Commands, /skadi, Request URL"},
		{Path: "interactivity", Where: "Interactivity & Shortcuts, Request URL"},
	}
}
