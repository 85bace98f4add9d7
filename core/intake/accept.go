package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/command"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// preambleBytes is the room for a prefix and an agent's name before the
	// message of a job.
	preambleBytes = 1 << 10
	// maxKey is the longest message ID that is stored as it is.
	maxKey = 200
	// maxName is how much of a sender's display name is kept, in bytes.
	maxName = 200
)

// inbox is the chat.Inbox of one account.
type inbox struct {
	*Intake
	space, account string
}

var _ chat.Inbox = (*inbox)(nil)

// ask is one message on its way in.
type ask struct {
	*inbox
	m chat.Inbound
	// to is where the message is answered.
	to chat.ConversationRef
	// who is the sender as a principal, where the conversation as rules name it.
	who, where string
	policy     *access.Policy
	dedupe     job.Dedupe
	now        time.Time
}

// answer is what somebody is told.
type answer struct {
	text string
	// refused says that what they asked for was not done.
	refused bool
}

// Accept implements chat.Inbox.
func (b *inbox) Accept(ctx context.Context, m chat.Inbound) error {
	if !m.Direct && !m.Addressed && !m.Followed && !m.Joined {
		return nil
	}
	a, err := b.ask(m)
	if err != nil {
		return fmt.Errorf("account %s handed in a message that no adapter may: %w", b.account, err)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	err = a.address(ctx)
	if err == nil {
		err = a.accept(ctx)
	}
	if err != nil {
		return fmt.Errorf("accept message %s of %s: %w", oneLine(m.ID, maxKey), b.account, err)
	}
	return nil
}

// address finds out where the message is answered.
func (a *ask) address(ctx context.Context) error {
	a.to = a.m.Conversation
	if place := a.m.ReplyTo; place != nil {
		if a.places == nil {
			return fmt.Errorf("it is to be answered in %s, and nothing can be answered elsewhere", place)
		}
		to, err := a.places.Open(ctx, *place)
		if err != nil {
			return fmt.Errorf("open %s, where it is to be answered: %w", place, err)
		}
		a.to = to
	}
	a.to.Also = a.m.Also
	return nil
}

// ask checks what the adapter vouches for.
func (b *inbox) ask(m chat.Inbound) (*ask, error) {
	switch {
	case m.ID == "":
		return nil, errors.New("it has no ID")
	case m.Sender.Account != b.account:
		return nil, fmt.Errorf("its sender was verified by %q", m.Sender.Account)
	case m.Sender.User == "":
		return nil, errors.New("its sender has no user ID")
	case m.Conversation.Account != b.account:
		return nil, fmt.Errorf("its conversation belongs to %q", m.Conversation.Account)
	case m.Conversation.Key == "":
		return nil, errors.New("its conversation has no key")
	case len(m.Also) > chat.MaxAlso:
		return nil, fmt.Errorf("it is to be told in %d more conversations", len(m.Also))
	}
	for _, c := range m.Also {
		if c.Account != b.account || c.Key == "" || len(c.Also) > 0 {
			return nil, errors.New("one of the conversations where it is also to be told is not of its account, or has no key")
		}
	}
	m.Sender.Name = oneLine(m.Sender.Name, maxName)
	policy := b.policy()
	if policy == nil {
		policy = &access.Policy{}
	}
	who := m.Sender.Principal()
	groups := make([]string, len(m.Groups))
	for i, g := range m.Groups {
		groups[i] = b.account + ":" + g
	}
	return &ask{
		inbox: b, m: m, who: who, where: whereOf(&m.Conversation), policy: policy.Member(who, groups),
		dedupe: job.Dedupe{Space: b.space, Scope: b.account, Key: dedupeKey(m.ID)},
		now:    b.clock().UTC(),
	}, nil
}

// whereOf names a conversation as access rules do. One without a channel is
// named by its key, so that rules for all of its account hold there; none at
// all is the API.
func whereOf(c *chat.ConversationRef) string {
	switch {
	case c == nil:
		return ""
	case c.Channel == "":
		return c.Account + ":" + c.Key
	}
	return c.Account + ":" + c.Channel
}

// dedupeKey is the message ID, or its hash where a store could not hold it.
func dedupeKey(id string) string {
	if len(id) <= maxKey && utf8.ValidString(id) && !strings.ContainsRune(id, 0) {
		return id
	}
	return "sha256:" + digest(id)
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (a *ask) accept(ctx context.Context) error {
	if a.m.Joined {
		return a.say(ctx, answer{text: introduction})
	}
	if a.m.Followed && !a.m.Direct && !a.m.Addressed {
		return a.follow(ctx)
	}
	if !a.policy.Known(a.who) {
		return a.stranger(ctx)
	}
	if a.m.Refused != "" {
		return a.refusedByChannel(ctx)
	}
	if fault := faultOf(a.m.Text, a.jobs.Limits().MessageBytes+preambleBytes); fault != "" {
		return a.refuse(ctx, refusal{action: access.Send, why: fault, text: "This was not understood: " + fault + "."})
	}
	c, err := a.parse(ctx)
	if err != nil {
		return err
	}
	return a.carryOut(ctx, c)
}

// faultOf says what is wrong with a text that nothing is to be made of.
func faultOf(text string, limit int) string {
	switch {
	case len(text) > limit:
		return fmt.Sprintf("the message is %d bytes long, and at most %d are taken", len(text), limit)
	case !utf8.ValidString(text):
		return "the message is not valid UTF-8 text"
	case strings.ContainsRune(text, 0):
		return "the message contains a NUL character"
	}
	return ""
}

// parse reads the message. An agent that the sender may not see is no agent,
// so that nothing tells it from one that does not exist.
func (a *ask) parse(ctx context.Context) (command.Command, error) {
	var failed error
	c := command.Context{Prefixes: a.prefixes, Agent: func(name string) bool {
		_, ok, err := a.agent(ctx, name)
		failed = errors.Join(failed, err)
		return ok
	}}
	cmd := command.Parse(a.m.Text, c)
	if failed != nil || cmd.Verb != command.Unknown {
		return cmd, failed
	}
	def, err := a.defaultAgent(ctx)
	if err != nil || def == "" {
		return cmd, err
	}
	c.Default = def
	return command.Parse(a.m.Text, c), failed
}

// agent returns the agent of that name if there is one and the sender may see it.
func (a *ask) agent(ctx context.Context, name string) (job.Agent, bool, error) {
	if job.ValidAgentName(name) != nil || !a.policy.Sees(a.who, a.where, name) {
		return job.Agent{}, false, nil
	}
	agent, err := a.jobs.Agent(ctx, a.space, name)
	if errors.Is(err, job.ErrNotFound) {
		return job.Agent{}, false, nil
	}
	return agent, err == nil, err
}

func (a *ask) carryOut(ctx context.Context, c command.Command) error {
	if c.Misused {
		return a.say(ctx, misused(c.Verb))
	}
	switch c.Verb {
	case command.Send:
		return a.send(ctx, c)
	case command.Nothing:
		return a.say(ctx, answer{text: "There was nothing in that message. Type an agent's name and what it should do, or `help`.", refused: true})
	case command.Unknown:
		return a.unknown(ctx, c)
	case command.Rerun:
		return a.rerun(ctx, c.Code)
	case command.Cancel, command.Approve, command.Deny, command.Use, command.Pause, command.Resume:
		return a.act(ctx, c)
	case command.Help, command.Agents, command.Jobs, command.Job, command.Output, command.Why, command.Whoami:
		return a.read(ctx, c)
	}
	return fmt.Errorf("no one carries out %q", c.Verb)
}

// say stores an answer, once.
func (a *ask) say(ctx context.Context, ans answer) error {
	return a.reply(ctx, job.Event{Text: ans.text, Refused: ans.refused})
}

// reply stores the one message that answers, once.
func (a *ask) reply(ctx context.Context, e job.Event) error {
	e.Subject = "m-" + digest(a.space, a.account, a.m.ID)[:32]
	e.Space, e.Kind, e.At, e.Conversation = a.space, job.EventMessage, a.now, a.answerTo()
	_, err := a.create(ctx, job.Entry{Messages: []job.Event{e}})
	return err
}

// answerTo is where a text answers: a copy of it goes nowhere else.
func (a *ask) answerTo() *chat.ConversationRef {
	to := a.to
	to.Also = nil
	return &to
}

// create stores one entry under the message's ID.
func (a *ask) create(ctx context.Context, e job.Entry) (job.Created, error) {
	e.Dedupe = &a.dedupe
	created, err := a.jobs.Create(ctx, []job.Entry{e})
	if err != nil {
		return job.Created{}, err
	}
	return created[0], created[0].Err
}
