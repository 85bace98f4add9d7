package teams

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// placeKey begins the keys under which the KV has what is known of places.
	placeKey = "place/"
	// maxPlace is the longest ID of a place that is remembered.
	maxPlace = 180
	// placesAgain is how often a place is remembered anew, and placesKept how
	// many one process knows to be remembered.
	placesAgain = 24 * time.Hour
	placesKept  = 10_000
	placeTime   = time.Second
)

// knownPlaces remembers where Skadi was written to: what is needed to write there
// first. It is safe for concurrent use.
type knownPlaces struct {
	kv    chat.KV
	clock chat.Clock

	mu   sync.Mutex
	kept map[string]keptPlace
}

// keptPlace is what the KV has of a place, and since when.
type keptPlace struct {
	service string
	at      time.Time
}

func newKnownPlaces(env chat.Env) *knownPlaces {
	return &knownPlaces{kv: env.KV, clock: env.Clock, kept: make(map[string]keptPlace)}
}

// remember keeps a place, once a day and when its service moved.
func (p *knownPlaces) remember(ctx context.Context, c conversation) error {
	name, now := c.place(), p.clock()
	if p.kv == nil || len(name) > maxPlace {
		return nil
	}
	p.mu.Lock()
	had, ok := p.kept[name]
	p.mu.Unlock()
	if ok && had.service == c.ServiceURL && now.Sub(had.at).Abs() < placesAgain {
		return nil
	}
	c.ID, c.User, c.Asked = name, account{}, ""
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	if err := p.kv.Set(ctx, placeKey+name, data, 0); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) >= placesKept {
		clear(p.kept)
	}
	p.kept[name] = keptPlace{c.ServiceURL, now}
	return nil
}

// find returns the place of that name, and false if it is not known.
func (p *knownPlaces) find(ctx context.Context, name string) (c conversation, ok bool, err error) {
	if p.kv == nil {
		return c, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, placeTime)
	defer cancel()
	data, ok, err := p.kv.Get(ctx, placeKey+name)
	if err != nil || !ok {
		return c, false, err
	}
	return c, true, json.Unmarshal(data, &c)
}

var _ chat.Opener = (*Adapter)(nil)

// Open implements chat.Opener. What it takes to write in a channel, Teams tells
// with what comes from there: somebody must have added Skadi to it, or written
// to it there.
func (a *Adapter) Open(ctx context.Context, channel string) (chat.ConversationRef, error) {
	fail := func(class chat.Class, format string, args ...any) (chat.ConversationRef, error) {
		return chat.ConversationRef{}, &chat.SendError{Class: class, Err: fmt.Errorf(format, args...)}
	}
	if err := a.CheckChannel(channel); err != nil {
		return fail(chat.Permanent, "%w", err)
	}
	c, ok, err := a.places.find(ctx, channel)
	switch {
	case err != nil:
		return fail(chat.Temporary, "what is known of %.100q cannot be read: %w", channel, err)
	case !ok:
		return fail(chat.Gone, "nothing came from %.100q yet: add Skadi to it, or mention it there once", channel)
	}
	if err := a.cfg.checkService(c.ServiceURL); err != nil {
		return fail(chat.Permanent, "%.100q is not written to: %w", channel, err)
	}
	return c.ref(a.env.Account), nil
}
