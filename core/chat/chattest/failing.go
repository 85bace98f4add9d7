package chattest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// classes are what bare statuses mean on every channel.
var classes = map[int]chat.Class{
	http.StatusBadRequest:                  chat.Permanent,
	http.StatusUnauthorized:                chat.Auth,
	http.StatusMethodNotAllowed:            chat.Permanent,
	http.StatusRequestTimeout:              chat.Temporary,
	http.StatusRequestEntityTooLarge:       chat.Permanent,
	http.StatusUnsupportedMediaType:        chat.Permanent,
	http.StatusUnprocessableEntity:         chat.Permanent,
	http.StatusTooEarly:                    chat.Temporary,
	http.StatusTooManyRequests:             chat.RateLimited,
	http.StatusRequestHeaderFieldsTooLarge: chat.Permanent,
	http.StatusInternalServerError:         chat.Temporary,
	http.StatusBadGateway:                  chat.Temporary,
	http.StatusServiceUnavailable:          chat.Temporary,
	http.StatusGatewayTimeout:              chat.Temporary,
	http.StatusInsufficientStorage:         chat.Temporary,
	599:                                    chat.Temporary,
}

// channelsOwn are the statuses that differ from channel to channel.
var channelsOwn = []int{
	http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusPreconditionFailed,
}

// trial is one kind of trouble and what an adapter makes of it.
type trial struct {
	name  string
	begin func(t *testing.T, s *setup)
	// classes are those allowed.
	classes []chat.Class
	// least and most bound the RetryAfter.
	least, most time.Duration
}

func runFailing(t *testing.T, h Harness) {
	for _, f := range h.Failures {
		one := trial{
			name: f.Name, begin: func(t *testing.T, s *setup) { f.Set(t, s.Far) },
			classes: []chat.Class{f.Class}, least: f.RetryAfter, most: f.RetryAfter,
		}
		t.Run(f.Name, func(t *testing.T) { s := start(t, h); _ = s.fails(t, one, nil) })
	}
	t.Run("ContextEnded", func(t *testing.T) { s := start(t, h); s.endedContext(t) })
	if h.OverHTTP == nil {
		t.Run("HTTP", func(t *testing.T) { t.Skip("the adapter sends by other means than calls over HTTP") })
		return
	}
	for _, one := range slices.Concat(statusTrials(t, h.OverHTTP), rateTrials(), networkTrials()) {
		t.Run(one.name, func(t *testing.T) {
			s := start(t, h)
			s.mends(t, s.fails(t, one, s.net))
		})
	}
	for _, status := range []int{http.StatusTooManyRequests, http.StatusInternalServerError} {
		t.Run(fmt.Sprintf("Edit/Status%d", status), func(t *testing.T) { s := start(t, h); s.editFails(t, status) })
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprintf("Redirect/%d", status), func(t *testing.T) { s := start(t, h); s.redirected(t, status) })
	}
	t.Run("ContextEndsDuringACall", func(t *testing.T) { s := start(t, h); s.contextEnds(t) })
}

func statusTrials(t *testing.T, o *OverHTTP) []trial {
	t.Helper()
	var trials []trial
	add := func(status int, class chat.Class) {
		trials = append(trials, trial{
			name: fmt.Sprintf("Status%d", status), classes: []chat.Class{class},
			begin: func(t *testing.T, s *setup) { s.net.answersWith(t, status, nil) },
		})
	}
	for _, status := range channelsOwn {
		if _, ok := o.Classes[status]; !ok {
			t.Errorf("the harness does not say what the status %d means on its channel", status)
		}
	}
	for status, class := range o.Classes {
		add(status, class)
	}
	for status, class := range classes {
		if _, ok := o.Classes[status]; !ok {
			add(status, class)
		}
	}
	slices.SortFunc(trials, func(a, b trial) int { return strings.Compare(a.name, b.name) })
	return trials
}

