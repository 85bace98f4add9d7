package job

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Store keeps jobs, agents and events. Every implementation passes the suite
// in jobtest. All methods may be called concurrently.
//
// A write is durable when its method returns nil. A caller whose context ends
// early gets the context's error, and its write may still happen. Errors that
// are not about the arguments wrap ErrUnavailable or ErrFull.
type Store interface {
	// Now is the clock that deadlines use: the database's, or the process's
	// clock where the database has none.
	Now(ctx context.Context) (time.Time, error)

	// Create writes the entries in one transaction and answers each in order.
	// What is wrong with one entry is in its Created.Err; the others stand.
	Create(ctx context.Context, entries []Entry) ([]Created, error)
	// Entered reports whether an entry with the key of d was created. Its
	// Digest does not matter.
	Entered(ctx context.Context, d Dedupe) (bool, error)

	// Update reads the selected jobs, lets decide say what becomes of each,
	// and writes the changes and their events, all in one transaction. Each
	// write is guarded by the status and version that decide saw. decide
	// must be pure: it may be called again if the transaction is repeated.
	// For ByID there is one answer for each ID, in order, with ErrNotFound
	// for a job that is not there; else one for each job selected.
	Update(ctx context.Context, sel Selection, decide Decide) ([]Updated, error)

	// AppendOutput lets decide check the job (and perhaps extend it) and adds
	// chunk to its live output in the same transaction. A sequence number
	// that is there already is ignored; a gap is a *GapError. Of more than
	// limit bytes the head and the tail are kept. What is wrong with the job
	// or the chunk is in Updated.Err.
	AppendOutput(ctx context.Context, space, id string, chunk OutputChunk, limit int, decide Decide) (Updated, error)
	// Output returns up to max chunks after sequence number after. A jump in
	// Seq means that the output between was dropped.
	Output(ctx context.Context, space, id string, after int64, max int) ([]OutputChunk, error)

	// Job returns one job with its whole result, or ErrNotFound.
	Job(ctx context.Context, space, id string) (Job, error)
	JobByNum(ctx context.Context, space string, num int64) (Job, error)
	// Jobs lists jobs, newest first, without their outputs.
	Jobs(ctx context.Context, f Filter) ([]Job, error)
	// History returns the events of one job by version.
	History(ctx context.Context, space, id string) ([]Event, error)
	// Cancels returns the sent jobs of an agent for which a cancel was asked,
	// none that was sent before the agent was made: it was to another one of
	// the same name.
	Cancels(ctx context.Context, space, agent string) ([]Hold, error)
	// Stirred returns up to max agents that have a claimable job (as Claimable
	// selects it) or a cancel (as Cancels returns it), each once, by space and
	// name.
	Stirred(ctx context.Context, max int) ([]AgentRef, error)
	// Marks returns the marks of those of the jobs that are there, in any
	// order.
	Marks(ctx context.Context, ids []string) ([]Mark, error)
	// Counts returns how many jobs of all spaces have each status that is not
	// final.
	Counts(ctx context.Context) (map[Status]int64, error)
	// Prune deletes up to max jobs that finished before the given time, with
	// their events and outputs, none that still has something to be told.
	Prune(ctx context.Context, finishedBefore time.Time, max int) (deleted int, err error)

	// CreateAgent adds an agent; ErrExists if the name is taken.
	CreateAgent(ctx context.Context, a Agent) error
	// Agent returns the agent with this name that is not removed, or ErrNotFound.
	Agent(ctx context.Context, space, name string) (Agent, error)
	// Agents lists a space's agents by name, without removed ones.
	Agents(ctx context.Context, space string) ([]Agent, error)
	// RemoveAgent marks the agent removed: it takes no jobs from then on.
	RemoveAgent(ctx context.Context, space, name string) error
	// PauseAgent pauses the agent for by, or resumes it if by is empty.
	PauseAgent(ctx context.Context, space, name, by string) error
	// SaveAgent writes what the agent said of itself: Instance,
	// InstanceSeenAt, Version, Commands and LastSeenAt. It matches the ID.
	SaveAgent(ctx context.Context, a Agent) error
	// Seen records that the agents with these IDs, and the instance of each
	// that has one, were seen at that time, never moving either back.
	Seen(ctx context.Context, ids []string, at time.Time) error

	// Outages returns up to max outages of agents of all spaces that are not
	// noted: of agents that were seen once, but not for that long, and the ends
	// of noted ones. An agent that is removed, or was never seen, has none.
	Outages(ctx context.Context, silentFor time.Duration, max int) ([]Outage, error)
	// NoteOutage notes an outage, or its end, with the messages that tell of
	// it. If it is noted already, or is no more, noted is false and nothing is
	// written.
	NoteOutage(ctx context.Context, o Outage, silentFor time.Duration, messages []Event) (noted bool, err error)
}

// Outage is an agent that fell silent, or is back.
type Outage struct {
	Agent Agent
	// Over says that it is back.
	Over bool
	// Since is when it was seen last before it fell silent; zero for one that
	// was silent before outages were noted, of which nobody was told.
	Since time.Time
}

