package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/channels"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// Channels are the places where agents may speak; *channels.Book is one.
type Channels interface {
	// Speak returns the conversation of a channel by its name in the config, or
	// a *channels.DeniedError if the agent may not speak there.
	Speak(ctx context.Context, space, agent, channel string) (chat.ConversationRef, error)
}

// saying is the access.Record.Action of an agent that speaks.
const saying = "say"

// say has an agent say something of its own accord: in the conversation of one
// of its jobs, or in a channel.
func (c *call) say() error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	var w agentapi.Message
	if err := c.decode(&w); err != nil {
		return err
	}
	if err := c.checkMessage(w); err != nil {
		return err
	}
	if err := c.api.cfg.Jobs.CheckIn(c.context(), c.caller()); err != nil {
		return err
	}
	if wait, late := c.api.speech.take(c.token.AgentID, c.api.clock()); late {
		f := fail(agentapi.ProblemRateLimited, "%s said too much lately", c.token.Agent)
		f.retryAfter = wait
		return f
	}
	e, err := c.speech(w)
	if err != nil {
		return err
	}
	entry := job.Entry{Messages: []job.Event{e}}
	if key != "" {
		// The same key gives the same event, so that a repetition is told its ID.
		sum := sha256.Sum256([]byte(c.principal() + " " + key))
		e.Subject = "s-" + hex.EncodeToString(sum[:16])
		entry = job.Entry{
			Messages: []job.Event{e},
			Dedupe:   &job.Dedupe{Space: c.token.Space, Scope: c.principal(), Key: saying + " " + key, Digest: messageDigest(w)},
		}
	}
	created, err := c.api.cfg.Jobs.Create(c.context(), []job.Entry{entry})
	if err != nil {
		return err
	}
	if err := created[0].Err; err != nil {
		return err
	}
	status := http.StatusCreated
	if created[0].Duplicate {
		status = http.StatusOK
	}
	a := agentapi.Event{
		ID: e.ID(), Kind: string(e.Kind), At: e.At.UTC(), Job: w.Job,
		Agent: e.Agent, By: e.By, Text: e.Text,
	}
	if e.Num > 0 {
		a.Code = job.EncodeCode(e.Num)
	}
	return c.json(status, a)
}

// speech makes the event that says it.
func (c *call) speech(w agentapi.Message) (job.Event, error) {
	now, err := c.api.cfg.Jobs.Now(c.context())
	if err != nil {
		return job.Event{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return job.Event{}, err
	}
	e := job.Event{
		Subject: id.String(), Space: c.token.Space, Kind: job.EventMessage, At: now,
		Agent: c.token.Agent, By: c.token.Agent, Text: w.Text,
	}
	if w.Channel != "" {
		to, err := c.channel(w)
		if err != nil {
			return job.Event{}, err
		}
		// Who reads along there did not ask, and wants to know who speaks.
		e.Conversation, e.Text = &to, c.token.Agent+": "+w.Text
		return e, nil
	}
	j, err := c.api.cfg.Jobs.Job(c.context(), c.token.Space, w.Job)
	if err == nil && j.Agent != c.token.Agent {
		err = job.ErrNotFound
	}
	if err != nil {
		return job.Event{}, err
	}
	e.Conversation, e.Num = j.Conversation, j.Num
	if j.Conversation != nil {
		to := *j.Conversation
		to.Also = nil // which is for statuses
		e.Conversation = &to
	}
	return e, nil
}

// channel opens the channel that the agent wants to speak in.
func (c *call) channel(w agentapi.Message) (chat.ConversationRef, error) {
	var to chat.ConversationRef
	var err error = &channels.DeniedError{Agent: c.token.Agent, Channel: w.Channel, Why: "the config has no channels"}
	if c.api.cfg.Channels != nil {
		to, err = c.api.cfg.Channels.Speak(c.context(), c.token.Space, c.token.Agent, w.Channel)
	}
	var denied *channels.DeniedError
	var failed *chat.SendError
	switch {
	case errors.As(err, &denied):
		code := c.record(access.Record{Action: saying, Target: short(w.Channel), Text: w.Text, Why: denied.Why})
		c.api.log.Warn("an agent wanted to speak where it may not",
			"agent", c.token.Agent, "channel", short(w.Channel), "why", denied.Why, "refusal", code)
		return to, fail(agentapi.ProblemChannelNotAllowed, "%s; the audit log has this as %s", err, code).at("channel")
	case errors.As(err, &failed) && failed.Class == chat.Gone, errors.As(err, &failed) && failed.Class == chat.Permanent:
		return to, fail(agentapi.ProblemChannelNotAllowed, "nothing can be written in the channel %s: %s", w.Channel, failed.Err).at("channel")
	case err != nil:
		return to, fail(agentapi.ProblemUnavailable, "the channel %s cannot be opened at the moment", w.Channel).at("channel").because(err)
	}
	return to, nil
}

func (c *call) checkMessage(w agentapi.Message) error {
	invalid := func(field, format string, args ...any) error {
		return fail(agentapi.ProblemInvalidValue, "%s: %s", field, fmt.Sprintf(format, args...)).at(field)
	}
	switch {
	case w.Job == "" && w.Channel == "":
		return invalid("job", "is missing: name the job whose conversation is to be told, or a channel")
	case w.Job != "" && w.Channel != "":
		return invalid("channel", "stands beside job: name one of the two")
	case strings.TrimSpace(w.Text) == "":
		return invalid("text", "is empty")
	case len(w.Text) > c.api.limits().MessageBytes:
		return invalid("text", "is %d bytes long; at most %d are taken", len(w.Text), c.api.limits().MessageBytes)
	case !utf8.ValidString(w.Text):
		return invalid("text", "is not valid UTF-8")
	case strings.ContainsRune(w.Text, 0):
		return invalid("text", "contains a NUL character")
	}
	return nil
}

// messageDigest identifies what is said, and where.
func messageDigest(w agentapi.Message) string {
	return digestOf(w.Job, w.Channel, w.Text)
}

const (
	// speechBurst messages of one agent are taken at once; then one in
	// speechEvery is. Each node counts for itself.
	speechBurst = 20
	speechEvery = 3 * time.Second
	// speechSize bounds the agents that are remembered.
	speechSize = 16384
)

// speech counts what agents say of their own accord.
type speech struct {
	mu     sync.Mutex
	agents map[string]*rate.Limiter
}

func newSpeech() *speech { return &speech{agents: make(map[string]*rate.Limiter)} }

// take counts one message of an agent, or says for how long it has to wait.
func (s *speech) take(agent string, now time.Time) (wait time.Duration, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.agents[agent]
	if !ok {
		if len(s.agents) >= speechSize {
			for name, l := range s.agents {
				if l.TokensAt(now) >= speechBurst {
					delete(s.agents, name)
				}
			}
		}
		if len(s.agents) >= speechSize {
			return speechEvery, true
		}
		l = rate.NewLimiter(rate.Every(speechEvery), speechBurst)
		s.agents[agent] = l
	}
	if l.AllowN(now, 1) {
		return 0, false
	}
	return time.Duration((1 - l.TokensAt(now)) * float64(speechEvery)), true
}
