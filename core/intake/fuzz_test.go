package intake

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// FuzzAccept hands in any text from somebody who may do everything, and from
// somebody who may do little: nothing fails, exactly one thing is stored, and
// a job's message is a piece of the text.
func FuzzAccept(f *testing.F) {
	policy, err := access.New(rules, root.Principal())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "web-1 deploy v1", "web-1", "web-2 \xff", "web-1 \x00", "help", "help web-1", "agents", "jobs web-1",
		"job " + code(1), "output " + code(1) + " 2", "output x 0", "why " + code(1), "why r-12345678", "cancel " + code(1), "rerun " + code(1),
		"use web-1", "use -", "use", "whoami", "pause web-1", "resume web-1", "approve " + code(1), "deny x", "vault x",
		"“”", strings.Repeat("x", 1200), "web-1 " + strings.Repeat("x", 101),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, owner bool) {
		l := &ledger{}
		from := bob
		if owner {
			from = root
		}
		b := New(Config{
			Jobs: l, Auditor: l, Defaults: l, Policy: func() *access.Policy { return policy }, Timeout: time.Minute,
		}).Inbox(job.DefaultSpace, "work")
		if err := b.Accept(t.Context(), chat.Inbound{ID: "m", Sender: from, Conversation: ops, Text: text, Direct: true}); err != nil {
			t.Fatalf("Accept(%q): %v", text, err)
		}
		if len(l.entries) != 1 {
			t.Fatalf("Accept(%q) stored %d entries", text, len(l.entries))
		}
		e := l.entries[0]
		if e.Dedupe == nil || (e.Draft == nil) == (len(e.Messages) == 0) {
			t.Fatalf("Accept(%q) stored %+v", text, e)
		}
		if e.Draft != nil && !strings.Contains(text, e.Draft.Message) && !strings.Contains(strings.ToLower(text), "rerun") {
			t.Errorf("Accept(%q) sends %q", text, e.Draft.Message)
		}
		for _, m := range e.Messages {
			if m.Text == "" || strings.ToValidUTF8(m.Text, "") != m.Text || strings.ContainsRune(m.Text, 0) {
				t.Errorf("Accept(%q) answers %q", text, m.Text)
			}
		}
	})
}

// ledger is everything that an intake needs, with two agents and one job,
// and keeps what it is told.
type ledger struct{ entries []job.Entry }

func (l *ledger) Create(_ context.Context, entries []job.Entry) ([]job.Created, error) {
	l.entries = append(l.entries, entries...)
	return make([]job.Created, len(entries)), nil
}

func (l *ledger) Entered(context.Context, job.Dedupe) (bool, error) { return false, nil }

func (l *ledger) Cancel(context.Context, string, string, string) (job.Job, error) {
	return drill(1, nil), nil
}

func (l *ledger) Approve(context.Context, string, string, string, bool) (job.Job, error) {
	return drill(1, nil), job.ErrConflict
}

func (l *ledger) JobByCode(_ context.Context, _, c string) (job.Job, error) {
	if n, ok := job.ParseCode(c); ok && n == 1 {
		return drill(1, nil), nil
	}
	return job.Job{}, job.ErrNotFound
}

func (l *ledger) Jobs(context.Context, job.Filter) ([]job.Job, error) {
	return []job.Job{drill(1, nil)}, nil
}

func (l *ledger) History(context.Context, string, string) ([]job.Event, error) { return nil, nil }

func (l *ledger) LiveOutput(context.Context, string, string, int64, int) ([]job.OutputChunk, error) {
	return nil, nil
}

func (l *ledger) Agent(_ context.Context, _, name string) (job.Agent, error) {
	if name == "web-1" || name == "web-2" {
		return job.Agent{Name: name}, nil
	}
	return job.Agent{}, job.ErrNotFound
}

func (l *ledger) Agents(context.Context, string) ([]job.Agent, error) {
	return []job.Agent{{Name: "web-1"}, {Name: "web-2"}}, nil
}

func (l *ledger) Online(job.Agent, time.Time) bool                     { return true }
func (l *ledger) Pause(context.Context, string, string, string) error  { return nil }
func (l *ledger) Resume(context.Context, string, string, string) error { return nil }
func (l *ledger) Now(context.Context) (time.Time, error)               { return t0, nil }
func (l *ledger) Times() job.Times                                     { return job.DefaultTimes() }

func (l *ledger) Limits() job.Limits { return job.Limits{MessageBytes: 100} }

func (l *ledger) Refuse(context.Context, access.Record) (string, error) { return "r-12345678", nil }

func (l *ledger) Record(context.Context, access.Record) (string, error)           { return "r-12345678", nil }
func (l *ledger) Default(context.Context, string, string, string) (string, error) { return "", nil }

func (l *ledger) SetDefault(context.Context, string, string, string, string) error { return nil }

func (l *ledger) Find(context.Context, string, string) (access.Record, bool, error) {
	return access.Record{}, false, nil
}
