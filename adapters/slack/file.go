package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// postedFor is how long it is remembered that a message was posted whose files
// were not attached yet.
const postedFor = 24 * time.Hour

// upload brings the bytes of a message's files to Slack, where nobody sees them
// before they are attached. If Slack takes no files, the message that it
// returns says why, and is sent without them.
// https://docs.slack.dev/messaging/working-with-files#upload
func (s *sender) upload(ctx context.Context, m chat.Outbound) ([]slack.FileSummary, chat.Outbound, error) {
	var files []slack.FileSummary
	for _, f := range m.Files {
		if f.Text == "" { // Slack takes none without content
			continue
		}
		id, err := s.uploadOne(ctx, f)
		if isClass(err, chat.Permanent) {
			s.env.Logger.Warn("Slack takes no file", "message", m.ID, "err", err)
			return nil, withoutFiles(m, err), nil
		}
		if err != nil {
			return nil, m, err
		}
		files = append(files, slack.FileSummary{ID: id, Title: fileName(f.Name)})
	}
	return files, m, nil
}

func (s *sender) uploadOne(ctx context.Context, f chat.File) (id string, err error) {
	place, err := s.api.GetUploadURLExternalContext(ctx, slack.GetUploadURLExternalParameters{
		FileName: fileName(f.Name), FileSize: len(f.Text),
	})
	if err == nil && (place.FileID == "" || place.UploadURL == "") {
		err = errors.New("the answer names no place for it")
	}
	if err != nil {
		return "", fileError("asking where to upload a file", err)
	}
	if err := s.put(ctx, place.UploadURL, f.Text); err != nil {
		return "", fileError("uploading a file", err)
	}
	return place.FileID, nil
}

// put sends the bytes of a file. The address that Slack gave is all it takes;
// slack-go would send the token along.
func (s *sender) put(ctx context.Context, to, text string) error {
	if !s.isUploadURL(to) {
		return errors.New("the place for it is none of Slack's")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(text))
	if err != nil {
		return errors.New("the place for it is no address")
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	answer, err := s.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// isUploadURL reports whether output may be sent to an address: to Slack's, or
// to the host of the Web API that was set in the config.
func (s *sender) isUploadURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if u.Scheme == "https" && (strings.HasSuffix(host, ".slack.com") || strings.HasSuffix(host, ".slack-gov.com")) {
		return true
	}
	own, err := url.Parse(s.apiURL)
	return err == nil && u.Scheme == own.Scheme && u.Host == own.Host
}

// attach shows uploaded files: in the thread of their message, or below it.
func (s *sender) attach(ctx context.Context, c conversation, m chat.Outbound, ref chat.MessageRef, files []slack.FileSummary) error {
	channel, thread := c.Channel, c.Thread
	if ref.ID == responded { // a response_url takes no files
		ref, err := s.direct(ctx, c, chat.Outbound{ID: m.ID + ".files", To: m.To, Text: "Here is what would not fit."})
		if err != nil {
			return err
		}
		channel, thread = channelOf(ref, c.User), ref.ID
	} else if at := channelOf(ref, channel); isNamed(ref) && (at != channel || thread == "" && !strings.HasPrefix(at, "D")) {
		channel, thread = at, ref.ID
	}
	done, err := s.api.CompleteUploadExternalContext(ctx, slack.CompleteUploadExternalParameters{
		Files: files, Channel: channel, ThreadTimestamp: thread,
	})
	if err == nil && len(done.Files) == 0 {
		err = errors.New("the answer names no file")
	}
	return fileError("attaching files", err)
}

// channelOf is the channel that a message is in.
func channelOf(ref chat.MessageRef, otherwise string) string {
	var at sent
	if json.Unmarshal(ref.Data, &at) != nil || at.Channel == "" {
		return otherwise
	}
	return at.Channel
}

// fileError classifies an error about files. What the app may not do with files
// says nothing about its messages.
func fileError(doing string, err error) error {
	err = classify(doing, err)
	var se *chat.SendError
	if errors.As(err, &se) && refusedWith(err, "missing_scope", "not_allowed_token_type") {
		se.Class = chat.Permanent
	}
	return err
}

// withoutFiles makes a message say why its files are missing.
func withoutFiles(m chat.Outbound, why error) chat.Outbound {
	m.Files = nil
	var se *chat.SendError
	if errors.As(why, &se) {
		why = se.Err
	}
	note := fmt.Sprintf("The file with all of it could not be attached: %v.", why)
	if m.Card == nil {
		m.Text += "\n" + note
		return m
	}
	card := *m.Card
	card.More = note
	m.Card = &card
	return m
}

// regret makes a message that was posted already say that its files are
// missing.
func (s *sender) regret(ctx context.Context, c conversation, m chat.Outbound, ref chat.MessageRef, why error) {
	if !isNamed(ref) {
		return
	}
	m = withoutFiles(m, why)
	m.Edit = &ref
	if _, err := s.edit(ctx, c, m); err != nil {
		s.env.Logger.Warn("a message promises a file that is not there", "message", m.ID, "err", err)
	}
}

// remember notes that a message was posted though its files were not attached.
func (s *sender) remember(ctx context.Context, m chat.Outbound, ref chat.MessageRef) {
	if s.env.KV == nil || m.ID == "" {
		return
	}
	value, err := json.Marshal(ref)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		err = s.env.KV.Set(ctx, postedKey(m), value, postedFor)
	}
	if err != nil {
		s.env.Logger.Warn("a message may be posted twice, because it cannot be noted that it was", "message", m.ID, "err", err)
	}
}

// recall returns the message if an earlier try has posted it.
func (s *sender) recall(ctx context.Context, m chat.Outbound) (chat.MessageRef, bool) {
	var ref chat.MessageRef
	if s.env.KV == nil || len(m.Files) == 0 || m.ID == "" {
		return ref, false
	}
	value, ok, err := s.env.KV.Get(ctx, postedKey(m))
	if err != nil || !ok || json.Unmarshal(value, &ref) != nil || ref.ID == "" {
		return chat.MessageRef{}, false
	}
	return ref, true
}

func postedKey(m chat.Outbound) string { return "posted/" + digestOf(m.ID) }

// fileName is a name that Slack takes.
func fileName(name string) string {
	name = short(oneLine(path.Base(strings.ReplaceAll(name, `\`, "/"))), 100)
	if name == "" || name == "." || name == "/" {
		return "output.txt"
	}
	return name
}
