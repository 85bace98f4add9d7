package mattermost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxRunes is how long a post may be, in characters.
	maxRunes = 16_383
	// around is room for a mention and two fences.
	around  = 200
	maxText = maxRunes - around
	// maxAnswer is the most of an answer that is read, in bytes. That to a post
	// contains the post.
	maxAnswer = 1 << 20
	// longestWait bounds what Mattermost may ask to wait.
	longestWait = 24 * time.Hour
	openTimeout = time.Second
)

// asked is the Data of a conversation: the post that asked, below which it is
// answered.
type asked struct {
	Post string `json:"post"`
}

// post is one as the REST API has it. Of a channel or a user the ID alone is
// read.
type post struct {
	ID        string `json:"id,omitempty"`
	ChannelID string `json:"channel_id,omitempty"`
	RootID    string `json:"root_id,omitempty"`
	Message   string `json:"message"`
	// PendingID is what Mattermost drops repeats by, for half a minute or so.
	PendingID string `json:"pending_post_id,omitempty"`
}

// Send implements chat.Adapter.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	if m.Edit != nil {
		_, err := a.call(ctx, http.MethodPut, "/posts/"+url.PathEscape(m.Edit.ID)+"/patch", post{Message: a.render(m)})
		return *m.Edit, err
	}
	root, err := a.root(ctx, m.To)
	if err != nil {
		return chat.MessageRef{}, err
	}
	made, err := a.call(ctx, http.MethodPost, "/posts", post{
		ChannelID: m.To.Channel, RootID: root, Message: a.render(m), PendingID: m.ID,
	})
	return chat.MessageRef{ID: made.ID}, err
}

// root is the post at the head of the thread that is answered in. The webhook
// tells the post alone, which may be a reply itself, and Mattermost takes no
// replies to replies. If it was deleted, the answer stands in the channel.
func (a *Adapter) root(ctx context.Context, to chat.ConversationRef) (string, error) {
	var ask asked
	if len(to.Data) > 0 && json.Unmarshal(to.Data, &ask) != nil {
		return "", &chat.SendError{Class: chat.Permanent, Err: errors.New("the stored conversation cannot be read")}
	}
	if ask.Post == "" {
		return "", nil
	}
	p, err := a.call(ctx, http.MethodGet, "/posts/"+url.PathEscape(ask.Post), nil)
	if chat.Classify(err).Class == chat.Gone {
		return "", nil
	}
	if p.RootID != "" {
		return p.RootID, err
	}
	return p.ID, err
}

var (
	backticks = regexp.MustCompile("`+")
	// thirty in a row are broken up, so that a fence is never long.
	thirty   = regexp.MustCompile("`{30}")
	username = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
)

// render puts text into a code block, in which Mattermost sees no mention, no
// link and no markup. The fence around it is longer than any within, so that
// text cannot leave it. What is left outside is the mention that is meant.
func (a *Adapter) render(m chat.Outbound) string {
	text := thirty.ReplaceAllString(chat.Readable(m.Text), "$0\u2060")
	if utf8.RuneCountInString(text) > maxText { // what is not readable grew
		text = string([]rune(text)[:maxText-1]) + "…"
	}
	fence := "```"
	for _, run := range backticks.FindAllString(text, -1) {
		if len(run) >= len(fence) {
			fence = run + "`"
		}
	}
	return a.mention(m.Mention) + fence + "\n" + text + "\n" + fence
}

// mention notifies one person, and never everybody.
func (a *Adapter) mention(who *chat.Sender) string {
	if who == nil || who.Account != a.env.Account || !username.MatchString(who.Name) {
		return ""
	}
	switch who.Name {
	case "all", "channel", "here":
		return ""
	}
	return "@" + who.Name + "\n"
}

// call makes one call of the REST API, which answers with what it is about.
// Errors are *chat.SendError.
func (a *Adapter) call(ctx context.Context, method, path string, body any) (post, error) {
	failed := func(class chat.Class, wait time.Duration, err error) (post, error) {
		return post{}, &chat.SendError{Class: class, RetryAfter: wait, Err: err}
	}
	var data bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&data).Encode(body); err != nil {
			return failed(chat.Permanent, 0, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.cfg.Server, "/")+"/api/v4"+path, &data)
	if err != nil {
		return failed(chat.Permanent, 0, err)
	}
	req.Header.Set("Authorization", "Bearer "+a.cfg.BotToken.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := a.http.Do(req)
	if err != nil {
		return failed(chat.Temporary, 0, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return failed(chat.Temporary, 0, fmt.Errorf("reading the answer: %w", err))
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return failed(classOf(resp.StatusCode), wait(resp.Header, a.env.Clock()), refusal(resp.StatusCode, text))
	}
	var about post
	if json.Unmarshal(text, &about) != nil || about.ID == "" {
		return failed(chat.Temporary, 0, errors.New("mattermost answered with something else than was asked for; is there a proxy in between?"))
	}
	return about, nil
}

// classOf says what a status means for what was to be sent.
func classOf(status int) chat.Class {
	switch status {
	case http.StatusUnauthorized:
		return chat.Auth
	case http.StatusNotFound, http.StatusGone:
		return chat.Gone
	case http.StatusTooManyRequests:
		return chat.RateLimited
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return chat.Temporary
	}
	// 403 is about this channel or this post, not about the account.
	if status >= 400 && status < 500 {
		return chat.Permanent
	}
	return chat.Temporary
}

// errorID is how Mattermost names an error, such as
// api.context.permissions.app_error.
var errorID = regexp.MustCompile(`^[a-z0-9_.]{1,100}$`)

func refusal(status int, body []byte) error {
	var said struct {
		ID string `json:"id"`
	}
	text := fmt.Sprintf("mattermost answered %d %s", status, http.StatusText(status))
	if json.Unmarshal(body, &said) == nil && errorID.MatchString(said.ID) {
		text += " (" + said.ID + ")"
	}
	switch status {
	case http.StatusUnauthorized:
		text += "; make the bot a new token and put it into bot_token"
	case http.StatusForbidden:
		text += "; add the bot to the channel, and see that it may post there"
	}
	return errors.New(text)
}

// wait is how long Mattermost asks to wait: by Retry-After, or else until its
// limit begins anew, which is told in seconds from now, or in Unix seconds.
func wait(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if when, err := http.ParseTime(text); err == nil {
		return min(max(when.Sub(now), 0), longestWait)
	}
	if text == "" {
		text = h.Get("X-RateLimit-Reset")
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	if seconds > now.Unix()/2 && seconds < 2*now.Unix() {
		seconds -= now.Unix()
	}
	return time.Duration(min(max(seconds, 0), int64(longestWait/time.Second))) * time.Second
}
