package events_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
)

// reporter runs an account whose adapter reports what the test has it report.
type reporter struct {
	*events.Accounts
	log  bytes.Buffer
	line *events.Line
	end  chan error // what its Run returns
}

// reporting runs f in a bubble, with an account that runs.
func reporting(t *testing.T, f func(t *testing.T, r *reporter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &reporter{line: &events.Line{}, end: make(chan error)}
		r.Accounts = events.NewAccounts(nil, slog.New(slog.NewTextHandler(&r.log, nil)))
		if err := r.Add(r.account(r.line)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		f(t, r)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func (r *reporter) account(line *events.Line) events.Account {
	return events.Account{Name: "work", Kind: "test", Line: line, Adapter: &channel{runs: func(ctx context.Context) error {
		select {
		case err := <-r.end:
			return err
		case <-ctx.Done():
			return nil
		}
	}}}
}

// is checks the account's state, and that its error says so.
func (r *reporter) is(t *testing.T, state events.State, says string) {
	t.Helper()
	if h := health(t, r.Accounts, "work"); h.State != state || !strings.Contains(h.Err, says) || (says == "") != (h.Err == "") {
		t.Errorf("it is %s (%q), want %s (%q)", h.State, h.Err, state, says)
	}
}

func (r *reporter) logged(t *testing.T, what string, want int) {
	t.Helper()
	if n := strings.Count(r.log.String(), what); n != want {
		t.Errorf("the log says %d times that %s, want %d:\n%s", n, what, want, &r.log)
	}
}

var errRefused = errors.New("connection refused")

// TestAnAccountThatNeverConnected is told as unhealthy, once, with the newest
// reason, and is healthy again by itself.
func TestAnAccountThatNeverConnected(t *testing.T) {
	t.Parallel()
	reporting(t, func(t *testing.T, r *reporter) {
		r.is(t, events.Healthy, "")
		r.line.Report(chat.ErrConnecting)
		r.is(t, events.Starting, "")
		after(20 * time.Second)
		r.is(t, events.Starting, "")
		r.line.Report(errRefused)
		after(9 * time.Second)
		r.is(t, events.Starting, "refused")
		r.line.Report(chat.ErrConnecting) // as one that hangs does
		after(2 * time.Second)
		r.is(t, events.Unhealthy, chat.ErrConnecting.Error())
		since := health(t, r.Accounts, "work").Since
		for range 100 {
			r.line.Report(errRefused)
			after(time.Minute)
		}
		r.is(t, events.Unhealthy, "refused")
		if h := health(t, r.Accounts, "work"); !h.Since.Equal(since) || h.Restarts != 0 {
			t.Errorf("%+v, want it since %s", h, since)
		}
		r.logged(t, "the account does not work", 1)
		r.line.Report(nil)
		after(9 * time.Second)
		r.is(t, events.Unhealthy, "refused") // it may end at once
		after(2 * time.Second)
		r.is(t, events.Healthy, "")
		r.logged(t, "the account works again", 1)
	})
}

// TestAShortReconnect changes nothing, however often it happens.
func TestAShortReconnect(t *testing.T) {
	t.Parallel()
	reporting(t, func(t *testing.T, r *reporter) {
		for range 50 {
			r.line.Report(chat.ErrConnecting)
			after(time.Second)
			r.line.Report(nil)
			r.is(t, events.Healthy, "")
			after(time.Minute)
			r.line.Report(errRefused)
			after(25 * time.Second)
			r.is(t, events.Healthy, "")
			r.line.Report(nil)
			after(time.Hour)
		}
		r.is(t, events.Healthy, "")
		if r.log.Len() > 0 {
			t.Errorf("the log has: %s", &r.log)
		}
	})
}

// TestAConnectionThatEndsAtOnce never works long enough to be one.
func TestAConnectionThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	reporting(t, func(t *testing.T, r *reporter) {
		for range 20 {
			r.line.Report(nil)
			after(4 * time.Second)
			r.line.Report(errRefused)
			after(time.Second)
		}
		r.is(t, events.Unhealthy, "refused")
		for range 20 {
			r.line.Report(nil)
			after(4 * time.Second)
			r.is(t, events.Unhealthy, "refused")
			r.line.Report(errRefused)
			after(time.Second)
		}
		r.logged(t, "the account does not work", 1)
		r.logged(t, "works again", 0)
	})
}

// TestTroubleAfterAFailure starts an account again that cannot connect then:
// it is not healthy in between.
func TestTroubleAfterAFailure(t *testing.T) {
	t.Parallel()
	reporting(t, func(t *testing.T, r *reporter) {
		r.end <- errors.New("token_revoked")
		after(2 * time.Second)
		r.is(t, events.Unhealthy, "token_revoked")
		r.line.Report(chat.ErrConnecting)
		r.line.Report(errRefused)
		for range 20 {
			after(time.Second)
			r.is(t, events.Unhealthy, "token_revoked")
		}
		after(11 * time.Second)
		r.is(t, events.Unhealthy, "refused")
		r.line.Report(nil)
		after(11 * time.Second)
		r.is(t, events.Healthy, "")
		// What Run reported in the end says nothing of the next Run.
		r.line.Report(errRefused)
		r.end <- errors.New("token_revoked")
		synctest.Wait()
		r.is(t, events.Unhealthy, "token_revoked")
		r.line.Report(errRefused) // nobody runs
		after(12 * time.Second)
		r.is(t, events.Healthy, "")
		after(time.Hour)
		r.is(t, events.Healthy, "")
	})
}

// TestTroubleOfTheAdapterBefore is not that of the one in its place.
func TestTroubleOfTheAdapterBefore(t *testing.T) {
	t.Parallel()
	reporting(t, func(t *testing.T, r *reporter) {
		r.line.Report(errRefused)
		after(time.Minute)
		r.is(t, events.Unhealthy, "refused")
		next := &events.Line{}
		next.Report(errRefused) // it does not run yet
		r.Replace(r.account(next))
		synctest.Wait()
		r.is(t, events.Healthy, "")
		r.line.Report(errRefused)
		after(time.Hour)
		r.is(t, events.Healthy, "")
		next.Report(errRefused)
		after(time.Minute)
		r.is(t, events.Unhealthy, "refused")
		r.Remove("work")
		next.Report(errRefused)
		after(time.Hour)
		r.logged(t, "the account does not work", 2)
	})
}

// TestTroubleAndSending are two things, either of which makes it unhealthy.
func TestTroubleAndSending(t *testing.T) {
	t.Parallel()
	reporting(t, func(t *testing.T, r *reporter) {
		r.Fault("work", errors.New("invalid_auth"))
		r.is(t, events.Unhealthy, "invalid_auth")
		r.line.Report(errRefused)
		after(time.Minute)
		r.is(t, events.Unhealthy, "refused")
		r.line.Report(nil)
		after(time.Minute)
		r.is(t, events.Unhealthy, "invalid_auth")
		r.Recovered("work")
		r.is(t, events.Healthy, "")
		r.logged(t, "the account works again", 1)
	})
}
