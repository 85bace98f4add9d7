package chattest

import (
	"net/http"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Account is the name of the account that the suite gives every adapter.
const Account = "work"

// Harness makes far sides and says what is peculiar to them. Only Start and
// Conversations are required; what else is left out is not tested.
type Harness struct {
	// Start starts a far side and makes an adapter that works with it. Both
	// end with the test. The suite runs the adapter.
	Start func(t *testing.T, env chat.Env) Far
	// Conversations is how many conversations the far side has, threads
	// included; at least 1.
	Conversations int
	// People is how many people write there; 0 means one.
	People int
	// Ways are the further ways to ask something that the channel has, beside
	// what Say does of itself: a direct message, a slash command. Message.Way
	// is one of them.
	Ways []string
	// AnswerWithin is how long the far side waits until it takes what it
	// delivered for lost; 0 where it waits for ever.
	AnswerWithin time.Duration
	// Notifies says that the channel can notify a person.
	Notifies bool
	// RunsOnce is set where Run cannot be called again once it has returned,
	// because what it reads from is used up.
	RunsOnce bool

	// CallsNobody says why Run calls nobody, where that is so: then there is
	// nobody whom it could report to be away.
	CallsNobody string

	// Displays is how text from core is to be seen, where the channel cannot
	// show every character; nil means as it is.
	Displays func(text string) string
	// DisplaysOutput is the same for the output on a card; nil means as
	// Displays says.
	DisplaysOutput func(text string) string
	// Arrives is how text that a person wrote reaches core; nil means as it is.
	Arrives func(text string) string

	// Bad are inputs that the adapter must refuse or ignore. An adapter that
	// is chat.Pushed has one whose name begins with each of BadKinds.
	Bad []Bad
	// Without names those of BadKinds that the channel does not have, with
	// the reason; Unproven too, where it holds.
	Without map[string]string

	// Failures are ways in which the far side can fail to take a message, as
	// it says so itself.
	Failures []Failure
	// OverHTTP is set for adapters that send by calls over HTTP.
	OverHTTP *OverHTTP

	// Secrets must be in no log, no error, and nothing that people are told:
	// what the adapter was given, and what its far side hands out.
	Secrets []string
}

// BadKinds are the kinds of input that an adapter which is called over HTTP
// refuses or ignores.
var BadKinds = []string{
	"forged",    // signed by somebody else, or not at all
	"stale",     // signed long ago
	"oversized", // longer than anything that the channel sends
	"malformed", // signed, and nonsense
	"empty",     // nothing at all
	"truncated", // the beginning of something good
	"own",       // what the adapter itself sent
	"bot",       // what another program sent
	"edited",    // what was asked before, changed
}

// Unproven in Harness.Without says that the proof whose a call is stands in
// its body, so that one without headers is as good as any.
const Unproven = "unproven"

// Far is a far side and the adapter that works with it. Optional abilities are
// the interfaces Redelivers, Restarts, Requests, Breaks, Locks, Clicks, Deletes,
// Joins, Follows and Leaves.
type Far interface {
	Adapter() chat.Adapter
	// Say has a person write a message, and returns when the adapter has
	// acknowledged it, or the far side has given up waiting.
	Say(t *testing.T, m Message) Receipt
	// Expect says what must be handed in for the message, but for its ID, its
	// time, and the conversation's Key and Data, which the suite compares
	// among messages. A Quota is compared by its Messages alone.
	Expect(m Message) chat.Inbound
	// Shown returns what people see, oldest first. A channel of one stream
	// shows one message for each conversation.
	Shown(t *testing.T) []Shown
}

// Redelivers is a Far whose far side delivers again what was not acknowledged.
type Redelivers interface {
	// Again delivers the last message of this kind once more, as the far side
	// does.
	Again(t *testing.T, m Message) Receipt
}

// Restarts is a Far that can make another adapter for the same far side, as
// after a restart of the process. From then on it is what Adapter returns.
type Restarts interface {
	Restart(t *testing.T, env chat.Env) chat.Adapter
}

// Requests is a Far whose messages are calls to the adapter's Handler.
type Requests interface {
	// Request makes the call that delivers the message, genuine and with
	// everything it needs, and does not make it. The path is below the
	// adapter's mount.
	Request(t *testing.T, m Message) *http.Request
}

// Breaks is a Far whose adapter holds a connection open to receive.
type Breaks interface {
	// Break breaks every such connection. New ones work.
	Break(t *testing.T)
}

// Locks is a Far that can refuse the adapter's credentials.
type Locks interface {
	// Lock makes the far side refuse them from now on, or accept them again.
	// The adapter may have logged in before.
	Lock(t *testing.T, locked bool)
}

// Clicks is a Far where people can click on buttons. Every adapter with the
// capability has one.
type Clicks interface {
	// Click has somebody click on the newest button of that label. Clicking
	// again is a second click, not a redelivery.
	Click(t *testing.T, label string, person int) Receipt
}

// Deletes is a Far where what the adapter sent can be deleted.
type Deletes interface {
	// Delete deletes the newest message of the conversation.
	Delete(t *testing.T, conversation int)
}

// Joins is a Far where Skadi can be added to a conversation.
type Joins interface {
	// Join adds Skadi, with all that the far side then sends, however often
	// it says so.
	Join(t *testing.T, conversation int) Receipt
}

// Follows is a Far that delivers what people write in a thread without a
// mention.
type Follows interface {
	// Follow has a person write, without a mention, in the thread that the
	// conversation is.
	Follow(t *testing.T, m Message) Receipt
}

// Leaves is a Far that can be out of reach, of an adapter whose Run reaches it
// by other ways than Env.HTTP.
type Leaves interface {
	// Leave makes the far side take no connection from now on, or take them
	// again. What is connected it leaves as it is.
	Leave(t *testing.T, away bool)
}

// Message is something that a person writes.
type Message struct {
	Conversation int // from 0
	Person       int // from 0
	// Way is how it is asked: one of Harness.Ways, or empty.
	Way  string
	Text string
}

// Receipt is what became of a message at the far side's end.
type Receipt struct {
	// Taken: the far side will not deliver it again.
	Taken bool
	// Told is what the asker was told, if anything was said at once.
	Told string
}

// Shown is a message as people see it.
type Shown struct {
	Conversation int
	// Text is all that can be read: text, the parts of a card, the labels of
	// its buttons.
	Text string
	// Notified are those whom it notified: people by their Sender.User, groups
	// as the channel calls them.
	Notified []string
	Files    []chat.File
}

// Bad is an input that must not be handed in.
type Bad struct {
	Name string // begins with one of BadKinds, where one fits
	// Do delivers it and returns how the adapter answered: an HTTP status, or
	// 0 where the channel has none.
	Do   func(t *testing.T, f Far) int
	Want int
}

// Failure is a way in which the far side fails to take a message.
type Failure struct {
	Name string
	// Set makes every later message fail in this way.
	Set        func(t *testing.T, f Far)
	Class      chat.Class
	RetryAfter time.Duration
}

// OverHTTP is about adapters that send by calls over HTTP. The suite answers
// their calls itself, with every status and every trouble that a network has.
type OverHTTP struct {
	// Classes are what a bare status means on this channel. Those that differ
	// from channel to channel must be in it: 403, 404, 409, 410 and 412. Others
	// take the place of the suite's own.
	Classes map[int]chat.Class
}

// Run runs the suite. The test must not be parallel to others, for the suite
// looks for goroutines that are left behind.
func Run(t *testing.T, h Harness) {
	t.Helper()
	h.People = max(h.People, 1)
	if h.Displays == nil {
		h.Displays = func(text string) string { return text }
	}
	if h.DisplaysOutput == nil {
		h.DisplaysOutput = h.Displays
	}
	if h.Arrives == nil {
		h.Arrives = func(text string) string { return text }
	}
	t.Run("Complete", func(t *testing.T) { complete(t, h) })
	t.Run("Inbound", func(t *testing.T) { runInbound(t, h) })
	t.Run("Refused", func(t *testing.T) { runRefused(t, h) })
	t.Run("Unstored", func(t *testing.T) { runUnstored(t, h) })
	t.Run("Panics", func(t *testing.T) { runPanics(t, h) })
	t.Run("Lifetime", func(t *testing.T) { runLifetime(t, h) })
	t.Run("Outbound", func(t *testing.T) { runOutbound(t, h) })
	t.Run("Cards", func(t *testing.T) { runCards(t, h) })
	t.Run("Failing", func(t *testing.T) { runFailing(t, h) })
}
