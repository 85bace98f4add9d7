package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// maxDescription is how long the description of a commit's status may be.
	// GitHub takes 140 characters, GitLab 255:
	// https://docs.github.com/rest/commits/statuses#create-a-commit-status
	maxDescription = 140
	// maxTitle is how much of a job's message a description shows, so that
	// there is room for how it ended.
	maxTitle = 60
)

// Send implements chat.Adapter: it adds a status to the commit.
func (a *Adapter) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	c, err := conversationOf(m.To)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	// The newest status counts, so none may come after how a job ended.
	if c.API == "" || c.Words && m.Card != nil || m.Continues {
		a.env.Logger.DebugContext(ctx, "nobody is told", "message", m.ID, "text", oneLine(m.Text, maxDescription))
		return chat.MessageRef{ID: m.ID}, nil
	}
	token, target, ok := a.credentials(c)
	if !ok {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf(
			"no rule has a commit_status named %q with the API of %s any more", c.Context, hostOf(c.API))}
	}
	req, err := a.request(ctx, c, token, target, m)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Permanent, Err: err}
	}
	got, err := exchange(a.env.HTTP, req, a.env.Clock)
	if err != nil {
		return chat.MessageRef{}, &chat.SendError{Class: chat.Temporary, Err: fmt.Errorf("calling %s: %w", hostOf(c.API), err)}
	}
	id, err := got.created(a.cfg.Provider, hostOf(c.API))
	if err != nil {
		return chat.MessageRef{}, err
	}
	return chat.MessageRef{ID: id}, nil
}

// credentials returns what the config has for a conversation: its token, and
// where people are led. The token goes to the API that it stands beside, and to
// no other.
func (a *Adapter) credentials(c conversation) (token chat.Secret, target string, ok bool) {
	for _, r := range a.rules {
		s := r.replies.status
		if s != (CommitStatus{}) && s.api(a.cfg.Provider) == c.API && s.context() == c.Context {
			return s.Token, s.TargetURL, true
		}
	}
	return "", "", false
}

// request makes the call that adds a status:
// https://docs.github.com/rest/commits/statuses#create-a-commit-status and
// https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
func (a *Adapter) request(ctx context.Context, c conversation, token chat.Secret, target string, m chat.Outbound) (*http.Request, error) {
	body := map[string]string{"state": githubState(m), "context": c.Context, "description": describe(m)}
	to := c.API + "/repos/" + c.Repo + "/statuses/" + c.SHA
	if a.cfg.Provider == GitLab {
		body["state"] = gitlabState(m)
		to = c.API + "/projects/" + url.PathEscape(c.Repo) + "/statuses/" + c.SHA
	}
	if target != "" && m.Card != nil {
		body["target_url"] = strings.ReplaceAll(target, codePart, url.PathEscape(m.Card.Code))
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(data))
	if err != nil {
		return nil, errors.New("the address of the commit's status cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "skadi")
	if a.cfg.Provider == GitLab {
		req.Header.Set("Private-Token", token.Reveal())
		return req, nil
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-Github-Api-Version", "2022-11-28")
	return req, nil
}

// githubState is a message as one of error, failure, pending and success.
func githubState(m chat.Outbound) string {
	switch {
	case m.Card == nil && m.Refused:
		return "error"
	case m.Card == nil:
		return "success"
	}
	switch m.Card.Mark {
	case chat.MarkWaiting, chat.MarkRunning:
		return "pending"
	case chat.MarkSucceeded:
		return "success"
	case chat.MarkFailed:
		return "failure"
	case chat.MarkExpired, chat.MarkCanceled:
	}
	return "error"
}

// gitlabState is a message as one of pending, running, success, failed and
// canceled.
func gitlabState(m chat.Outbound) string {
	switch {
	case m.Card == nil && m.Refused:
		return "failed"
	case m.Card == nil:
		return "success"
	}
	switch m.Card.Mark {
	case chat.MarkWaiting:
		return "pending"
	case chat.MarkRunning:
		return "running"
	case chat.MarkSucceeded:
		return "success"
	case chat.MarkCanceled:
		return "canceled"
	case chat.MarkFailed, chat.MarkExpired:
	}
	return "failed"
}

// describe says on one line what a message says.
func describe(m chat.Outbound) string {
	c := m.Card
	if c == nil {
		return oneLine(m.Text, maxDescription)
	}
	parts := []string{fmt.Sprintf("#%s %s %s", c.Code, c.Agent, oneLine(c.Message, maxTitle))}
	if c.Mark == chat.MarkCanceled || c.Mark == chat.MarkExpired { // both are an error
		parts = append(parts, string(c.Mark))
	}
	if c.ExitCode != nil && *c.ExitCode != 0 {
		parts = append(parts, fmt.Sprintf("exit %d", *c.ExitCode))
	}
	if c.Elapsed > 0 {
		parts = append(parts, c.Elapsed.Round(time.Second).String())
	}
	parts = append(parts, c.Note)
	if c.Final {
		parts = append(parts, lastLine(c.Output))
	}
	return oneLine(strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " · "), maxDescription)
}

// lastLine returns the last line of an output that is not blank.
func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return lines[len(lines)-1]
}

// oneLine puts text on one line of at most limit characters.
func oneLine(text string, limit int) string {
	const enough = 4 * utf8.UTFMax // a long text need not be read to its end
	if most := enough * limit; len(text) > most {
		text = text[:most]
	}
	line := []rune(strings.Join(strings.Fields(chat.Readable(text)), " "))
	if len(line) > limit {
		line = append(line[:limit-1], '…')
	}
	return string(line)
}

func hostOf(api string) string {
	if u, err := url.Parse(api); err == nil && u.Host != "" {
		return u.Host
	}
	return "the API"
}
