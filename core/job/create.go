package job

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Create stores the entries: it gives each draft an ID, checks it, and admits
// it by the state of its agent. What is wrong with one entry is in its
// Created.Err (an *InvalidError, ErrUnknownAgent or ErrKeyReused); the others
// stand. An error of Create itself means that nothing is known to be stored.
func (s *Service) Create(ctx context.Context, entries []Entry) ([]Created, error) {
	answers := make([]Created, len(entries))
	valid := make([]Entry, 0, len(entries))
	index := make([]int, 0, len(entries))
	for i, e := range entries {
		if e.Draft != nil {
			d := *e.Draft
			if err := s.prepare(&d); err != nil {
				answers[i].Err = err
				continue
			}
			e.Draft = &d
			hold := s.outage.holding()
			e.Admit = func(now time.Time, d Draft, agent *Agent) (Job, []Event, error) {
				return s.rules().admit(now, d, agent, hold)
			}
		}
		valid, index = append(valid, e), append(index, i)
	}
	if len(valid) == 0 {
		return answers, nil
	}
	created, err := s.store.Create(ctx, valid)
	if err != nil {
		return nil, err
	}
	keys := []string{WakeEvents}
	for i, c := range created {
		answers[index[i]] = c
		if c.Err != nil || c.Duplicate || c.Job.ID == "" {
			continue
		}
		if c.Job.Status == Queuing {
			keys = append(keys, WakeAgent(c.Job.Space, c.Job.Agent))
		}
		if s.observer != nil {
			s.observer.Moved(ctx, "", &created[i].Job)
		}
	}
	slices.Sort(keys)
	s.waker.Wake(slices.Compact(keys)...)
	return answers, nil
}

// Entered reports whether an entry with the key of d was created, so that
// what a redelivered message asks for is not done again.
func (s *Service) Entered(ctx context.Context, d Dedupe) (bool, error) {
	return s.store.Entered(ctx, d)
}

// Say stores messages to be said in their conversations.
func (s *Service) Say(ctx context.Context, events ...Event) error {
	for i := range events {
		if events[i].Subject == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			events[i].Subject = id.String()
		}
	}
	created, err := s.store.Create(ctx, []Entry{{Messages: events}})
	if err != nil {
		return err
	}
	s.waker.Wake(WakeEvents)
	return created[0].Err
}

func (s *Service) prepare(d *Draft) error {
	if err := ValidAgentName(d.Agent); err != nil {
		return ErrUnknownAgent
	}
	if err := ValidMessage(d.Message, s.rules().limits.MessageBytes); err != nil {
		return err
	}
	if d.CallbackURL != "" {
		if u, err := url.Parse(d.CallbackURL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return invalid("callback_url", "must be an absolute http or https URL")
		}
	}
	if d.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		d.ID = id.String()
	}
	return nil
}

// ValidMessage says what is wrong with the message of a job, as an
// *InvalidError, or nil.
func ValidMessage(text string, limit int) error {
	switch {
	case strings.TrimSpace(text) == "":
		return invalid("message", "is empty: say what the agent should do")
	case len(text) > limit:
		return invalid("message", "is %d bytes long; at most %d are taken", len(text), limit)
	case !utf8.ValidString(text):
		return invalid("message", "is not valid UTF-8")
	case strings.ContainsRune(text, 0):
		return invalid("message", "contains a NUL character")
	}
	return nil
}

// reserved are the words that chat understands itself, so no agent can be
// named so.
var reserved = []string{
	"agents", "approve", "cancel", "deny", "help", "job", "jobs", "none", "output",
	"pause", "rerun", "resume", "skadi", "use", "whoami", "why",
}

// maxAgentName is in bytes.
const maxAgentName = 63

func isAgentName(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case c != '.' && c != '_' && c != '-', i == 0, i == len(name)-1:
			return false
		}
	}
	return name != "" && len(name) <= maxAgentName
}

// ValidAgentName says what is wrong with the name of an agent, as an
// *InvalidError, or nil.
func ValidAgentName(name string) error {
	switch {
	case slices.Contains(reserved, name):
		return invalid("name", "%q is a command of the chat; choose another name", name)
	case !isAgentName(name):
		return invalid("name", "%q must be 1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends", name)
	}
	return nil
}
