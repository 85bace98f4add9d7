// Package room is an adapter for tests: a chat whose messages come in over
// HTTP and whose replies are lines of a file, so that they can be counted even
// if the process that sent them is killed at once.
package room

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// What a conversation's name begins with says how the far side behaves.
const (
	// Limited takes nothing and asks for a long wait.
	Limited = "limited"
	// Failing fails each time.
	Failing = "failing"
)

// DieSuffix ends the name of a file beside Config.File. The process that finds
// it removes it, and kills itself as soon as it has sent a final reply.
const DieSuffix = ".die"

// limitedFor is how long a limited conversation asks to wait.
const limitedFor = 10 * time.Minute

// Config is the adapter's block of the config file.
type Config struct {
	File string `yaml:"file"`
}

// Message is what comes in: the body of a POST.
type Message struct {
	ID           string `json:"id"`
	Conversation string `json:"conversation"`
	Text         string `json:"text"`
}

// Reply is one line of the file.
type Reply struct {
	At           time.Time `json:"at"`
	ID           string    `json:"id"`
	Conversation string    `json:"conversation"`
	Text         string    `json:"text"`
	// Message is the job's, with its mark, if the reply is about a job.
	Message string    `json:"message,omitempty"`
	Mark    chat.Mark `json:"mark,omitempty"`
	Final   bool      `json:"final,omitempty"`
}

// Factory makes the adapter.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	r := &room{env: env}
	if err := decode(&r.cfg); err != nil {
		return nil, err
	}
	if r.cfg.File == "" {
		return nil, errors.New("file is missing")
	}
	return r, nil
}

type room struct {
	cfg Config
	env chat.Env
	mu  sync.Mutex // one line at a time
}

var _ chat.Pushed = (*room)(nil)

func (r *room) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (r *room) Capabilities() chat.Capabilities {
	return chat.Capabilities{Edit: true, LiveInterval: time.Second}
}

func (r *room) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var m Message
		if err := json.NewDecoder(q.Body).Decode(&m); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		err := r.env.Inbox.Accept(q.Context(), chat.Inbound{
			ID:           m.ID,
			Sender:       chat.Sender{Account: r.env.Account, User: "U1", Name: "Ada"},
			Conversation: chat.ConversationRef{Account: r.env.Account, Key: m.Conversation},
			Text:         m.Text, Direct: true, Addressed: true, At: r.env.Clock(),
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}

func (r *room) Send(_ context.Context, m chat.Outbound) (chat.MessageRef, error) {
	switch {
	case strings.HasPrefix(m.To.Key, Limited):
		return chat.MessageRef{}, &chat.SendError{Class: chat.RateLimited, RetryAfter: limitedFor, Err: errors.New("too many")}
	case strings.HasPrefix(m.To.Key, Failing):
		return chat.MessageRef{}, &chat.SendError{Class: chat.Temporary, Err: errors.New("it always fails")}
	}
	line := Reply{At: time.Now(), ID: m.ID, Conversation: m.To.Key, Text: m.Text}
	if m.Card != nil {
		line.Message, line.Mark, line.Final = m.Card.Message, m.Card.Mark, m.Card.Final
	}
	if err := r.write(line); err != nil {
		return chat.MessageRef{}, err
	}
	// Who can remove the file is the one to die.
	if line.Final && os.Remove(r.cfg.File+DieSuffix) == nil {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		return chat.MessageRef{}, errors.Join(errors.New("it should be dead"), err)
	}
	return chat.MessageRef{ID: m.ID}, nil
}

// write appends one line in one write, which other processes do not tear.
func (r *room) write(line Reply) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.OpenFile(r.cfg.File, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}
