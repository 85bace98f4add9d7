package slack

import (
	"context"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// home is the page that each person has in the app.
type home struct {
	api *slack.Client
	env chat.Env
}

func newHome(api *slack.Client, env chat.Env) *home { return &home{api: api, env: env} }

// Publish draws the page of one person.
func (h *home) Publish(context.Context, chat.Sender, []string) error { return nil }
