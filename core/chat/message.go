package chat

import (
	"encoding/json"
	"time"
)

// Sender is who sent a message, as the channel has verified it.
type Sender struct {
	// Account is the adapter account that verified the sender, as the config
	// names it.
	Account string `json:"account"`
	// Workspace is the team, tenant or corp that User belongs to; empty where
	// the channel has none.
	Workspace string `json:"workspace,omitempty"`
	// User is the channel's immutable ID of the person, never a display name.
	User string `json:"user"`
	// Name is for people to read. Nothing is decided by it.
	Name string `json:"name,omitempty"`
}

// Principal returns the sender as access rules write it:
// account:workspace/user, or account:user where there is no workspace.
func (s Sender) Principal() string {
	if s.Workspace == "" {
		return s.Account + ":" + s.User
	}
	return s.Account + ":" + s.Workspace + "/" + s.User
}

// ConversationRef is what an adapter needs to answer later: it is stored with
// the job and survives restarts. Core reads Account, Channel and Key; Data is
// the adapter's own and opaque to everything else.
type ConversationRef struct {
	Account string `json:"account"`
	// Channel is what access rules match as `in: account:channel`, for
	// example a Slack channel's ID.
	Channel string `json:"channel,omitempty"`
	// Key names the conversation, thread included, uniquely within the
	// account. Replies keep their order within one Key.
	Key  string          `json:"key"`
	Data json.RawMessage `json:"data,omitempty"`
	// Quota bounds the answers to one message; nil means as the channel's
	// Capabilities say.
	Quota *Quota `json:"quota,omitempty"`
	// Also are conversations that are told each status of the job besides; see
	// Inbound.Also. Core sets and reads it.
	Also []ConversationRef `json:"also,omitempty"`
}

// Quota is how much the far side lets an adapter say in answer to one message.
// Where it is set, nothing is edited and no live output is shown.
type Quota struct {
	// Messages is how many may be sent.
	Messages int `json:"messages"`
	// Until is when the last may be sent; zero means any time.
	Until time.Time `json:"until,omitzero"`
	// Renews says that the next message in the conversation allows as many
	// again, and that those may be about anything. What cannot be said any more
	// then waits for it, and is said in answer to that. It is for conversations
	// with one person alone: everybody who may write there sees it.
	Renews bool `json:"renews,omitempty"`
}

// MessageRef names one message that an adapter sent, so that it can be edited.
type MessageRef struct {
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Inbound is one message from a channel, verified by its adapter.
type Inbound struct {
	// ID is the dedupe key: a redelivery of the same message carries the same
	// ID, and two messages of one account never share one.
	ID           string
	Sender       Sender
	Conversation ConversationRef
	// Text is what the person wrote, without the mention of the bot and
	// otherwise verbatim.
	Text string
	// Direct says that only the sender and Skadi are in the conversation.
	Direct bool
	// Addressed says that the message was meant for Skadi: a mention, a slash
	// command, a button. Others are ignored unless Direct is set.
	Addressed bool
	// Followed says that the message stands in a thread where Skadi takes
	// part. It is carried out if it is a command that the sender may give, and
	// otherwise passed over without a word, since people talk there too.
	Followed bool
	// Refused, when set, is why the adapter has nothing be done, as a sentence
	// for the sender: of a file that came along, or of too many messages. What
	// would have been carried out or answered is answered with it, once, if a
	// rule names the sender.
	Refused string
	// Joined says that Skadi was added to the conversation, and Text is empty:
	// it introduces itself.
	Joined bool
	// Groups are the channel's own groups that it says the sender is in, each
	// as workspace/ID; rules name them as account:workspace/ID.
	Groups []string
	// At is when the channel says that the message was sent.
	At time.Time

	// ReplyTo, when set, is where the message is answered instead of in
	// Conversation, which access rules go by all the same. Accept fails if the
	// place cannot be opened.
	ReplyTo *Destination
	// Also are further conversations of the same account that are told each
	// status of the job that the message makes, in order: a new message each
	// time, with a Card and the Mark of that status, and never an edit. What
	// is no job is not told there. There are at most MaxAlso.
	Also []ConversationRef
	// CallbackURL, when set, is told of the job's end as the callback_url of
	// POST /v1/jobs is. A message with a URL that may not be called is
	// refused, and answered so.
	CallbackURL string
}

// MaxAlso is how many conversations Inbound.Also may have.
const MaxAlso = 4

// Mark is the state that a message shows at a glance.
type Mark string

// The marks, one for each look that a job can have.
const (
	MarkWaiting   Mark = "waiting"
	MarkRunning   Mark = "running"
	MarkSucceeded Mark = "succeeded"
	MarkFailed    Mark = "failed"
	MarkExpired   Mark = "expired"
	MarkCanceled  Mark = "canceled"
)

// Button offers a command; a click is an Inbound whose Text is Command.
type Button struct {
	Label   string `json:"label"`
	Command string `json:"command"`
	Danger  bool   `json:"danger,omitempty"`
}

// Card is what a message about a job shows, for channels that can draw more
// than text.
type Card struct {
	Mark    Mark   `json:"mark"`
	Code    string `json:"code"`
	Agent   string `json:"agent"`
	Message string `json:"message"`
	Asker   Sender `json:"asker"`
	// Note is one sentence that explains the state: why it expired, what it
	// waits for. Empty when the mark says it all.
	Note string `json:"note,omitempty"`
	// Output is the command's output from byte OutputStart of the whole on;
	// what lies before it is left out.
	Output      string `json:"output,omitempty"`
	OutputStart int64  `json:"output_start,omitempty"`
	// More says where all of the output is when Output is not all of it and
	// nothing further will be sent.
	More     string `json:"more,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"`
	// Elapsed is how long the command has run, or ran.
	Elapsed time.Duration `json:"elapsed,omitempty"`
	Final   bool          `json:"final,omitempty"`
	Buttons []Button      `json:"buttons,omitempty"`
}

// File is attached to a message by channels that can.
type File struct {
	Name string
	Text string
}

// Outbound is one message to a conversation, or an edit of one.
type Outbound struct {
	// ID is the same on every try at sending this message and differs
	// between messages; a channel that can drops repeats by it.
	ID string
	To ConversationRef
	// Edit, when set, replaces the message that it names. If that is no more,
	// the adapter sends a new one, or its error is Permanent and core does.
	Edit *MessageRef
	// Text is the whole message in plain text. An adapter escapes what its
	// channel would interpret.
	Text string
	// Card is set on messages about a job and carries the same as Text.
	Card *Card
	// Continues is set when Text goes on where the message before it ended.
	Continues bool
	// Refused is set when the message that Text answers was not carried out:
	// not allowed, not understood, or impossible.
	Refused bool
	// Mention is somebody to notify.
	Mention *Sender
	Files   []File
}
