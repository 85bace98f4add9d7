package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/channels"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// room is a channel that can be written in, or fails.
type room struct {
	chat.Adapter
	err error
}

func (r *room) Open(_ context.Context, channel string) (chat.ConversationRef, error) {
	return chat.ConversationRef{Account: "work", Channel: channel, Key: channel}, r.err
}

func (r *room) adapter(name string) (chat.Adapter, bool) { return r, name == "work" }

type accounts func(name string) (chat.Adapter, bool)

func (a accounts) Adapter(name string) (chat.Adapter, bool) { return a(name) }

func withChannels(r *room) func(*Config) {
	return func(c *Config) {
		c.Channels = channels.New(map[string]channels.Channel{
			"ops":   {Account: "work", Channel: "C1", Agents: []string{"web-*"}},
			"other": {Account: "work", Channel: "C2", Agents: []string{"db-*"}},
			"quiet": {Account: "work", Channel: "C3"},
		}, channels.Alerts{}, accounts(r.adapter))
	}
}

func (e *env) say(t *testing.T, token string, m agentapi.Message, headers ...string) answer {
	t.Helper()
	return e.call(t, http.MethodPost, "/v1/agent/messages", token, encode(t, m), headers...)
}

func TestAgentsSpeakInTheirChannels(t *testing.T) {
	t.Parallel()
	e := setup(t, withChannels(&room{}))
	ev := as[agentapi.Event](t, e.say(t, e.web1, agentapi.Message{Channel: "ops", Text: "<!channel> the disk is full"}), http.StatusCreated)
	if ev.Kind != "EventMessage" || ev.Job != "" || ev.Text != "web-1: <!channel> the disk is full" || ev.By != "web-1" {
		t.Errorf("got %+v", ev)
	}
	stored, err := e.db.Unpublished(t.Context(), 10)
	if err != nil || len(stored) != 1 {
		t.Fatal(err, stored)
	}
	if to := stored[0].Conversation; to == nil || to.Account != "work" || to.Channel != "C1" || stored[0].Text != ev.Text {
		t.Errorf("the outbox has %+v", stored[0])
	}
}

func TestAgentsSpeakNowhereElse(t *testing.T) {
	t.Parallel()
	e := setup(t, withChannels(&room{}))
	db := e.agent(t, "db-1")
	for _, c := range []struct{ token, channel, why string }{
		{e.web1, "other", "does not list web-1"},
		{e.web1, "quiet", "does not list web-1"},
		{e.web1, "C1", "no channel of that name"},
		{e.web1, "ops ", "no channel of that name"},
		{db, "ops", "does not list db-1"},
	} {
		p := e.say(t, c.token, agentapi.Message{Channel: c.channel, Text: "hello"}).problem(t, agentapi.ProblemChannelNotAllowed)
		if p.Status != http.StatusForbidden || p.Field != "channel" || !strings.Contains(p.Detail, "the audit log has this as") {
			t.Errorf("%s: %+v", c.channel, p)
		}
		code := p.Detail[strings.LastIndex(p.Detail, " ")+1:]
		r, ok, err := e.auditor.Find(t.Context(), job.DefaultSpace, code)
		if err != nil || !ok || r.Allowed || r.Action != "say" || !strings.Contains(r.Why, c.why) || r.Text != "hello" {
			t.Errorf("%s: the audit log has %+v, %v, %v", c.channel, r, ok, err)
		}
	}
	if stored, err := e.db.Unpublished(t.Context(), 10); err != nil || len(stored) != 0 {
		t.Error("something was said:", stored, err)
	}
	if !strings.Contains(e.logged.String(), "wanted to speak where it may not") {
		t.Error("the log does not say so")
	}
	for _, m := range []agentapi.Message{{Channel: "ops", Job: "x", Text: "x"}, {Channel: "ops"}, {Channel: "ops", Text: strings.Repeat("x", e.jobs.Limits().MessageBytes+1)}} {
		e.say(t, e.web1, m).problem(t, agentapi.ProblemInvalidValue)
	}
	e.say(t, e.ci, agentapi.Message{Channel: "ops", Text: "x"}).problem(t, agentapi.ProblemWrongRole)
}

func TestAgentsOfOtherSpacesSpeakNowhere(t *testing.T) {
	t.Parallel()
	b := channels.New(map[string]channels.Channel{"ops": {Account: "work", Channel: "C1", Agents: []string{"*"}}}, channels.Alerts{}, accounts((&room{}).adapter))
	_, err := b.Speak(t.Context(), "tenant", "web-1", "ops")
	var denied *channels.DeniedError
	if !errors.As(err, &denied) {
		t.Error(err)
	}
}

func TestChannelsThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	r := &room{}
	e := setup(t, withChannels(r))
	r.err = &chat.SendError{Class: chat.Gone, Err: errors.New("nothing came from there yet")}
	p := e.say(t, e.web1, agentapi.Message{Channel: "ops", Text: "x"}).problem(t, agentapi.ProblemChannelNotAllowed)
	if !strings.Contains(p.Detail, "nothing came from there yet") {
		t.Errorf("%+v", p)
	}
	r.err = errors.New("away")
	a := e.say(t, e.web1, agentapi.Message{Channel: "ops", Text: "x"})
	a.problem(t, agentapi.ProblemUnavailable)
}