// Entry is one thing to create: a job, messages, or both, once per Dedupe key.
type Entry struct {
	// Dedupe, when set, makes the entry happen once.
	Dedupe *Dedupe
	// Draft is the job to make; nil to only say Messages.
	Draft *Draft
	// Admit turns the draft into a job, given its agent; nil agent: there is
	// none of that name. It is called within the transaction and must be
	// pure. The Num is set by the store beforehand.
	Admit func(now time.Time, d Draft, agent *Agent) (Job, []Event, error)
	// Messages are said whether or not there is a draft.
	Messages []Event
}

// Dedupe makes an entry happen once for its scope and key.
type Dedupe struct {
	Space string
	// Scope is the adapter account, or the token for an Idempotency-Key.
	Scope string
	Key   string
	// Digest, when set, must be the same in a repetition; else the answer is
	// ErrKeyReused.
	Digest string
}

// Draft is a job before it exists.
type Draft struct {
	ID           string
	Num          int64
	Space        string
	Agent        string
	Message      string
	Sender       chat.Sender
	Conversation *chat.ConversationRef
	CallbackURL  string
	// NeedsApproval makes the job wait until somebody approves it.
	NeedsApproval bool
}

// Created is the answer to one Entry.
type Created struct {
	// Job is the one that was made, now or by the first of several entries
	// with the same Dedupe key; zero if the entry made none.
	Job Job
	// Duplicate says that the entry's key was there already and nothing was
	// written.
	Duplicate bool
	Err       error
}

// Selection names the jobs that an Update is about. Make one with ByID,
// Claimable, Due, OfSilentAgents or QueuingOf.
type Selection struct {
	Kind  SelectionKind
	Space string
	IDs   []string
	Agent string
	// SilentFor is the offline period, for OfSilentAgents.
	SilentFor time.Duration
	Max       int
	// WithAgent fills View.Agent.
	WithAgent bool
}

// SelectionKind is the kind of a Selection.
type SelectionKind int

// The kinds of selection.
const (
	SelectByID SelectionKind = iota
	SelectClaimable
	SelectDue
	SelectSilent
	SelectQueuingOf
)

// ByID selects jobs of a space by their IDs. With an empty space it is empty.
func ByID(space string, ids ...string) Selection {
	return Selection{Kind: SelectByID, Space: space, IDs: ids, Max: len(ids)}
}

// Claimable selects the oldest jobs that an agent may take: queuing, not
// waiting for approval, without a running offer, the agent neither paused nor
// removed.
func Claimable(space, agent string, max int) Selection {
	return Selection{Kind: SelectClaimable, Space: space, Agent: agent, Max: max}
}

// Due selects jobs of all spaces that are not final and whose DueAt has come.
func Due(max int) Selection { return Selection{Kind: SelectDue, Max: max} }

// OfSilentAgents selects queuing jobs of all spaces, other than those waiting
// for approval, whose agent was not seen for that long, never, or is removed.
func OfSilentAgents(silentFor time.Duration, max int) Selection {
	return Selection{Kind: SelectSilent, SilentFor: silentFor, Max: max, WithAgent: true}
}

// QueuingOf selects the queuing jobs of one agent.
func QueuingOf(space, agent string, max int) Selection {
	return Selection{Kind: SelectQueuingOf, Space: space, Agent: agent, Max: max}
}

// View is what a Decide function sees, all of one transaction.
type View struct {
	Now time.Time
	Job Job
	// Agent is the job's agent if the Selection asked for it; nil if it was
	// removed.
	Agent *Agent
}

// Decide says what becomes of a job. A nil Change leaves it as it is; an
// error is handed to the caller for that job and leaves it as it is too.
type Decide func(v View) (*Change, error)

// Change is a job as it will be, with the events that tell of it. Its version
// is one or more above the one seen, and its FinishedAt is set if, and only if,
// its status is final; Stores refuse any other.
type Change struct {
	Job    Job
	Events []Event
}

// Updated is what became of one job.
type Updated struct {
	Job     Job
	Changed bool
	Err     error
}

// AgentRef names an agent of a space.
type AgentRef struct{ Space, Name string }

// Mark is how far a job is: whoever waits for it looks again when it changed.
type Mark struct {
	ID string
	// Version is the job's, OutputSeq the number of its last piece of live
	// output, 0 without any.
	Version, OutputSeq int64
}

// Hold names a job and the lease that an agent holds on it.
type Hold struct {
	ID    string `json:"id"`
	Lease string `json:"lease"`
}

// Filter selects jobs to list.
type Filter struct {
	Space  string
	Agent  string // empty: any
	Status Status // empty: any
	// Sender lists only jobs of this principal; empty: any.
	Sender string
	// Before lists jobs with a smaller Num; 0 starts at the newest.
	Before int64
	Limit  int
	// Agents, when not nil, lists only jobs of these agents.
	Agents []string
}
