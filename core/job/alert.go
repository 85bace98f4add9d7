package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
)

// Alerts says who is told what goes wrong with an agent.
type Alerts interface {
	// Offline returns the conversation that is told about an agent, and false
	// if none is. After an error it is asked again.
	Offline(ctx context.Context, space, agent string) (to chat.ConversationRef, ok bool, err error)
}

// outageBatch is how many outages are noted in one pass of the sweeper, so that
// a thousand agents behind one broken switch hold up nothing else.
const outageBatch = 100

// outagePeriod is the shortest time between two looks for outages, each of
// which reads all agents.
const outagePeriod = 5 * time.Second

// tellOutages tells which agents went offline or are back since the last pass,
// once each whichever node notices. What cannot be told now is left for the
// next pass.
func (s *Service) tellOutages(ctx context.Context) error {
	if now := s.clock(); now.Sub(s.looked).Abs() >= min(outagePeriod, s.rules().times.Offline) {
		s.looked = now
	} else {
		return nil
	}
	found, err := s.store.Outages(ctx, s.rules().times.Offline, outageBatch)
	if err != nil {
		return err
	}
	if len(found) == outageBatch {
		s.looked = time.Time{} // there may be more
	}
	for _, o := range found {
		messages, err := s.outageMessages(ctx, o)
		if err != nil {
			if now := s.clock(); ctx.Err() == nil && now.Sub(s.complained).Abs() >= time.Minute {
				s.complained = now
				s.log.Warn("it cannot be told that an agent went offline or is back; trying again", "space", o.Agent.Space, "agent", o.Agent.Name, "err", err)
			}
			return nil // nor can the others, maybe, and the sweeper has more to do
		}
		noted, err := s.store.NoteOutage(ctx, o, s.rules().times.Offline, messages)
		if err != nil {
			return err
		}
		if noted && len(messages) > 0 {
			s.waker.Wake(WakeEvents)
		}
	}
	return nil
}

// outageMessages are what is said about an outage: nothing if nobody is to be
// told, or nobody was told that it began.
func (s *Service) outageMessages(ctx context.Context, o Outage) ([]Event, error) {
	if o.Over && o.Since.IsZero() {
		return nil, nil
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s is offline: it was last seen %s ago.", o.Agent.Name, Ago(now.Sub(o.Since)))
	if o.Over {
		text = fmt.Sprintf("%s is online again, after %s.", o.Agent.Name, Ago(o.Agent.LastSeenAt.Sub(o.Since)))
	}
	return s.alert(ctx, o.Agent, now, text)
}

// alert is a message about an agent to whom the config names for it.
func (s *Service) alert(ctx context.Context, a Agent, now time.Time, text string) ([]Event, error) {
	if s.alerts == nil {
		return nil, nil
	}
	to, ok, err := s.alerts.Offline(ctx, a.Space, a.Name)
	var failed *chat.SendError
	if errors.As(err, &failed) && (failed.Class == chat.Gone || failed.Class == chat.Permanent) {
		s.log.Error("an alert cannot be told where the config says", "space", a.Space, "agent", a.Name, "alert", text, "err", err)
		return nil, nil
	}
	if err != nil || !ok {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	return []Event{{
		Subject: id.String(), Space: a.Space, Kind: EventMessage, At: now, Conversation: &to, Agent: a.Name, Text: text,
	}}, nil
}

// tellSecond tells that two processes poll as one agent, once an hour. Nothing
// depends on it, so a failure is only logged.
func (s *Service) tellSecond(ctx context.Context, a Agent) {
	now, err := s.store.Now(ctx)
	if err != nil {
		return
	}
	messages, err := s.alert(ctx, a, now, fmt.Sprintf(
		"A second process polls as %s and is refused. If its token is in use on two servers, give each an agent of its own; "+
			"if nobody knows the second one, give it a new token: skadi agents rotate %s.", a.Name, a.Name))
	if err == nil && len(messages) > 0 {
		var created []Created
		created, err = s.store.Create(ctx, []Entry{{
			Messages: messages,
			Dedupe: &Dedupe{
				Space: a.Space, Scope: "skadi", Key: "second instance of " + a.ID + " at " + now.UTC().Format("2006-01-02T15"),
			},
		}})
		if err == nil {
			err = created[0].Err
		}
		s.waker.Wake(WakeEvents)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.Warn("it could not be told that a second process polls as an agent", "space", a.Space, "agent", a.Name, "err", err)
	}
}