func TestSayingOnce(t *testing.T) {
	t.Parallel()
	e := setup(t, withChannels(&room{}))
	m := agentapi.Message{Channel: "ops", Text: "the disk is full"}
	first := as[agentapi.Event](t, e.say(t, e.web1, m, "Idempotency-Key", "k1"), http.StatusCreated)
	again := as[agentapi.Event](t, e.say(t, e.web1, m, "Idempotency-Key", "k1"), http.StatusOK)
	if first.ID != again.ID {
		t.Errorf("%s and %s", first.ID, again.ID)
	}
	m.Text = "another"
	e.say(t, e.web1, m, "Idempotency-Key", "k1").problem(t, agentapi.ProblemKeyReused)
	// The keys of others are others.
	as[agentapi.Event](t, e.say(t, e.agent(t, "web-2"), m, "Idempotency-Key", "k1"), http.StatusCreated)
	if stored, err := e.db.Unpublished(t.Context(), 10); err != nil || len(stored) != 2 {
		t.Error(stored, err)
	}
}

func TestAgentsThatTalkTooMuchWait(t *testing.T) {
	t.Parallel()
	e := setup(t, withChannels(&room{}))
	m := agentapi.Message{Channel: "ops", Text: "x"}
	for range speechBurst {
		as[agentapi.Event](t, e.say(t, e.web1, m), http.StatusCreated)
	}
	a := e.say(t, e.web1, m)
	a.problem(t, agentapi.ProblemRateLimited)
	if a.header.Get("Retry-After") != "3" {
		t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
	}
	as[agentapi.Event](t, e.say(t, e.agent(t, "web-2"), m), http.StatusCreated)
	e.clock.advance(speechEvery)
	as[agentapi.Event](t, e.say(t, e.web1, m), http.StatusCreated)
}

func TestCallbacks(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) {
		c.Callback = func(url string) error {
			if strings.Contains(url, "//localhost") {
				return errors.New("\"localhost\" is this machine")
			}
			return nil
		}
	})
	j := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs", e.ci, `{"agent":"web-1","message":"status","callback_url":"https://ci.example.com/done?token=hidden"}`), http.StatusCreated)
	got, err := e.jobs.Job(t.Context(), job.DefaultSpace, j.ID)
	if err != nil || got.CallbackURL != "https://ci.example.com/done?token=hidden" {
		t.Error(got.CallbackURL, err)
	}
	p := e.call(t, http.MethodPost, "/v1/jobs", e.ci, `{"agent":"web-1","message":"status","callback_url":"https://localhost/?token=hidden"}`).problem(t, agentapi.ProblemInvalidValue)
	code := p.Detail[strings.LastIndex(p.Detail, " ")+1:]
	r, ok, err := e.auditor.Find(t.Context(), job.DefaultSpace, code)
	if p.Field != "callback_url" || err != nil || !ok || r.Allowed || r.Action != "callback" || r.Who != "token:ci" {
		t.Errorf("%+v; the audit log has %+v, %v, %v", p, r, ok, err)
	}
	if strings.Contains(e.logged.String(), "hidden") || strings.Contains(p.Detail+r.Why+r.Text, "hidden") {
		t.Error("a URL with a secret is shown")
	}
	b := as[agentapi.BatchAnswer](t, e.call(t, http.MethodPost, "/v1/jobs/batch", e.ci,
		`{"jobs":[{"agent":"web-1","message":"status","callback_url":"https://localhost/"},{"agent":"web-1","message":"status","callback_url":"https://ci.example.com/"}]}`), http.StatusOK)
	if b.Jobs[0].Problem == nil || b.Jobs[0].Problem.Type != agentapi.ProblemInvalidValue || b.Jobs[1].Job == nil {
		t.Errorf("%+v", b)
	}
}

// The copy of a status that a callback is told is nothing for readers of events.
func TestEventsLeaveOutCopies(t *testing.T) {
	t.Parallel()
	e := setup(t, func(c *Config) { c.Callback = func(string) error { return nil } })
	j := as[agentapi.Job](t, e.call(t, http.MethodPost, "/v1/jobs", e.ci, `{"agent":"web-1","message":"status","callback_url":"https://ci.example.com/"}`), http.StatusCreated)
	if _, err := e.jobs.Cancel(t.Context(), job.DefaultSpace, j.ID, "token:ci"); err != nil {
		t.Fatal(err)
	}
	stored, err := e.db.Unpublished(t.Context(), 10)
	if err != nil || len(stored) != 3 {
		t.Fatal(stored, err)
	}
	last := stored[2]
	if last.Kind != job.EventCopy || last.JobID() != j.ID || last.Status != job.Canceled || last.Conversation == nil || last.Conversation.Account != job.CallbackAccount {
		t.Errorf("%+v", last)
	}
	history, err := e.jobs.History(t.Context(), job.DefaultSpace, j.ID)
	if err != nil || len(history) != 2 {
		t.Error(history, err)
	}
}
