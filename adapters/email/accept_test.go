package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/adapters/email/mailbox"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// shelf keeps what is handed in.
type shelf struct {
	got  []chat.Inbound
	fail error
}

func (s *shelf) Accept(_ context.Context, m chat.Inbound) error {
	if s.fail == nil {
		s.got = append(s.got, m)
	}
	return s.fail
}

// holder lets everybody have every lease.
type holder struct{ *memory }

func (holder) Acquire(context.Context, string, time.Duration) (int64, bool, error) {
	return 1, true, nil
}

// desk is an adapter whose mail the test hands in itself.
type desk struct {
	*far
	t     *testing.T
	shelf *shelf
	log   *bytes.Buffer
}

func newDesk(t *testing.T, change func(c *Config)) *desk {
	t.Helper()
	d := &desk{t: t, shelf: &shelf{}, log: &bytes.Buffer{}}
	env := chat.Env{
		Account: chattest.Account, Inbox: d.shelf, Clock: time.Now, KV: newMemory(), Lease: holder{newMemory()},
		Logger: slog.New(slog.NewTextHandler(d.log, nil)),
	}
	d.far = startFar(t, env)
	if change != nil {
		change(&d.cfg)
		d.make(env)
	}
	return d
}

// comes hands a mail in, which must be taken.
func (d *desk) comes(raw []byte) {
	d.t.Helper()
	if err := d.adapter.handle(d.t.Context(), mailOf(raw)); err != nil {
		d.t.Errorf("the mail is not taken: %v", err)
	}
}

// says is a signed mail of Ada's.
func (d *desk) says(subject, body string, header ...string) []byte {
	d.t.Helper()
	return signed(d.t, written{
		from: people[0], to: inboxAddress, subject: subject, body: body, header: header, at: time.Now(),
		id: fmt.Sprintf("n-%d@example.org", mails.Add(1)),
	}.bytes())
}

// taken returns the texts that were handed in.
func (d *desk) taken() (texts []string) {
	for _, m := range d.shelf.got {
		texts = append(texts, m.Text)
	}
	return texts
}

// An answer to what we sent is about that job, whatever its subject says; and
// only an answer to what we sent is.
func TestThreads(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.comes(d.says("web-1: deploy", ""))
	first := d.shelf.got[0]
	ref, err := d.adapter.Send(t.Context(), chat.Outbound{ID: "job.2", To: first.Conversation, Text: "done", Card: &chat.Card{Code: "k7f3q2", Final: true}})
	if err != nil {
		t.Fatal(err)
	}
	sent := read(t, d.smtp.received()[0].body)
	refs := "References: " + sent.Header.Get("References") + " " + sent.Header.Get("Message-Id")
	quoted := "rerun\n\nOn Sun, Skadi wrote:\n> done\n"
	d.comes(d.says("Re: web-1: deploy", quoted, "In-Reply-To: <"+ref.ID+">", refs))
	d.comes(d.says("anything else", "why", refs))
	if texts := d.taken(); len(texts) != 3 || texts[1] != "rerun k7f3q2" || texts[2] != "why k7f3q2" {
		t.Fatalf("handed in are %q", texts)
	}
	for _, m := range d.shelf.got[1:] {
		if m.Conversation.Key != first.Conversation.Key || !m.Addressed {
			t.Errorf("the answer came as %+v, want the conversation %q", m, first.Conversation.Key)
		}
	}
	d.shelf.got = nil
	forged := strings.Replace(ref.ID, "k7f3q2", "aaaaaa", 1)
	d.comes(d.says("Re: web-1: deploy", "rerun", "In-Reply-To: <"+forged+">"))
	d.comes(d.says("Re: web-1: deploy", "rerun"))
	for _, m := range d.shelf.got {
		if m.Text != "rerun" || m.Addressed || m.Direct || !m.Followed {
			t.Errorf("an answer to nothing of ours came as %+v", m)
		}
	}
	// Bob is somebody else, and rules decide about him as about anybody.
	d.shelf.got = nil
	d.comes(signed(t, written{from: people[1], to: inboxAddress, subject: "Re: x", body: "cancel", id: "bob@example.org", at: time.Now(), header: []string{refs}}.bytes()))
	if m := d.shelf.got[0]; m.Sender.User != people[1] || m.Text != "cancel k7f3q2" || m.Conversation.Key == first.Conversation.Key {
		t.Errorf("what Bob wrote came as %+v", m)
	}
}

// Two inboxes that write to each other stop at once.
func TestTwoBots(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.comes(d.says("web-1: deploy", ""))
	to := d.shelf.got[0].Conversation
	if _, err := d.adapter.Send(t.Context(), chat.Outbound{ID: "a", To: to, Text: "Not done: nobody knows you.", Refused: true}); err != nil {
		t.Fatal(err)
	}
	answer := d.smtp.received()[0].body
	d.shelf.got = nil
	// As it is, as another inbox's that signs what it sends, and as one that
	// forgets to say that it is a program.
	other := bytes.ReplaceAll(answer, []byte(inboxAddress), []byte("jobs@example.org"))
	other = bytes.ReplaceAll(other, []byte("To: <ada@example.org>"), []byte("To: <"+inboxAddress+">"))
	silent := bytes.Replace(bytes.Replace(other, []byte("Auto-Submitted: auto-replied\r\n"), nil, 1), []byte("X-Auto-Response-Suppress: All\r\n"), nil, 1)
	d.comes(answer)
	d.comes(signed(t, other))
	if n := len(d.shelf.got); n != 0 {
		t.Errorf("%d of the answers were handed in", n)
	}
	d.comes(signed(t, silent))
	for _, m := range d.shelf.got {
		if m.Addressed || m.Direct {
			t.Errorf("what another program answered is taken for a command: %+v", m)
		}
	}
	if n := len(d.smtp.received()); n != 1 {
		t.Errorf("%d mails were sent, want 1", n)
	}
}