// rateTrials are the ways to be asked for patience. A server that is busy may
// be called either Temporary or RateLimited, if it says for how long.
func rateTrials() []trial {
	limited := []chat.Class{chat.RateLimited}
	const day = 24 * time.Hour
	asked := func(status int, after func(now time.Time) string) func(*testing.T, *setup) {
		return func(t *testing.T, s *setup) {
			s.net.answersWith(t, status, http.Header{"Retry-After": {after(s.clock.now())}})
		}
	}
	says := func(text string) func(time.Time) string { return func(time.Time) string { return text } }
	date := func(now time.Time) string { return now.Add(90 * time.Second).UTC().Format(http.TimeFormat) }
	return []trial{
		{"RetryAfter/seconds", asked(http.StatusTooManyRequests, says("7")), limited, 7 * time.Second, 7 * time.Second},
		{"RetryAfter/date", asked(http.StatusTooManyRequests, date), limited, 60 * time.Second, 91 * time.Second},
		{"RetryAfter/date in the past", asked(http.StatusTooManyRequests, says("Fri, 31 Dec 1999 23:59:59 GMT")), limited, 0, 0},
		{"RetryAfter/zero", asked(http.StatusTooManyRequests, says("0")), limited, 0, time.Second},
		{"RetryAfter/negative", asked(http.StatusTooManyRequests, says("-5")), limited, 0, 0},
		{"RetryAfter/nonsense", asked(http.StatusTooManyRequests, says("soon")), limited, 0, 0},
		{"RetryAfter/more than fits", asked(http.StatusTooManyRequests, says("99999999999999")), limited, 0, 100 * 365 * day},
		{
			"RetryAfter/busy", asked(http.StatusServiceUnavailable, says("7")),
			[]chat.Class{chat.Temporary, chat.RateLimited},
			7 * time.Second, 7 * time.Second,
		},
	}
}

func networkTrials() []trial {
	passing := []chat.Class{chat.Temporary}
	garbled := []chat.Class{chat.Temporary, chat.Permanent}
	return []trial{
		{name: "Network/refused", begin: func(_ *testing.T, s *setup) { s.net.refuses() }, classes: passing},
		{name: "Network/reset", begin: func(t *testing.T, s *setup) { s.net.resets(t) }, classes: passing},
		{name: "Network/timeout", begin: func(t *testing.T, s *setup) { s.net.holds(t, shortly) }, classes: passing},
		{name: "Network/truncated answer", begin: func(t *testing.T, s *setup) { s.net.truncates(t) }, classes: passing},
		{name: "Network/untrusted certificate", begin: func(t *testing.T, s *setup) { s.net.isForged(t) }, classes: passing},
		// As a login page of a network answers everything.
		{name: "Network/a page in between", begin: func(t *testing.T, s *setup) { s.net.answersWith(t, http.StatusOK, nil) }, classes: garbled},
	}
}

// fails checks that a message cannot be sent, and how that is called. net, if
// it is given, must have been used. It returns the message.
func (s *setup) fails(t *testing.T, one trial, net *network) chat.Outbound {
	t.Helper()
	m := outbound("a", s.conversation(t, 0), "hello there")
	one.begin(t, s)
	var err error
	within(t, "Send", func() {
		_, err = s.Adapter().Send(t.Context(), m)
	})
	if net != nil && net.called() == 0 {
		t.Error("no call was made by the client of chat.Env")
	}
	s.isClass(t, err, one)
	return m
}

func (s *setup) isClass(t *testing.T, err error, one trial) {
	t.Helper()
	var se *chat.SendError
	if !errors.As(err, &se) {
		t.Fatalf("Send returned %v, want a *chat.SendError", err)
	}
	if !slices.Contains(one.classes, se.Class) {
		t.Errorf("it is %s, want %s (%v)", se.Class, one.classes, err)
	}
	if se.RetryAfter < one.least || se.RetryAfter > one.most {
		t.Errorf("it is to be tried again after %s, want %s to %s (%v)", se.RetryAfter, one.least, one.most, err)
	}
	s.noSecret(t, "an error", err.Error())
}

