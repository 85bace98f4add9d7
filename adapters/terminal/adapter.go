// Package terminal is the channel of one person at a terminal, or of a pipe:
// each line of the input is a message, and replies are printed.
package terminal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Kind is the adapter's name in the config.
const Kind = "terminal"

const (
	// conversationKey names the one conversation that a terminal has.
	conversationKey = "terminal"
	// liveInterval is the shortest time between two prints of a job's output.
	liveInterval = 50 * time.Millisecond
	// repeatsKnown is how many messages are remembered, to print none twice.
	repeatsKnown = 1000
)

// Config is the adapter's block in the config.
type Config struct {
	// User is who types: the user part of the principal. Empty stands for the
	// user whom the process runs as.
	User string `yaml:"user,omitempty" json:"user,omitempty" doc:"Who types: the user part of the principal. Without it, the user whom the process runs as."`
	// Name is shown to others; empty stands for User.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	// Prompt is shown where a message can be typed.
	Prompt string `yaml:"prompt,omitempty" json:"prompt,omitempty" doc:"What is shown where a message can be typed."`

	// In and Out are where messages are read and replies are printed; nil
	// stands for the process's standard input and output. If both are
	// terminals there is a prompt with line editing and a history.
	In  io.Reader `yaml:"-" json:"-"`
	Out io.Writer `yaml:"-" json:"-"`
}

// Factory makes a terminal of its block in the config.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// Adapter is one session at a terminal or a pipe.
type Adapter struct {
	cfg     Config
	env     chat.Env
	session string // makes the messages' IDs unique
	anybody bool   // the config does not say who types
	screen  *screen

	track tracker

	once sync.Once
	done chan struct{} // closed when no more input comes

	mu          sync.Mutex
	jobs        map[string]*shownJob
	known       map[string]bool // IDs of messages that were printed
	knownInTurn []string
	interrupted bool
}

var _ chat.Adapter = (*Adapter)(nil)

// New makes a terminal. It reads nothing before Run.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	anybody := cfg.User == ""
	if anybody {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("user: is not set, and the system does not say who runs this: %w", err)
		}
		cfg.User = u.Username
	}
	if strings.ContainsAny(cfg.User, "/* \t\n") {
		return nil, fmt.Errorf("user: %q has a character that no user of a principal may have", cfg.User)
	}
	if cfg.Name == "" {
		cfg.Name = cfg.User
	}
	if cfg.Prompt == "" {
		cfg.Prompt = "skadi> "
	}
	if cfg.In == nil {
		cfg.In = os.Stdin
	}
	if cfg.Out == nil {
		cfg.Out = os.Stdout
	}
	if env.Clock == nil {
		env.Clock = time.Now
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	return &Adapter{
		cfg: cfg, env: env, anybody: anybody, session: rand.Text(), screen: newScreen(cfg),
		track: tracker{open: make(map[string]bool), changed: make(chan struct{})},
		done:  make(chan struct{}),
		jobs:  make(map[string]*shownJob),
		known: make(map[string]bool),
	}, nil
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities {
	return chat.Capabilities{Edit: true, Append: true, LiveInterval: liveInterval}
}

// Run reads messages until the input ends or Ctrl-C is typed, and returns when
// ctx ends. A read that blocks outlives Run, for nothing can end it.
func (a *Adapter) Run(ctx context.Context) error {
	defer a.end()
	a.once.Do(func() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = a.env.Guard(ctx, "reading the terminal", func() error { a.read(ctx); return nil })
		}()
		select {
		case <-ended:
		case <-ctx.Done():
		}
		a.screen.restore()
		a.end()
	})
	<-ctx.Done()
	return nil
}

// end says that no more input comes.
func (a *Adapter) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.done:
	default:
		close(a.done)
	}
}

// reply is the adapter's part of a conversation reference: which message the
// reply answers.
type reply struct {
	To string `json:"in_reply_to"`
}

// accept hands a line in, and tells at once if that fails.
func (a *Adapter) accept(ctx context.Context, n int, text string) {
	id := fmt.Sprintf("%s-%d", a.session, n)
	data, err := json.Marshal(reply{To: id})
	if err != nil {
		panic("a struct of one string cannot be encoded: " + err.Error())
	}
	a.track.asked(id)
	err = a.env.Guard(ctx, "handing in a line", func() error {
		return a.env.Inbox.Accept(ctx, chat.Inbound{
			ID:           id,
			Sender:       chat.Sender{Account: a.env.Account, User: a.cfg.User, Name: a.cfg.Name},
			Conversation: chat.ConversationRef{Account: a.env.Account, Key: conversationKey, Data: data},
			Text:         text,
			Direct:       true, Addressed: true,
			At: a.env.Clock(),
		})
	})
	if err != nil {
		a.track.lost(id)
		a.screen.print(a.screen.style.complaint("Not accepted: "+err.Error()) + "\n")
	}
}

// Send prints a message, or what is new of an edited one. A message that was
// printed already is not printed again. The only error is that of the output,
// which is Permanent.
func (a *Adapter) Send(_ context.Context, m chat.Outbound) (chat.MessageRef, error) {
	ref := chat.MessageRef{ID: m.ID}
	if m.Edit != nil {
		ref = *m.Edit
	}
	if err := a.print(m); err != nil {
		return ref, &chat.SendError{Class: chat.Permanent, Err: fmt.Errorf("printing a reply: %w", err)}
	}
	var to reply
	if err := json.Unmarshal(m.To.Data, &to); err == nil {
		a.track.told(to.To, m)
	}
	return ref, nil
}

// print formats and prints under one lock, so that messages do not mix.
func (a *Adapter) print(m chat.Outbound) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known[m.ID] {
		return nil
	}
	var text string
	if m.Card != nil {
		text = a.card(*m.Card)
	} else {
		text = a.screen.style.text(m)
	}
	if text != "" {
		if err := a.screen.print(text); err != nil {
			a.track.broken()
			return err
		}
	}
	a.known[m.ID] = true
	a.knownInTurn = append(a.knownInTurn, m.ID)
	if len(a.knownInTurn) > repeatsKnown {
		delete(a.known, a.knownInTurn[0])
		a.knownInTurn = a.knownInTurn[1:]
	}
	return nil
}

// Done is closed when no more messages are read: at the end of the input, after
// Ctrl-C, and when Run ends.
func (a *Adapter) Done() <-chan struct{} { return a.done }

// Interrupted reports whether Ctrl-C was typed at the prompt.
func (a *Adapter) Interrupted() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.interrupted
}

// Interactive reports whether there is a prompt.
func (a *Adapter) Interactive() bool { return a.screen.interactive }

// Pending returns how many accepted messages have no answer printed yet. A
// message that made a job is answered when the job's final status is printed.
func (a *Adapter) Pending() int { return a.track.pending() }

// Outcome says how the messages went so far.
func (a *Adapter) Outcome() Outcome { return a.track.result() }

// Wait returns when the input has ended and every accepted message is
// answered, or with ctx's error.
func (a *Adapter) Wait(ctx context.Context) error {
	select {
	case <-a.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return a.track.wait(ctx)
}

// Writer prints lines above the prompt, for what is no reply. Text that is
// written is made harmless to the terminal.
func (a *Adapter) Writer() io.Writer { return lineWriter{a.screen} }

type lineWriter struct{ *screen }

func (w lineWriter) Write(p []byte) (int, error) {
	if err := w.print(chat.Readable(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// errTooLong is the error of a line that is not taken at all.
var errTooLong = errors.New("the line is too long")
