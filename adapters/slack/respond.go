package slack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// respond answers by the response_url of a slash command or a click, to whoever
// gave it alone. It reports false if that cannot be used any more: it takes
// five answers, within half an hour.
// https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
func (s *sender) respond(ctx context.Context, c conversation, m chat.Outbound) (done bool, err error) {
	if c.ResponseURL == "" || !s.env.Clock().Before(c.Until) {
		return false, nil
	}
	err = artist{account: s.env.Account}.fitted(m, func(l letter) (err error) {
		done, err = s.respondOnce(ctx, c, l)
		return err
	})
	return done, classify("answering by a response_url", err)
}

// errShorter is the error of an answer that may have been too long.
var errShorter = &chat.SendError{Class: chat.Permanent, Err: errors.New("slack does not take the answer, however short")}

// respondOnce posts one answer. slack-go's own way to do so makes the address,
// which is a secret, part of its errors.
func (s *sender) respondOnce(ctx context.Context, c conversation, l letter) (done bool, err error) {
	body, err := json.Marshal(slack.WebhookMessage{
		ResponseType: slack.ResponseTypeEphemeral, ThreadTimestamp: c.Thread, Text: l.text, Parse: "none",
		Blocks: &slack.Blocks{BlockSet: l.blocks}, UnfurlLinks: new(bool), UnfurlMedia: new(bool),
	})
	if err != nil {
		return false, fmt.Errorf("encoding an answer: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.ResponseURL, bytes.NewReader(body))
	if err != nil {
		return false, nil //nolint:nilerr // it names the address; the answer goes another way
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	answer, err := s.http.Do(r)
	var status *statusError
	switch {
	case errors.As(err, &status) && status.code == http.StatusBadRequest:
		return false, errShorter
	case errors.As(err, &status) && status.code > 400 && status.code < 500 && status.code != http.StatusRequestTimeout:
		return false, nil // used_url, expired_url
	case err != nil:
		return false, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return err == nil, err
}

// clientMessageID makes a UUID of what names a message.
func clientMessageID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = io.WriteString(h, p+"\x00")
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8, of a kind of its own: RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
