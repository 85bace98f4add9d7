package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// sender posts and edits messages.
type sender struct {
	api    *slack.Client
	env    chat.Env
	apiURL string
	http   caller
	live   pace

	mu sync.Mutex
	// reactAgain is when reactions are tried again, after Slack refused one for
	// a reason that stays.
	reactAgain time.Time
}

func newSender(api *slack.Client, env chat.Env, apiURL string) *sender {
	client := env.HTTP
	if client == nil {
		client = &http.Client{Timeout: callTimeout}
	}
	return &sender{api: api, env: env, apiURL: apiURL, http: caller{client, env.Clock}}
}

// sent is MessageRef.Data: what an edit needs besides the ts, which is the ID.
type sent struct {
	// Channel is where the message is; it differs from the conversation's where
	// that is a user's ID, or where the message had to go elsewhere.
	Channel string `json:"channel,omitempty"`
	// Reaction is that on the asker's message.
	Reaction string `json:"reaction,omitempty"`
}

// IDs of messages that Slack has taken and not named, so that they cannot be
// edited.
const (
	responded = "response" // a response_url took it
	unnamed   = "unnamed"  // an earlier try posted it, and its answer was lost
)

// isNamed reports whether a message can be edited.
func isNamed(ref chat.MessageRef) bool { return ref.ID != responded && ref.ID != unnamed }

// Send implements chat.Adapter. A message with files takes several calls; if
// one fails after the message itself was posted, the next try with the same ID
// does not post it again.
func (s *sender) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	c, err := conversationOf(m.To)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	files, m, err := s.upload(ctx, m)
	if err != nil {
		return chat.MessageRef{}, err
	}
	ref, posted := s.recall(ctx, m)
	if !posted {
		if ref, err = s.deliver(ctx, c, m); err != nil {
			return chat.MessageRef{}, err
		}
	}
	if len(files) == 0 {
		return ref, nil
	}
	err = s.attach(ctx, c, m, ref, files)
	switch {
	case isClass(err, chat.Permanent) || isClass(err, chat.Gone):
		s.env.Logger.Warn("files were not attached to a message", "message", m.ID, "err", err)
		s.regret(ctx, c, m, ref, err)
	case err != nil:
		s.remember(ctx, m, ref)
		return chat.MessageRef{}, err
	}
	return ref, nil
}

// deliver edits or posts a message, by whichever way reaches the conversation.
func (s *sender) deliver(ctx context.Context, c conversation, m chat.Outbound) (chat.MessageRef, error) {
	if m.Edit != nil && isNamed(*m.Edit) {
		return s.edit(ctx, c, m)
	}
	if !c.Guest {
		ref, err := s.post(ctx, target{channel: c.Channel, thread: c.Thread, key: m.ID}, m)
		if err == nil {
			ref.Reaction = s.react(ctx, c, "", m.Card)
			return ref.ref(), nil
		}
		if !isClass(err, chat.Gone) || c.ResponseURL == "" {
			return chat.MessageRef{}, err
		}
	}
	done, err := s.respond(ctx, c, m)
	if err != nil {
		return chat.MessageRef{}, err
	}
	if done {
		return chat.MessageRef{ID: responded}, nil
	}
	return s.direct(ctx, c, m)
}

// direct sends a message to whoever asked, alone.
func (s *sender) direct(ctx context.Context, c conversation, m chat.Outbound) (chat.MessageRef, error) {
	if !isUser(c.User) {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Gone, Err: errors.New("the response_url has run out, and it is not known who asked")}
	}
	ref, err := s.post(ctx, target{channel: c.User, key: m.ID, from: c.Channel}, m)
	if err != nil {
		return chat.MessageRef{}, err
	}
	return ref.ref(), nil
}

// target is where a message is posted.
type target struct {
	channel, thread string
	// key tells messages apart that may be posted more than once.
	key string
	// from is the conversation that is answered, if it is another.
	from string
}

// posted is a message that Slack took.
type posted struct {
	ts string
	sent
}

func (p posted) ref() chat.MessageRef {
	data, err := json.Marshal(p.sent)
	if err != nil {
		panic("two texts cannot be encoded: " + err.Error())
	}
	return chat.MessageRef{ID: p.ts, Data: data}
}

// triesToFit is how often a message is tried in a shorter form: what Slack takes
// depends on more than it tells.
const triesToFit = 3

