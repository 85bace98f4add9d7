package slack

import (
	"context"
	"errors"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// sender posts and edits messages.
type sender struct {
	api    *slack.Client
	env    chat.Env
	apiURL string
}

func newSender(api *slack.Client, env chat.Env, apiURL string) *sender {
	return &sender{api: api, env: env, apiURL: apiURL}
}

// Send posts or edits a message.
func (s *sender) Send(context.Context, chat.Outbound) (chat.MessageRef, error) {
	return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: errors.New("sending is not built")}
}

// Ephemeral tells one person something that nobody else sees.
func (s *sender) Ephemeral(ctx context.Context, channel, user, thread, text string) error {
	_, err := s.api.PostEphemeralContext(ctx, channel, user, slack.MsgOptionText(text, true), slack.MsgOptionTS(thread))
	return err
}
