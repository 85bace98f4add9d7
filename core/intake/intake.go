package intake

import (
	"context"
	"log/slog"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// Jobs is what the intake needs of jobs and agents; *job.Service has it.
type Jobs interface {
	Create(ctx context.Context, entries []job.Entry) ([]job.Created, error)
	Entered(ctx context.Context, d job.Dedupe) (bool, error)
	Cancel(ctx context.Context, space, id, by string) (job.Job, error)
	Approve(ctx context.Context, space, id, by string, grant bool) (job.Job, error)

	JobByCode(ctx context.Context, space, code string) (job.Job, error)
	Jobs(ctx context.Context, f job.Filter) ([]job.Job, error)
	History(ctx context.Context, space, id string) ([]job.Event, error)
	LiveOutput(ctx context.Context, space, id string, after int64, max int) ([]job.OutputChunk, error)

	Agent(ctx context.Context, space, name string) (job.Agent, error)
	Agents(ctx context.Context, space string) ([]job.Agent, error)
	Online(a job.Agent, now time.Time) bool
	Pause(ctx context.Context, space, name, by string) error
	Resume(ctx context.Context, space, name, by string) error

	Now(ctx context.Context) (time.Time, error)
	Times() job.Times
	Limits() job.Limits
}

// Auditor keeps the audit log; *access.Auditor does. Recording the same again
// changes nothing and gives the same code.
type Auditor interface {
	Refuse(ctx context.Context, r access.Record) (code string, err error)
	Record(ctx context.Context, r access.Record) (code string, err error)
	Find(ctx context.Context, space, code string) (access.Record, bool, error)
}

// Defaults keeps the default agent of each conversation.
type Defaults interface {
	// Default returns the agent, or "" if none was set.
	Default(ctx context.Context, space, account, conversation string) (agent string, err error)
	// SetDefault sets the agent; "" sets none.
	SetDefault(ctx context.Context, space, account, conversation, agent string) error
}

// Places opens the conversations that messages are answered in where they
// are answered elsewhere than they came from.
type Places interface {
	// Open returns the conversation of a place. Its error says what is wrong
	// with the place, or why it cannot be opened now.
	Open(ctx context.Context, to chat.Destination) (chat.ConversationRef, error)
}

// DefaultTimeout bounds Accept unless the config says otherwise. The most
// impatient channels wait 3 seconds for their acknowledgement.
const DefaultTimeout = 2 * time.Second

// Config is what an Intake works with. Jobs, Policy, Auditor and Defaults are
// required.
type Config struct {
	Jobs Jobs
	// Policy returns the rules as they are now.
	Policy   func() *access.Policy
	Auditor  Auditor
	Defaults Defaults
	// Places may be nil: then nothing is answered elsewhere.
	Places Places
	// Callback says why a URL may not be called when a job has ended, or nil.
	// nil: none may.
	Callback func(url string) error
	// Prefixes are the words that may stand before a command, in lower case
	// and without a slash; nil is command.DefaultPrefix alone.
	Prefixes []string
	// Timeout bounds Accept; 0 is DefaultTimeout.
	Timeout time.Duration
	// StrangerEvery is how often somebody whom no rule names gets an answer;
	// 0 is DefaultStrangerEvery.
	StrangerEvery time.Duration
	// Strangers is how many different strangers are answered within
	// StrangerEvery; 0 is DefaultStrangers.
	Strangers int
	Clock     chat.Clock
	Logger    *slog.Logger
}

// Intake makes the inboxes of all accounts.
type Intake struct {
	jobs      Jobs
	policy    func() *access.Policy
	auditor   Auditor
	defaults  Defaults
	places    Places
	callback  func(url string) error
	prefixes  []string
	timeout   time.Duration
	strangers *strangers
	clock     chat.Clock
	log       *slog.Logger
}

// New returns an intake. It starts nothing and needs no closing.
func New(c Config) *Intake {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Intake{
		jobs: c.Jobs, policy: c.Policy, auditor: c.Auditor, defaults: c.Defaults,
		places: c.Places, callback: c.Callback,
		prefixes: c.Prefixes, timeout: c.Timeout, clock: c.Clock, log: c.Logger,
		strangers: newStrangers(c.StrangerEvery, c.Strangers),
	}
}

// Inbox returns the inbox of one adapter account, whose messages belong to
// the space. It may be used concurrently.
func (in *Intake) Inbox(space, account string) chat.Inbox {
	return &inbox{Intake: in, space: space, account: account}
}
