package mattermost

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// endpoint is below the adapter's mount.
	endpoint = "hook"
	// maxBody bounds a call. A post has at most 16,383 characters, each of
	// which takes at most 12 bytes in a form.
	maxBody = 1 << 20
	// acceptTimeout is less than Mattermost waits, which is 30 seconds unless
	// OutgoingIntegrationRequestsTimeout says otherwise.
	acceptTimeout = 3 * time.Second
	// refusedEvery is how often refused calls are logged, in seconds: anybody
	// can make them.
	refusedEvery = 60
)

// call is what an outgoing webhook sends, as JSON or as a form.
type call struct {
	Token       string      `json:"token"`
	ChannelID   string      `json:"channel_id"`
	PostID      string      `json:"post_id"`
	Timestamp   json.Number `json:"timestamp"`
	UserID      string      `json:"user_id"`
	UserName    string      `json:"user_name"`
	Text        string      `json:"text"`
	TriggerWord string      `json:"trigger_word"`
}

// Handler implements chat.Pushed.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /"+endpoint, a.receive)
	return mux
}

// receive verifies, hands in, and acknowledges.
func (a *Adapter) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
		a.refuse(w, http.StatusRequestEntityTooLarge, "it is longer than anything that Mattermost sends")
		return
	}
	if err != nil {
		a.refuse(w, http.StatusBadRequest, "it did not come whole")
		return
	}
	c, err := read(r.Header.Get("Content-Type"), body)
	switch {
	case err != nil:
		a.refuse(w, http.StatusBadRequest, err.Error())
	case !a.genuine(c.Token):
		a.refuse(w, http.StatusUnauthorized, "its token is none of webhook_tokens")
	case !id.MatchString(c.PostID) || !id.MatchString(c.ChannelID) || !id.MatchString(c.UserID):
		a.refuse(w, http.StatusBadRequest, "post_id, channel_id or user_id is missing")
	case c.UserID == a.cfg.BotUserID, slices.Contains(a.cfg.IgnoreUsers, c.UserID):
		answer(w, "")
	default:
		a.accept(w, r, c)
	}
}

func (a *Adapter) accept(w http.ResponseWriter, r *http.Request, c call) {
	// What was begun is finished, even if the caller hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), acceptTimeout)
	defer cancel()
	if err := a.env.Inbox.Accept(ctx, a.message(c)); err != nil {
		// Mattermost never delivers again, so the asker has to know.
		a.env.Logger.ErrorContext(ctx, "a message was not stored", "post", c.PostID, "err", err)
		answer(w, "This was not accepted, since Skadi cannot store it just now. Please send it again later.")
		return
	}
	answer(w, "")
}

// read reads the body of either content type.
func read(contentType string, body []byte) (c call, err error) {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case "application/json":
		if json.Unmarshal(body, &c) != nil {
			err = errors.New("it is no JSON of an outgoing webhook")
		}
	case "application/x-www-form-urlencoded":
		form, formErr := url.ParseQuery(string(body))
		if formErr != nil {
			return c, errors.New("it is no form")
		}
		c = call{
			Token: form.Get("token"), ChannelID: form.Get("channel_id"), PostID: form.Get("post_id"),
			Timestamp: json.Number(form.Get("timestamp")), UserID: form.Get("user_id"), UserName: form.Get("user_name"),
			Text: form.Get("text"), TriggerWord: form.Get("trigger_word"),
		}
	default:
		err = errors.New("its content type is neither application/json nor application/x-www-form-urlencoded")
	}
	return c, err
}

// genuine compares with every token, in a time that says nothing of them.
func (a *Adapter) genuine(token string) bool {
	right := 0
	for _, known := range a.cfg.WebhookTokens {
		right |= subtle.ConstantTimeCompare([]byte(known.Reveal()), []byte(token))
	}
	return right == 1
}

// message makes what is handed in. The ID of the post is the same however
// often, and by however many webhooks, it is told.
func (a *Adapter) message(c call) chat.Inbound {
	to := a.conversation(c.ChannelID)
	to.Data, _ = json.Marshal(asked{Post: c.PostID}) // a struct of one string
	return chat.Inbound{
		ID:           c.PostID,
		Sender:       chat.Sender{Account: a.env.Account, User: c.UserID, Name: c.UserName},
		Conversation: to,
		Text:         strings.TrimLeft(strings.TrimPrefix(c.Text, c.TriggerWord), " \t\n"),
		// A webhook without a trigger word tells of all that is written in its
		// channel: what is a command there is one.
		Addressed: c.TriggerWord != "",
		Followed:  c.TriggerWord == "",
		At:        at(c.Timestamp.String(), a.env.Clock()),
	}
}

// at reads a time: in JSON it is in milliseconds, in a form in seconds.
func at(text string, now time.Time) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0:
		return now
	case n > 1e11:
		return time.UnixMilli(n)
	}
	return time.Unix(n, 0)
}

// answer acknowledges a call; text is posted below what was asked.
func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	said := map[string]string{}
	if text != "" {
		said = map[string]string{"text": text, "response_type": "comment"}
	}
	_ = json.NewEncoder(w).Encode(said) // who hung up needs no answer
}

// refuse answers a call that is nobody's, or nothing.
func (a *Adapter) refuse(w http.ResponseWriter, status int, why string) {
	now, last := a.env.Clock().Unix(), a.refusedAt.Load()
	if now-last >= refusedEvery && a.refusedAt.CompareAndSwap(last, now) {
		a.env.Logger.Warn("a call was refused; others within a minute are not logged", "status", status, "why", why)
	}
	http.Error(w, why, status)
}