// mends checks that what could not be sent can be sent once the trouble is
// over, and is then seen once.
func (s *setup) mends(t *testing.T, m chat.Outbound) {
	t.Helper()
	s.net.mended()
	s.clock.forward(time.Hour)
	s.send(t, m)
	seen := 0
	for _, shown := range s.Shown(t) {
		seen += strings.Count(shown.Text, "hello there")
	}
	if seen != 1 {
		t.Errorf("the message is seen %d times once the trouble is over, want once", seen)
	}
}

// editFails checks that an edit that fails leaves what it was to edit.
func (s *setup) editFails(t *testing.T, status int) {
	t.Helper()
	if !s.Adapter().Capabilities().Edit {
		t.Skip("the channel cannot edit")
	}
	to := s.conversation(t, 0)
	ref := s.send(t, chat.Outbound{ID: "a", To: to, Text: "the first text"})
	before := len(s.Shown(t))
	s.net.answersWith(t, status, nil)
	_, err := s.Adapter().Send(t.Context(), chat.Outbound{ID: "b", To: to, Edit: &ref, Text: "the second text"})
	s.isClass(t, err, trial{classes: []chat.Class{classes[status]}})
	if n := len(s.Shown(t)); n != before {
		t.Errorf("%d messages are shown after an edit that failed, %d before", n, before)
	}
	s.shows(t, 0, "the first text")
}

// redirected checks that a redirect to another host takes nothing secret
// there, and does not count as sent.
func (s *setup) redirected(t *testing.T, status int) {
	t.Helper()
	to := s.conversation(t, 0)
	s.net.redirects(t, status)
	_, err := s.Adapter().Send(t.Context(), chat.Outbound{ID: "a", To: to, Text: "hello there"})
	if err == nil {
		t.Error("a message that was redirected to another host counts as sent")
	} else {
		s.isClass(t, err, trial{classes: []chat.Class{chat.Temporary, chat.Permanent, chat.Auth, chat.Gone}})
	}
	for _, leaked := range s.net.whatLeaked() {
		s.noSecret(t, "a call to another host", leaked)
		if strings.Contains(leaked, "\nAuthorization:") {
			t.Error("the login went to another host")
		}
		if strings.Contains(leaked, "hello there") {
			t.Error("the message went to another host")
		}
	}
}

// endedContext checks that Send returns when its context has ended before.
func (s *setup) endedContext(t *testing.T) {
	t.Helper()
	to := s.conversation(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var err error
	within(t, "Send", func() {
		_, err = s.Adapter().Send(ctx, chat.Outbound{ID: "a", To: to, Text: "hello there"})
	})
	if err == nil {
		s.shows(t, 0, "hello there")
		return
	}
	s.passes(t, err)
}

// contextEnds checks that Send returns when its context ends.
func (s *setup) contextEnds(t *testing.T) {
	t.Helper()
	to := s.conversation(t, 0)
	arrived := s.net.holds(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err = s.Adapter().Send(ctx, chat.Outbound{ID: "a", To: to, Text: "hello there"})
	}()
	select {
	case <-arrived:
	case <-done:
	case <-time.After(patience):
		t.Fatal("no call was made by the client of chat.Env")
	}
	cancel()
	within(t, "Send", func() { <-done })
	s.passes(t, err)
}

// passes checks that a context that ended gives nothing up: the same message
// is sent later.
func (s *setup) passes(t *testing.T, err error) {
	t.Helper()
	if se := chat.Classify(err); err == nil || se.Class != chat.Temporary {
		t.Errorf("Send returned %v though its context had ended, want an error that is temporary", err)
		return
	}
	s.noSecret(t, "an error", err.Error())
}
