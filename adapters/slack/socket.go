package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"
)

const (
	// connections is how many Socket Mode connections an account holds, so
	// that one goes on while Slack refreshes the other. Slack delivers each
	// message over one of them, and allows ten for an app:
	// https://docs.slack.dev/apis/events-api/using-socket-mode
	connections = 2
	// staggerConnections is Adapter.stagger.
	staggerConnections = 3 * time.Second
	// steadyAfter is how long a connection must have lived for the next to be
	// opened at once. slack-go opens the next at once whatever happened, which
	// turns into a storm where connections end as soon as they are made.
	steadyAfter = 10 * time.Second
	// partingPause is Adapter.parting.
	partingPause = 250 * time.Millisecond
	// maxHandled is how many messages a connection handles at once.
	maxHandled = 256
)

// receive holds connections to Slack until ctx ends. Its error means that no
// connection can be made with the tokens.
func (a *Adapter) receive(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, connections)
	for n := range connections {
		wg.Go(func() {
			if !pause(ctx, time.Duration(n)*a.stagger) {
				return
			}
			err := a.env.Guard(ctx, "holding a connection to Slack", func() error { return a.reconnect(ctx, n+1) })
			if err != nil {
				errs <- err
				cancel() // the other would fail alike
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// reconnect holds one connection after the other.
func (a *Adapter) reconnect(ctx context.Context, n int) error {
	log := a.env.Logger.With("connection", n)
	retry := newRetry()
	for {
		from := time.Now()
		err := a.connect(ctx, n)
		if ctx.Err() != nil {
			return nil
		}
		if reason := socketFault(err); reason != "" {
			return fmt.Errorf("app_token: Slack refuses it (%s): it must be an app-level token with the scope connections:write of an app with Socket Mode turned on", reason)
		}
		var wait time.Duration
		if time.Since(from) >= steadyAfter {
			retry.Reset()
		} else {
			wait = max(retry.NextBackOff(), retryAfter(err))
		}
		a.standing.without(a.env, withoutURL(err))
		if err != nil {
			log.Warn("a connection to Slack ended or was not made; trying again", "err", withoutURL(err), "in", wait)
		} else {
			log.Debug("Slack ended a connection; opening another", "in", wait)
		}
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// socketFault names what is wrong with the app-level token. slack-go takes a
// 404 for that too.
func socketFault(err error) string {
	if reason := tokenFault(err); reason != "" {
		return reason
	}
	var status slack.StatusCodeError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return "HTTP status 404"
	}
	return ""
}

// connection is one connection and what it is handling.
type connection struct {
	*Adapter
	client  *socketmode.Client
	handled sync.WaitGroup
	slots   chan struct{}
	// greeted: Slack has said hello, so that it delivers here.
	greeted bool
	// acked is when the last acknowledgement was handed to the client, which
	// writes it some time later.
	acked atomic.Int64
}

// connect makes one connection and serves it until it ends or ctx does. A
// slack-go client would go on with the next connection by itself; it is given
// up instead, for it neither waits between two nor says why the first ended.
func (a *Adapter) connect(ctx context.Context, n int) error {
	// What is being handled when ctx ends is acknowledged over this connection.
	live, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	c := &connection{
		Adapter: a, slots: make(chan struct{}, maxHandled),
		client: socketmode.New(a.api, socketmode.OptionReadLimit(maxBody)),
	}
	ended := make(chan error, 1)
	go func() {
		ended <- a.env.Guard(live, "reading from Slack", func() error { return c.client.RunContext(live) })
	}()
	defer func() {
		if c.greeted {
			a.standing.ended()
		}
	}()
	over, err := c.serve(ctx, live, ended)
	if !over && ctx.Err() != nil {
		c.handled.Wait()
		over, err = c.part(ended)
	}
	hangUp()
	c.handled.Wait()
	if !over {
		if failed := <-ended; err == nil && !errors.Is(failed, context.Canceled) {
			err = failed
		}
	}
	a.env.Logger.Debug("a connection to Slack is closed", "connection", n)
	return err
}

// part waits until the last acknowledgements are written, unless Slack ends
// the connection first. It reports whether the client has ended.
func (c *connection) part(ended <-chan error) (over bool, err error) {
	wait := c.parting - time.Duration(time.Now().UnixNano()-c.acked.Load())
	t := time.NewTimer(max(wait, 0))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return false, nil
		case err := <-ended:
			return true, err
		case e := <-c.client.Events:
			if e.Type == socketmode.EventTypeConnecting {
				return false, nil
			}
		}
	}
}

// serve takes what comes over the connection until it ends or ctx does. It
// reports whether the client has ended.
func (c *connection) serve(ctx, live context.Context, ended <-chan error) (over bool, err error) {
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case err := <-ended:
			return true, err
		case e := <-c.client.Events:
			if done, failed := c.took(ctx, live, e); done {
				return false, errors.Join(failed, err)
			} else if failed != nil {
				err = failed
			}
		}
	}
}

// took deals with one event of the client. It reports whether the connection
// has ended, and what went wrong with it.
func (c *connection) took(ctx, live context.Context, e socketmode.Event) (ended bool, err error) {
	switch e.Type {
	case socketmode.EventTypeConnecting:
		data, ok := e.Data.(*slack.ConnectingEvent)
		return ok && data.ConnectionCount > 0, nil
	case socketmode.EventTypeConnectionError:
		if data, ok := e.Data.(*slack.ConnectionErrorEvent); ok {
			return true, data.ErrorObj
		}
		return true, nil
	case socketmode.EventTypeIncomingError:
		if data, ok := e.Data.(*slack.IncomingEventError); ok {
			return false, data.ErrorObj
		}
	case socketmode.EventTypeErrorWriteFailed:
		c.env.Logger.Warn("an acknowledgement did not reach Slack, which will deliver the message again")
	case socketmode.EventTypeHello:
		c.env.Logger.Info("connected to Slack", "connections", e.Request.NumConnections)
		if !c.greeted {
			c.greeted = true
			c.standing.begun(c.env)
		}
	case socketmode.EventTypeEventsAPI, socketmode.EventTypeSlashCommand, socketmode.EventTypeInteractive:
		c.begin(ctx, live, *e.Request)
	case socketmode.EventTypeErrorBadMessage:
		// slack-go does not know every event; what is none is told apart later.
		var r socketmode.Request
		if data, ok := e.Data.(*socketmode.ErrorBadMessage); ok && json.Unmarshal(data.Message, &r) == nil {
			c.begin(ctx, live, r)
		}
	}
	return false, nil
}

// begin handles a message of Slack's beside the others.
func (c *connection) begin(ctx, live context.Context, r socketmode.Request) {
	if r.EnvelopeID == "" {
		return
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	// The time that Slack waits begins now.
	within, cancel := context.WithTimeout(live, answerWithin)
	c.handled.Go(func() {
		defer func() { cancel(); <-c.slots }()
		c.handle(within, live, r)
	})
}

// handle takes a message and acknowledges it. What is not acknowledged Slack
// delivers again, over whichever connection.
func (c *connection) handle(ctx, live context.Context, r socketmode.Request) {
	v := malformed
	err := c.env.Guard(ctx, "handling a message of Slack's", func() error {
		switch r.Type {
		case socketmode.RequestTypeEventsAPI:
			v = c.event(ctx, r.Payload)
		case socketmode.RequestTypeSlashCommands:
			v = c.socketCommand(ctx, r.Payload)
		case socketmode.RequestTypeInteractive:
			v = c.interaction(ctx, r.Payload)
		}
		return nil
	})
	if err != nil {
		v = notNow(err)
	}
	if v.why != nil {
		c.env.Logger.Warn("a message was not taken", "type", r.Type, "status", v.status, "err", v.why)
	}
	if v.status != http.StatusOK {
		return
	}
	// The message may have used up its time; the answer is short.
	ack, cancel := context.WithTimeout(live, answerWithin)
	defer cancel()
	if err := c.client.AckCtx(ack, r.EnvelopeID, v.reply); err != nil {
		c.env.Logger.Warn("a message was taken and could not be acknowledged; Slack will deliver it again", "err", err)
	}
	c.acked.Store(time.Now().UnixNano())
}
