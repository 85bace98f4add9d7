package terminal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	chattest.Run(t, chattest.Harness{
		Conversations: 1, RunsOnce: true, CallsNobody: "it reads from a terminal",
		Start: startPipe,
		Displays: strings.NewReplacer(
			"\x1b[2J", "", "\x1b[31m", "", "\x1b]0;title\x07", "", "\u202e", `\u202e`).Replace,
		DisplaysOutput: func(text string) string { return strings.ReplaceAll(text, "\n", "\n  ") },
		Bad: []chattest.Bad{
			{Name: "empty", Do: line("")},
			{Name: "blank line", Do: line(" \t ")},
			{Name: "line without end", Do: line(strings.Repeat("x", 2<<20))},
		},
		Failures: []chattest.Failure{{
			Name: "output closed", Class: chat.Permanent,
			Set: func(_ *testing.T, f chattest.Far) { f.(*pipe).out.fail() },
		}},
	})
}

func line(text string) func(*testing.T, chattest.Far) int {
	return func(t *testing.T, f chattest.Far) int {
		f.(*pipe).write(t, text+"\n")
		return 0
	}
}

// pipe is a person at the other end of two pipes.
type pipe struct {
	adapter *Adapter
	in      *io.PipeWriter
	out     *output
	acks    chan error
}

func startPipe(t *testing.T, env chat.Env) chattest.Far {
	r, w := io.Pipe()
	p := &pipe{in: w, out: &output{}, acks: make(chan error, 10)}
	env.Inbox = watched{env.Inbox, p.acks}
	a, err := New(Config{User: "ada", In: r, Out: p.out}, env)
	if err != nil {
		t.Fatal(err)
	}
	p.adapter = a
	t.Cleanup(func() { _ = w.Close() })
	return p
}

// watched tells when a message was handed in, and how that went.
type watched struct {
	chat.Inbox
	acks chan error
}

func (w watched) Accept(ctx context.Context, m chat.Inbound) (err error) {
	err = errPanicked // unless it returns
	defer func() { w.acks <- err }()
	return w.Inbox.Accept(ctx, m)
}

var errPanicked = errors.New("panicked")

func (p *pipe) Adapter() chat.Adapter { return p.adapter }

func (p *pipe) write(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.in, text); err != nil {
		t.Fatal(err)
	}
}

// Say implements chattest.Far. What could not be stored is gone, so the
// person must be told.
func (p *pipe) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	before := len(p.out.String())
	p.write(t, m.Text+"\n")
	if err := <-p.acks; err == nil {
		return chattest.Receipt{Taken: true}
	}
	return chattest.Receipt{Taken: true, Told: p.out.longerThan(before)[before:]}
}

func (p *pipe) Expect(m chattest.Message) chat.Inbound {
	return chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, User: "ada"},
		Conversation: chat.ConversationRef{Account: chattest.Account},
		Text:         m.Text, Direct: true, Addressed: true,
	}
}

func (p *pipe) Shown(*testing.T) []chattest.Shown {
	return []chattest.Shown{{Text: p.out.String()}}
}

// output is what is printed; it can fail.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	failing bool
	changed chan struct{}
}

func (s *output) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = true
}

func (s *output) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing {
		return 0, io.ErrClosedPipe
	}
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return s.b.Write(p)
}

func (s *output) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// longerThan returns the text once it has more than n bytes.
func (s *output) longerThan(n int) string {
	return s.until(func(text string) bool { return len(text) > n })
}

// until returns the text once it is as wanted, or after a long while.
func (s *output) until(wanted func(string) bool) string {
	late := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		text := s.b.String()
		if wanted(text) {
			s.mu.Unlock()
			return text
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			return s.String()
		}
	}
}
