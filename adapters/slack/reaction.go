package slack

import (
	"context"
	"errors"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// reactWithin bounds what a reaction costs a message, which was sent by
	// then.
	reactWithin = 3 * time.Second
	// reactLater is how long no reaction is tried after one was refused for
	// a reason that stays, such as a missing scope.
	reactLater = time.Hour
)

// react shows a job's state as a reaction on the message that asked for it, in
// place of the one of before. It returns the reaction that is there now. It is
// best effort: whatever goes wrong, the message itself says the same.
func (s *sender) react(ctx context.Context, c conversation, was string, card *chat.Card) string {
	if card == nil || c.Asked == "" {
		return was
	}
	want := looks[card.Mark].emoji
	if want == "" || want == was || !s.mayReact() {
		return was
	}
	ctx, cancel := context.WithTimeout(ctx, reactWithin)
	defer cancel()
	asked := slack.NewRefToMessage(c.Channel, c.Asked)
	if err := s.api.AddReactionContext(ctx, want, asked); err != nil && !refusedWith(err, "already_reacted") {
		s.reactionFailed(err)
		return was
	}
	if was != "" {
		if err := s.api.RemoveReactionContext(ctx, was, asked); err != nil {
			s.env.Logger.Debug("an old reaction is left on a message", "err", withoutURL(err))
		}
	}
	return want
}

func (s *sender) mayReact() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.env.Clock().Before(s.reactAgain)
}

// reactionFailed decides how long no reaction is tried.
func (s *sender) reactionFailed(err error) {
	var wait time.Duration
	var limited *slack.RateLimitedError
	switch {
	case errors.As(err, &limited):
		wait = max(limited.RetryAfter, time.Second)
	case refusedWith(err, "ratelimited"):
		wait = time.Minute
	case refusedWith(err, "missing_scope", "not_allowed_token_type", "unknown_method", "method_deprecated"):
		wait = reactLater
		s.env.Logger.Info("states are not shown as reactions, since the app may not react: it lacks the scope reactions:write")
	default: // of this message alone: deleted, too many reactions, not a member
		s.env.Logger.Debug("a state is not shown as a reaction", "err", withoutURL(err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reactAgain = s.env.Clock().Add(wait)
}
