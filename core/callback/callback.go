// Package callback tells a job's end to the callback_url that was given with
// the job, signed as Standard Webhooks says:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
//
// It is one more place that a status is told in, so that the outbox, the
// retries and the dead letters of package events hold here too.
package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/outward"
)

// Poster makes the calls; *outward.Client is one.
type Poster interface {
	// Check says why a URL may not be called, as far as the URL tells.
	Check(url string) error
	Post(ctx context.Context, url string, header http.Header, body string) (outward.Answer, error)
}

// Config is what a Sender works with. Keys, Client and Show are required.
type Config struct {
	// Keys sign each call, every one of them, so that a receiver may know any.
	Keys   []Key
	Client Poster
	// Show is the job as the API shows it.
	Show  func(job.Job) agentapi.Job
	Clock chat.Clock
}

// Sender calls the URLs. It may be used concurrently.
type Sender struct{ cfg Config }

var (
	_ chat.Adapter  = (*Sender)(nil)
	_ events.Teller = (*Sender)(nil)
)

// New returns a sender.
func New(cfg Config) *Sender {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	return &Sender{cfg: cfg}
}

// Check says why a URL may not be called, or nil.
func (s *Sender) Check(url string) error { return s.cfg.Client.Check(url) }

// Run implements chat.Adapter: nothing comes in.
func (s *Sender) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Capabilities implements chat.Adapter.
func (s *Sender) Capabilities() chat.Capabilities { return chat.Capabilities{} }

// Send implements chat.Adapter. A URL is told how jobs end, and no texts.
func (s *Sender) Send(context.Context, chat.Outbound) (chat.MessageRef, error) {
	return chat.MessageRef{}, fail(chat.Permanent, errors.New("a callback takes no text"))
}

// message is the body of a call.
type message struct {
	// Type is job. and the status.
	Type      string       `json:"type"`
	Timestamp time.Time    `json:"timestamp"`
	Data      agentapi.Job `json:"data"`
}

// Tell implements events.Teller.
func (s *Sender) Tell(ctx context.Context, e job.Event, j job.Job) error {
	if j.CallbackURL == "" {
		return fail(chat.Permanent, errors.New("the job has no callback_url"))
	}
	body, err := json.Marshal(message{Type: "job." + string(e.Status), Timestamp: e.At.UTC(), Data: s.cfg.Show(j)})
	if err != nil {
		return fail(chat.Permanent, fmt.Errorf("the job cannot be shown: %w", err))
	}
	answer, err := s.cfg.Client.Post(ctx, j.CallbackURL, s.header(messageID(e), string(body)), string(body))
	var refused *outward.RefusedError
	switch {
	case errors.As(err, &refused):
		return fail(chat.Permanent, fmt.Errorf("the callback_url may not be called: %w", err))
	case err != nil:
		return fail(chat.Temporary, err)
	}
	return judge(answer, s.cfg.Clock())
}

// messageID names the event: the same on every try. Dots would run into the
// signed text.
func messageID(e job.Event) string { return "msg_" + strings.ReplaceAll(e.ID(), ".", "_") }

func (s *Sender) header(id, body string) http.Header {
	at := strconv.FormatInt(s.cfg.Clock().Unix(), 10)
	return http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {"Skadi"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {at},
		"Webhook-Signature": {sign(s.cfg.Keys, id, at, body)},
	}
}

// maxShown is how much of an answer an error shows, in bytes.
const maxShown = 200

// judge says what an answer means.
func judge(a outward.Answer, now time.Time) error {
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	err := fmt.Errorf("the callback_url answered %d", a.Status)
	if text := strings.Join(strings.Fields(chat.Readable(string(a.Body[:min(len(a.Body), maxShown)]))), " "); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	switch {
	case a.Status == http.StatusGone:
		return fail(chat.Gone, err)
	case a.Status >= 300 && a.Status < 400:
		return fail(chat.Permanent, fmt.Errorf("%w; redirects are not followed: give the address itself", err))
	}
	// Not RateLimited, which would be tried for ever.
	return &chat.SendError{Class: chat.Temporary, RetryAfter: retryAfter(a.Header.Get("Retry-After"), now), Err: err}
}

// retryAfter reads the header of that name; 0 is nothing of use.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

func fail(class chat.Class, err error) error { return &chat.SendError{Class: class, Err: err} }
