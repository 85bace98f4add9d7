package chat

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// Adapter is one account on one kind of channel. Its methods are called
// concurrently.
type Adapter interface {
	// Run receives messages and hands them to the Inbox until ctx ends, and
	// then returns nil. An adapter that only receives over HTTP waits for
	// ctx. An error means that the account cannot work as configured; it
	// makes the account unhealthy, never the process dead, and Run is called
	// again later. Trouble that Run waits out itself it tells by Env.Report.
	Run(ctx context.Context) error
	// Send posts m, or edits m.Edit when it is set, and returns a reference
	// for later edits. Errors are *SendError; any other error counts as
	// Temporary. Send does not retry: core does. It returns soon after ctx
	// ends; core gives each call a deadline.
	Send(ctx context.Context, m Outbound) (MessageRef, error)
	// Capabilities says what the channel can do. The answer never changes.
	Capabilities() Capabilities
}

// Pushed is implemented by adapters that receive over HTTP. The handler is
// mounted below /adapters/{account}/.
type Pushed interface {
	Handler() http.Handler
}

// Entered is implemented by Pushed adapters whose addresses somebody enters at
// the far side. It may be asked before Run.
type Entered interface {
	Endpoints() []Endpoint
}

// Endpoint is one address of a Pushed adapter.
type Endpoint struct {
	// Path is below the adapter's mount, without a slash at its beginning.
	Path string
	// Where says what the far side calls the place to enter it, such as
	// "Event Subscriptions, Request URL".
	Where string
}

// Inbox takes messages in. It is core's side of the contract.
type Inbox interface {
	// Accept stores what m asks for, once per account and m.ID, before it
	// returns nil. After an error nothing is stored: the adapter answers so
	// that the far side redelivers, or tells the asker. A refusal by the
	// access rules is no error; it is stored and answered like a job.
	Accept(ctx context.Context, m Inbound) error
}

// Factory makes one adapter from its block of the config. decode fills a
// struct from the block, strictly; an error of it names line and column.
type Factory func(decode func(cfg any) error, env Env) (Adapter, error)

// Env is what an adapter gets from its host.
type Env struct {
	// Account is the adapter's name in the config.
	Account string
	Inbox   Inbox
	Logger  *slog.Logger
	Clock   Clock
	// HTTP has timeouts set; adapters use no other client.
	HTTP *http.Client
	// KV and Lease are the account's own: other accounts have other values and
	// leases of the same names.
	KV    KV
	Lease Leaser
	// Viewer tells what a person may see.
	Viewer Viewer
	// Undelivered notes that a message did not arrive after all, though Send
	// had sent it, so that the operator sees it; id is its Outbound.ID. It is
	// nil where nobody wants to know.
	Undelivered func(ctx context.Context, id, why string) error
	// Unmatched counts what came from whom it should and fits no rule of the
	// account's, so that a mistake in a rule can be seen. It is nil where
	// nobody wants to know.
	Unmatched func()
	// Panicked counts panics; see Guard. It is nil where nobody wants to know.
	Panicked func()
	// Reported gets what Report tells. It is nil where nobody wants to know.
	Reported func(err error)
	// URL is where the far side reaches the adapter's Handler, with a slash at
	// its end; empty where the config names no public URL.
	URL string
}

// Viewer tells what one person may see, for channels that have a page for
// each person.
type Viewer interface {
	// Overview returns the agents that who may see and the newest jobs that
	// who has sent. groups are as in [Inbound].
	Overview(ctx context.Context, who Sender, groups []string) (Overview, error)
}

// Overview is what one person may see.
type Overview struct {
	Agents []AgentState
	// Jobs are the newest first, at most ten.
	Jobs []Card
}

// AgentState is an agent as its users see it.
type AgentState struct {
	Name   string
	Online bool
	// SeenAt is when the agent last checked in; zero if it never did.
	SeenAt time.Time
}

// Clock tells the time; tests inject their own.
type Clock func() time.Time

// KV keeps small values that all nodes share, such as access tokens.
type KV interface {
	// Get returns the value, and false if there is none or it has run out.
	Get(ctx context.Context, key string) (value []byte, ok bool, err error)
	// Set keeps the value for ttl; 0 keeps it until it is set again.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	Delete(ctx context.Context, key string) error
}

// Leaser lets one node at a time hold a name, such as a mailbox to read.
type Leaser interface {
	// Acquire takes or renews the lease for ttl and reports whether this node
	// holds it. The epoch grows each time another holder takes it over and
	// guards what the holder writes.
	Acquire(ctx context.Context, name string, ttl time.Duration) (epoch int64, held bool, err error)
	Release(ctx context.Context, name string) error
}

// Capabilities are what a channel can do. Core adapts every reply to them.
type Capabilities struct {
	// Edit: a message can be replaced after it was sent.
	Edit bool
	// Append: an edit shows only what is new, as a terminal does. Cards carry
	// the output since the last delivered edit.
	Append  bool
	Buttons bool
	Files   bool
	// MaxBytes is the longest Text of one message; 0 means no limit.
	MaxBytes int
	// LiveInterval is the shortest time between two live updates of one
	// message; 0 means no live updates.
	LiveInterval time.Duration
	// FinalOnly: of a job is told how it ended, and before that only that it
	// waits for somebody.
	FinalOnly bool
	// ReplyQuota is how many messages may answer one inbound message; 0
	// means any number.
	ReplyQuota int
}