// fitted draws a message and sends it, shorter each time that it was too long.
func (a artist) fitted(m chat.Outbound, send func(l letter) error) error {
	a.budget = budget
	for try := 1; ; try++ {
		l := a.draw(m)
		err := send(l)
		tooLong := errors.Is(err, errShorter) ||
			refusedWith(err, "msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format")
		if !tooLong || try == triesToFit {
			return err
		}
		a.budget, a.from = min(a.budget, weigh(l.blocks))/2, ""
	}
}

// post posts a new message. A user's ID as the channel opens the direct
// messages with that user:
// https://docs.slack.dev/reference/methods/chat.postMessage#app_home
//
// Slack knows messages by a client_msg_id, as its errors say, and does not post
// a second one with the same. That drops a repeat after an answer was lost. It
// is not among the documented arguments, so nothing relies on it.
func (s *sender) post(ctx context.Context, to target, m chat.Outbound) (posted, error) {
	id := clientMessageID(s.env.Account, to.channel, to.key)
	var p posted
	err := artist{account: s.env.Account, from: to.from}.fitted(m, func(l letter) (err error) {
		p, err = s.postOnce(ctx, to, l, id)
		if refusedWith(err, "duplicate_message_not_found", "duplicate_channel_not_found") {
			id = "" // the first one was deleted
			p, err = s.postOnce(ctx, to, l, id)
		}
		if refusedWith(err, "duplicate_client_msg_id") {
			p, err = posted{ts: unnamed, sent: sent{Channel: to.channel}}, nil
		}
		return err
	})
	return p, classify("posting a message", err)
}

func (s *sender) postOnce(ctx context.Context, to target, l letter, id string) (posted, error) {
	options := append(l.options(),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(), slack.MsgOptionDisableMarkdown())
	if to.thread != "" {
		options = append(options, slack.MsgOptionTS(to.thread))
	}
	if id != "" {
		options = append(options, slack.UnsafeMsgOptionEndpoint(s.apiURL+"chat.postMessage", func(v url.Values) { v.Set("client_msg_id", id) }))
	}
	channel, ts, err := s.api.PostMessageContext(ctx, to.channel, options...)
	if err == nil && !isTime(ts) {
		err = errUnnamed
	}
	if channel == "" {
		channel = to.channel
	}
	return posted{ts: ts, sent: sent{Channel: channel}}, err
}

// errUnnamed is an answer that is none of Slack's.
var errUnnamed = errors.New("the answer does not name the message")

// options are those that posts and edits have in common. Nothing in the text
// is to be recognized; chat.update would, if it were not told.
func (l letter) options() []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(l.text, false), slack.MsgOptionBlocks(l.blocks...),
		slack.MsgOptionParse(false), slack.MsgOptionLinkNames(false),
	}
}

// edit replaces a message. If that was deleted, the error is Permanent.
func (s *sender) edit(ctx context.Context, c conversation, m chat.Outbound) (chat.MessageRef, error) {
	var at sent
	if len(m.Edit.Data) > 0 {
		if err := json.Unmarshal(m.Edit.Data, &at); err != nil {
			return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf("the reference of a Slack message cannot be read: %w", err)}
		}
	}
	if at.Channel == "" {
		at.Channel = c.Channel
	}
	if isLive(m) {
		if wait := s.live.wait(s.env.Clock()); wait > 0 {
			return chat.MessageRef{}, &chat.SendError{Class: chat.RateLimited, RetryAfter: wait, Err: errLivePace}
		}
	}
	a := artist{account: s.env.Account, quiet: true}
	if at.Channel != c.Channel && c.Guest {
		a.from = c.Channel
	}
	err := a.fitted(m, func(l letter) error {
		_, ts, _, err := s.api.UpdateMessageContext(ctx, at.Channel, m.Edit.ID, l.options()...)
		if err == nil && ts == "" {
			err = errUnnamed
		}
		return err
	})
	if err != nil {
		err = classify("editing a message", err)
		if isClass(err, chat.RateLimited) {
			s.live.pause(s.env.Clock(), max(chat.Classify(err).RetryAfter, liveEvery))
		}
		return chat.MessageRef{}, err
	}
	at.Reaction = s.react(ctx, c, at.Reaction, m.Card)
	return posted{m.Edit.ID, at}.ref(), nil
}

// Ephemeral tells one person something that nobody else sees.
func (s *sender) Ephemeral(ctx context.Context, channel, user, thread, text string) error {
	l := artist{account: s.env.Account, budget: budget}.draw(chat.Outbound{Text: text})
	options := l.options()
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	_, err := s.api.PostEphemeralContext(ctx, channel, user, options...)
	return classify("telling one person something", err)
}
