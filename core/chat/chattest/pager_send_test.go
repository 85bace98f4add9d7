package chattest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

var pagerWrite = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (p *pager) escape(text string, limit int) string {
	if p.is("does not escape") {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		piece := pagerWrite.Replace(string(r))
		if b.Len()+len(piece) > limit && !p.is("too long for the channel") {
			break
		}
		b.WriteString(piece)
	}
	return b.String()
}

func (p *pager) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	var to pagerRef
	if err := json.Unmarshal(m.To.Data, &to); err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf("the reference is broken: %w", err)}
	}
	if q := m.To.Quota; q != nil {
		if err := p.within(ctx, *q, string(m.To.Data)); err != nil {
			if p.is("says too much to nobody") {
				err = nil
			}
			return chat.MessageRef{}, err
		}
	}
	post := pagerPost{Room: to.Room, Thread: to.Thread, Files: m.Files}
	if p.is("replies beside the thread") {
		post.Thread = ""
	}
	post.Text = p.escape(m.Text, pagerLongest-200)
	if c := m.Card; c != nil {
		head := c.Code + " " + c.Agent + " " + p.escape(c.Message, 2000) + " "
		if p.is("no code") {
			head = head[len(c.Code):]
		}
		post.Text, post.Buttons = head+p.escape(c.Note, 500)+"\n"+p.escape(c.Output, pagerLongest-len(head)-1000), c.Buttons
	}
	if m.Mention != nil && !p.is("mentions nobody") {
		post.Text = "<@" + m.Mention.User + "> " + post.Text
	}
	if p.is("drops files") {
		post.Files = nil
	}
	path := "/messages"
	if m.Edit != nil && !p.is("edits by a new message") {
		path += "/" + m.Edit.ID
	}
	ref, err := p.call(ctx, path, post)
	if m.Edit != nil && err != nil && p.is("edits what is no more for ever") {
		err = &chat.SendError{Class: chat.Temporary, Err: err}
	}
	return ref, err
}

var errSpent = errors.New("no more may be said in answer to it")

// within counts what was said in answer to a message.
func (p *pager) within(ctx context.Context, q chat.Quota, key string) error {
	spent := &chat.SendError{Class: chat.Gone, Err: errSpent}
	if p.is("quota is temporary") {
		spent.Class = chat.Temporary
	}
	key += q.Until.String()
	n, _, err := p.env.KV.Get(ctx, key)
	if err != nil {
		return err
	}
	if len(n) >= q.Messages || p.env.Clock().After(q.Until) {
		return spent
	}
	return p.env.KV.Set(ctx, key, append(n, 'x'), 0)
}

func (p *pager) call(ctx context.Context, path string, post pagerPost) (chat.MessageRef, error) {
	body, err := json.Marshal(post)
	if err != nil {
		return chat.MessageRef{}, err
	}
	if p.is("ignores its context") {
		ctx = context.WithoutCancel(ctx)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.api+path, bytes.NewReader(body))
	if err != nil {
		return chat.MessageRef{}, err
	}
	r.Header.Set("Authorization", "Bearer "+pagerToken)
	answer, err := p.client.Do(r)
	if err != nil {
		switch p.fault {
		case "classifies nothing":
			return chat.MessageRef{}, err
		case "gives up on the network":
			return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
		}
		return chat.MessageRef{}, &chat.SendError{Class: chat.Temporary, Err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return chat.MessageRef{}, p.refused(answer)
	}
	var ref chat.MessageRef
	if err := json.NewDecoder(answer.Body).Decode(&ref); err != nil && !p.is("believes any answer") {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Temporary, Err: fmt.Errorf("the answer cannot be read: %w", err)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loggedIn = path != "/me"
	return ref, nil
}

// refused classifies a status.
func (p *pager) refused(answer *http.Response) error {
	e := &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf("it answered %s", answer.Status)}
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Class = chat.Auth
	case code == http.StatusNotFound || code == http.StatusGone:
		e.Class = chat.Gone
	case code == http.StatusTooManyRequests:
		e.Class = chat.RateLimited
	case code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooEarly:
		e.Class = chat.Temporary
	}
	if !p.is("no patience") {
		e.RetryAfter = p.after(answer.Header.Get("Retry-After"))
	}
	switch {
	case p.is("credentials are temporary") && e.Class == chat.Auth,
		p.is("429 is temporary") && e.Class == chat.RateLimited,
		p.is("gone is temporary") && e.Class == chat.Gone:
		e.Class = chat.Temporary
	case p.is("408 is permanent") && answer.StatusCode == http.StatusRequestTimeout:
		e.Class = chat.Permanent
	case p.is("tells a secret"):
		e.Err = fmt.Errorf("%w: with the token %s", e.Err, pagerToken)
	}
	return e
}

func (p *pager) after(text string) time.Duration {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		if p.is("negative patience") {
			return time.Duration(n) * time.Second
		}
		return time.Duration(max(n, 0)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil || p.is("no dates") {
		return 0
	}
	return max(at.Sub(p.env.Clock()), 0)
}
