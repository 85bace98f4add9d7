package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// answering is an Inbox that has every message answered by the adapter.
type answering struct {
	mu     sync.Mutex
	got    []chat.Inbound
	answer func(m chat.Inbound) []chat.Outbound
	a      *Adapter
}

func (b *answering) Accept(ctx context.Context, m chat.Inbound) error {
	b.mu.Lock()
	b.got = append(b.got, m)
	b.mu.Unlock()
	if m.Text == "lost" {
		return errors.New("the disk is full")
	}
	for i, out := range b.answer(m) {
		out.ID, out.To = fmt.Sprint(m.ID, ".", i), m.Conversation
		if _, err := b.a.Send(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

func (b *answering) texts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, m := range b.got {
		all = append(all, m.Text)
	}
	return all
}

// reply answers by what the message asks for.
func replyTo(m chat.Inbound) []chat.Outbound {
	switch {
	case strings.HasPrefix(m.Text, "refuse"):
		return []chat.Outbound{{Text: "You may not.", Refused: true}}
	case strings.HasPrefix(m.Text, "fail"):
		return []chat.Outbound{{Card: card(chat.MarkFailed, m.Text, nil)}}
	case strings.HasPrefix(m.Text, "slow"):
		return []chat.Outbound{
			{Card: card(chat.MarkRunning, m.Text, nil)},
			{Text: "half way"}, // said by the agent; no answer yet
		}
	case strings.HasPrefix(m.Text, "local"):
		return []chat.Outbound{
			{Card: card(chat.MarkRunning, m.Text, nil)},
			{Card: card(chat.MarkSucceeded, m.Text, nil)},
		}
	}
	return []chat.Outbound{{Text: "Here is help."}}
}

func session(t *testing.T, in io.Reader) (*Adapter, *answering, *strings.Builder) {
	t.Helper()
	var out strings.Builder
	inbox := &answering{answer: replyTo}
	a, err := New(Config{User: "ada", In: in, Out: &out}, chat.Env{Account: "terminal", Inbox: inbox})
	if err != nil {
		t.Fatal(err)
	}
	inbox.a = a
	return a, inbox, &out
}

// run runs the adapter until the returned function is called.
func run(t *testing.T, a *Adapter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		want Outcome
		ok   bool
	}{
		"nothing":          {"", Outcome{}, true},
		"blank lines":      {"\n  \n\r\n", Outcome{}, true},
		"one job":          {"local hello\n", Outcome{Messages: 1, Succeeded: 1}, true},
		"no end of line":   {"local hello", Outcome{Messages: 1, Succeeded: 1}, true},
		"from Windows":     {"\ufefflocal hello\r\nhelp\r\n", Outcome{Messages: 2, Succeeded: 1}, true},
		"a refused one":    {"refuse\nlocal hello\n", Outcome{Messages: 2, Refused: 1, Succeeded: 1}, false},
		"a failed one":     {"help\nfail\n", Outcome{Messages: 2, Unsuccessful: 1}, false},
		"a lost one":       {"lost\nhelp\n", Outcome{Messages: 2, Lost: 1}, false},
		"one far too long": {strings.Repeat("x", 2*maxLine) + "\nlocal hello\n", Outcome{Messages: 2, Refused: 1, Succeeded: 1}, false},
		"too long, at end": {strings.Repeat("x", 2*maxLine), Outcome{Messages: 1, Refused: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, inbox, out := session(t, strings.NewReader(c.in))
			stop := run(t, a)
			defer stop()
			if err := a.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := a.Outcome(); got != c.want {
				t.Errorf("outcome %+v, want %+v", got, c.want)
			}
			if a.Outcome().OK() != c.ok {
				t.Errorf("OK is %t, want %t", !c.ok, c.ok)
			}
			for _, text := range inbox.texts() {
				if strings.ContainsAny(text, "\r\n\ufeff") {
					t.Errorf("a message has the end of its line: %q", text)
				}
			}
			if strings.Contains(out.String(), "\x1b") || strings.Contains(out.String(), "skadi>") {
				t.Errorf("a pipe got colours or a prompt: %q", out.String())
			}
		})
	}
}

func TestEveryMessageIsAnsweredByItsJob(t *testing.T) {
	t.Parallel()
	a, inbox, _ := session(t, strings.NewReader("slow one\nlocal hello\n"))
	stop := run(t, a)
	defer stop()
	<-a.Done()
	if n := a.Pending(); n != 1 {
		t.Fatalf("%d messages are pending, want the slow one", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	slow := inbox.got[0]
	if _, err := a.Send(t.Context(), chat.Outbound{ID: "end", To: slow.Conversation, Card: card(chat.MarkExpired, "slow", nil)}); err != nil {
		t.Fatal(err)
	}
	if err := a.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := a.Outcome(), (Outcome{Messages: 2, Succeeded: 1, Unsuccessful: 1}); got != want {
		t.Errorf("outcome %+v, want %+v", got, want)
	}
}

func TestRepliesOfEarlierSessionsCountForNothing(t *testing.T) {
	t.Parallel()
	a, _, out := session(t, strings.NewReader(""))
	for i, data := range []string{`{"in_reply_to":"earlier-1"}`, ``, `7`} {
		to := chat.ConversationRef{Account: "terminal", Key: conversationKey, Data: []byte(data)}
		if _, err := a.Send(t.Context(), chat.Outbound{ID: fmt.Sprint(i), To: to, Card: card(chat.MarkFailed, data, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.Outcome(); got != (Outcome{}) {
		t.Errorf("outcome %+v", got)
	}
	if strings.Count(out.String(), "#k7f3q2") != 3 {
		t.Errorf("they were not printed: %q", out.String())
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{User: "a b"}, chat.Env{}); err == nil {
		t.Error("a user with a blank was taken")
	}
	a, err := Factory(func(any) error { return nil }, chat.Env{Account: "terminal"})
	if err != nil {
		t.Fatal(err)
	}
	if a.(*Adapter).cfg.User == "" {
		t.Error("nobody is the user")
	}
	if _, err := Factory(func(any) error { return errors.New("line 3") }, chat.Env{}); err == nil {
		t.Error("a block that cannot be decoded was taken")
	}
}

// typist is a person at a terminal: what it types is read key by key.
type typist struct {
	adapter *Adapter
	inbox   *answering
	keys    *io.PipeWriter
	display *display
	undone  chan struct{}
}

// display is what a terminal was sent.
type display struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{}
}

func (d *display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
	return d.text.Write(p)
}

// until waits until the display was sent text, and returns everything.
func (d *display) until(t *testing.T, text string) string {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		d.mu.Lock()
		all, changed := d.text.String(), d.changed
		d.mu.Unlock()
		if strings.Contains(all, text) {
			return all
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("the terminal never got %q, but %q", text, all)
		}
	}
}

// sit seats somebody at a terminal that needs no raw mode.
func sit(t *testing.T) *typist {
	t.Helper()
	r, w := io.Pipe()
	d := &display{changed: make(chan struct{})}
	inbox := &answering{answer: replyTo}
	a, err := New(Config{User: "ada", In: r, Out: d}, chat.Env{Account: "terminal", Inbox: inbox})
	if err != nil {
		t.Fatal(err)
	}
	inbox.a = a
	p := &typist{adapter: a, inbox: inbox, keys: w, display: d, undone: make(chan struct{})}
	a.screen.interactive = true
	a.screen.raw = func() (control, error) {
		return control{
			size: func() (int, int, error) { return 80, 24, nil },
			undo: func() error { close(p.undone); return nil },
		}, nil
	}
	t.Cleanup(func() { _ = w.Close() })
	return p
}

func (p *typist) keysOf(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(p.keys, text); err != nil {
		t.Fatal(err)
	}
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	p := sit(t)
	stop := run(t, p.adapter)
	defer stop()
	p.display.until(t, "skadi> ")
	p.keysOf(t, "help\r")
	all := p.display.until(t, "Here is help.\r\n")
	if !strings.Contains(all, "skadi> h") {
		t.Errorf("what was typed is not at the prompt: %q", all)
	}
	p.keysOf(t, "\x1b[A\r") // the history
	p.keysOf(t, "local 你好")
	// What comes meanwhile is put above the line, and the line comes back.
	_, err := p.adapter.Send(t.Context(), chat.Outbound{ID: "x", Text: "in between"})
	if err != nil {
		t.Fatal(err)
	}
	p.display.until(t, "\r\x1b[Jin between\r\nskadi> local 你好")
	p.keysOf(t, "\r")
	p.display.until(t, "✓ #k7f3q2 local local 你好\r\n")
	p.keysOf(t, "\x04") // Ctrl-D
	<-p.adapter.Done()
	<-p.undone
	if p.adapter.Interrupted() {
		t.Error("the end of the input counts as Ctrl-C")
	}
	if got := strings.Join(p.inbox.texts(), "|"); got != "help|help|local 你好" {
		t.Errorf("the messages were %q", got)
	}
	// Afterwards lines are printed as on a pipe.
	if _, err := io.WriteString(p.adapter.Writer(), "draining\x1b[2J\n"); err != nil {
		t.Fatal(err)
	}
	p.display.until(t, "draining\n")
}

func TestCtrlC(t *testing.T) {
	t.Parallel()
	p := sit(t)
	stop := run(t, p.adapter)
	defer stop()
	p.display.until(t, "skadi> ")
	p.keysOf(t, "local half a mess\x03")
	<-p.adapter.Done()
	<-p.undone
	if !p.adapter.Interrupted() {
		t.Error("Ctrl-C is not known as such")
	}
	if got := p.inbox.texts(); len(got) != 0 {
		t.Errorf("half a message was sent: %q", got)
	}
}

func TestEndOfRunLeavesRawMode(t *testing.T) {
	t.Parallel()
	p := sit(t)
	stop := run(t, p.adapter)
	p.display.until(t, "skadi> ")
	stop()
	<-p.undone
	<-p.adapter.Done()
}