// What the adapter refuses is handed in as such.
func TestRefusals(t *testing.T) {
	t.Parallel()
	attached := []string{"Content-Type: multipart/mixed; boundary=B"}
	body := func(disposition string) string {
		return "--B\r\nContent-Type: text/plain\r\n\r\nhello\r\n--B\r\nContent-Type: application/pdf\r\nContent-Disposition: " + disposition + "\r\n\r\nx\r\n--B--\r\n"
	}
	for name, c := range map[string]struct {
		change func(c *Config)
		mails  func(d *desk) [][]byte
		taken  int
		say    string
	}{
		"an attachment": {mails: func(d *desk) [][]byte {
			return [][]byte{d.says("web-1", body("attachment; filename=plan.pdf"), attached...)}
		}, say: "plan.pdf"},
		"several agents": {mails: func(d *desk) [][]byte {
			return [][]byte{signed(d.t, written{from: people[0], to: "inbox+web-1@example.com, inbox+web-2@example.com", subject: "deploy", id: "two@example.org", at: time.Now()}.bytes())}
		}, say: "web-1, web-2"},
		"too many": {change: func(c *Config) { c.Rate = 2 }, mails: func(d *desk) (all [][]byte) {
			for range 5 {
				all = append(all, d.says("web-1: deploy", ""))
			}
			return all
		}, taken: 2, say: "more than 2 mails"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, c.change)
			for _, raw := range c.mails(d) {
				d.comes(raw)
			}
			taken, refused := d.shelf.got[:c.taken], d.shelf.got[c.taken:]
			for _, m := range taken {
				if m.Refused != "" {
					t.Errorf("refused: %+v", m)
				}
			}
			if len(refused) != 1 || refused[0].Sender.User != people[0] || !strings.Contains(refused[0].Refused, c.say) {
				t.Errorf("refused are %+v", refused)
			}
			// Whom to answer, and how often, is for core to say.
			if got := d.smtp.received(); len(got) != 0 {
				t.Errorf("%d answers: %s", len(got), got)
			}
		})
	}
}

// A signature that comes with another mail is a replay.
func TestReplay(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	raw := d.says("web-1: deploy", "")
	d.comes(raw)
	d.comes(raw)
	if n := len(d.shelf.got); n != 2 || d.shelf.got[0].ID != d.shelf.got[1].ID {
		t.Errorf("the same mail came %d times, as %+v", n, d.shelf.got)
	}
	m, who := parsed(t, raw), d.identity(raw)
	m.ID = "other@example.org"
	if err := d.adapter.take(t.Context(), m, who); err != nil {
		t.Error(err)
	}
	if n := len(d.shelf.got); n != 2 || !strings.Contains(d.log.String(), "reason=replay") {
		t.Errorf("%d mails were handed in; the log says\n%s", n, d.log)
	}
}

// What cannot be stored, or checked, is tried again; what cannot be read goes
// aside.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.shelf.fail = errors.New("the disk is full")
	raw := d.says("web-1: deploy", "")
	if err := d.adapter.handle(t.Context(), mailOf(raw)); !errors.Is(err, d.shelf.fail) {
		t.Errorf("it is %v", err)
	}
	d.shelf.fail = nil
	d.adapter.verifier.TXT = func(context.Context, string) ([]string, error) { return nil, errors.New("no answer") }
	if err := d.adapter.handle(t.Context(), mailOf(raw)); err == nil {
		t.Error("a mail whose signature could not be checked counts as handled")
	}
	d.adapter.verifier.TXT = keys
	d.comes(raw)
	if len(d.shelf.got) != 1 {
		t.Errorf("it was handed in %d times", len(d.shelf.got))
	}
	aside := mailbox.Aside(errors.New("x"))
	if err := d.adapter.handle(t.Context(), mailOf([]byte("\x00"))); fmt.Sprintf("%T", err) != fmt.Sprintf("%T", aside) {
		t.Errorf("what is no mail is %T %v, want %T", err, err, aside)
	}
}

// What is refused is in the log with its reason, and nothing secret is.
func TestRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	d.comes(d.mail(chattest.Message{Text: "local hello"}).bytes())
	if log := d.log.String(); !strings.Contains(log, "reason=unsigned") || !strings.Contains(log, people[0]) || strings.Contains(log, imapPassword) {
		t.Errorf("the log says\n%s", log)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	levels := func() (all []chat.Level) {
		for _, f := range d.adapter.Check(t.Context()) {
			all = append(all, f.Level)
			if strings.Contains(f.Text, imapPassword) {
				t.Error("a finding shows the password")
			}
		}
		return all
	}
	if got, want := levels(), []chat.Level{chat.Fine, chat.Fine, chat.Doubtful, chat.Doubtful}; !slices.Equal(got, want) {
		t.Errorf("the check says %q, want %q", got, want)
	}
	d.Lock(t, true)
	d.adapter.verifier.TXT = func(context.Context, string) ([]string, error) { return nil, errors.New("no answer") }
	if got, want := levels(), []chat.Level{chat.Wrong, chat.Wrong, chat.Wrong}; !slices.Equal(got, want) {
		t.Errorf("the check says %q, want %q", got, want)
	}
}
