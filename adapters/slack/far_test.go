package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

// slackWaits is how long Slack waits for an answer.
const slackWaits = 3 * time.Second

// places are the conversations of the suite. A slash command cannot be given
// in a thread; those of a thread are given in the channel command.
var places = []struct{ channel, thread, kind, command string }{
	{"C0001", "1700000000.000001", "channel", "C0001"},
	{"C0001", "1700000000.000002", "channel", "C0009"},
	{"D0001", "", "im", "D0001"},
	{"C0003", "1700000000.000003", "mpim", "C0003"},
}

// far is the workspace with one account that works in it.
type far struct {
	*workspace
	chattest.Called[chat.Adapter] // as New made it
	mode                          string
	now                           atomic.Pointer[Adapter] // what is in it

	saidMu sync.Mutex
	said   map[chattest.Message][]delivery

	accepts *watched
}

// delivery is something that Slack delivers.
type delivery struct {
	path, kind string // below the mount, and as Socket Mode calls it
	body       []byte // as it is posted
	payload    []byte // as JSON
}

// watched tells how handing in went.
type watched struct {
	chat.Inbox
	under, failed atomic.Int64
}

func (w *watched) Accept(ctx context.Context, m chat.Inbound) error {
	w.under.Add(1)
	defer w.under.Add(-1)
	err := w.Inbox.Accept(ctx, m)
	if err != nil {
		w.failed.Add(1)
	}
	return err
}

func startFar(mode string) func(*testing.T, chat.Env) chattest.Far {
	return func(t *testing.T, env chat.Env) chattest.Far {
		f := &far{mode: mode, workspace: startWorkspace(t, env.Clock), said: map[chattest.Message][]delivery{}}
		f.Restart(t, env)
		return f
	}
}

func (f *far) config() Config {
	c := Config{Mode: f.mode, BotToken: botToken, APIURL: f.api()}
	if f.mode == ModeSocket {
		c.AppToken = appLevelToken
	} else {
		c.SigningSecret = signingSecret
	}
	return c
}

// Restart implements chattest.Restarts.
func (f *far) Restart(t *testing.T, env chat.Env) chat.Adapter {
	t.Helper()
	f.accepts = &watched{Inbox: env.Inbox}
	env.Inbox = f.accepts
	made, err := New(f.config(), env)
	if err != nil {
		t.Fatal(err)
	}
	a, ok := made.(*Adapter)
	if !ok {
		a = made.(pushed).Adapter
	}
	a.stagger, a.parting = 0, 5*time.Millisecond
	f.now.Store(a)
	f.Put(t, made)
	return made
}

// Lock implements chattest.Locks.
func (f *far) Lock(_ *testing.T, locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

// event makes a delivery of an event.
func (f *far) event(fields map[string]any, change ...func(envelope map[string]any)) delivery {
	n, _ := f.next()
	e := map[string]any{
		"token": "deprecated", "type": "event_callback", "team_id": teamID, "api_app_id": appID, "event": fields,
		"event_id": fmt.Sprintf("Ev%08d", n), "event_time": f.clock().Unix(), "is_ext_shared_channel": false,
		"authorizations": []map[string]any{{"enterprise_id": nil, "team_id": teamID, "user_id": botUser, "is_bot": true, "is_enterprise_install": false}},
	}
	for _, c := range change {
		c(e)
	}
	body := encoded(e)
	return delivery{path: "/events", kind: "events_api", body: body, payload: body}
}

func encoded(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// messageFields are those of a message that a person wrote.
func (f *far) messageFields(m chattest.Message, text string) map[string]any {
	_, ts := f.next()
	p := places[m.Conversation]
	fields := map[string]any{
		"type": "message", "channel": p.channel, "channel_type": p.kind, "user": person(m.Person), "team": teamID,
		"text": text, "ts": ts, "event_ts": ts, "client_msg_id": "x-" + ts,
		"blocks": []map[string]any{{"type": "rich_text", "elements": []any{}}},
	}
	if p.thread != "" {
		fields["thread_ts"], fields["parent_user_id"] = p.thread, person(7)
	}
	return fields
}

// deliveries are what Slack makes of what somebody writes: a mention comes as
// such and as a message, the first being the one that counts.
func (f *far) deliveries(m chattest.Message) []delivery {
	p := places[m.Conversation]
	if m.Way == "slash" {
		return []delivery{f.command(m)}
	}
	if p.kind == "im" {
		return []delivery{f.event(f.messageFields(m, escaped.Replace(m.Text)))}
	}
	fields := f.messageFields(m, "<@"+botUser+"> "+escaped.Replace(m.Text))
	mention := make(map[string]any)
	for k, v := range fields {
		mention[k] = v
	}
	mention["type"] = "app_mention"
	delete(mention, "channel_type")
	return []delivery{f.event(mention), f.event(fields)}
}

// command makes a slash command.
func (f *far) command(m chattest.Message) delivery {
	p := places[m.Conversation]
	n, _ := f.next()
	fields := map[string]string{
		"token": "deprecated", "team_id": teamID, "team_domain": "tests", "channel_id": p.command, "channel_name": "somewhere",
		"user_id": person(m.Person), "user_name": "ada", "command": "/skadi", "text": escaped.Replace(m.Text), "api_app_id": appID,
		"is_enterprise_install": "false", "trigger_id": fmt.Sprintf("%d.%d.abc", n, n),
		"response_url": f.responseTo(p.command, "", person(m.Person), m.Conversation),
	}
	form := url.Values{}
	for k, v := range fields {
		form.Set(k, v)
	}
	return delivery{path: "/commands", kind: "slash_commands", body: []byte(form.Encode()), payload: encoded(fields)}
}

// request makes the call of a delivery, signed at a time.
func (f *far) request(d delivery, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, d.path, bytes.NewReader(d.body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if d.path == "/events" {
		r.Header.Set("Content-Type", "application/json")
	}
	sign(r, d.body, at, signingSecret)
	return r
}

func sign(r *http.Request, body []byte, at time.Time, secret string) {
	stamp := fmt.Sprint(at.Unix())
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	r.Header.Set("X-Slack-Request-Timestamp", stamp)
	r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
}

// Request implements chattest.Requests.
func (f *far) Request(_ *testing.T, m chattest.Message) *http.Request {
	if f.mode != ModeHTTP {
		return nil
	}
	return f.request(f.deliveries(m)[0], f.clock())
}

// deliver delivers something and returns the status of the answer, with its
// body. Over Socket Mode an acknowledgement is 200 and nothing is 0.
func (f *far) deliver(t *testing.T, d delivery) (status int, body string) {
	t.Helper()
	return f.deliverFor(t, d, slackWaits)
}

// deliverFor is deliver with less patience.
func (f *far) deliverFor(t *testing.T, d delivery, patience time.Duration) (status int, body string) {
	t.Helper()
	if f.mode == ModeHTTP {
		status, answer := f.Call(f.request(d, f.clock()), slackWaits)
		return status, string(answer)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	for {
		w := f.connected(ctx, 1)
		if w == nil {
			t.Fatal("the adapter did not connect")
		}
		n, _ := f.next()
		id := fmt.Sprintf("envelope-%d", n)
		acked := f.await(id)
		if w.send(map[string]any{
			"type": d.kind, "envelope_id": id, "payload": json.RawMessage(d.payload),
			"accepts_response_payload": d.kind == "slash_commands",
		}) != nil {
			continue // it broke just now
		}
		select {
		case a := <-acked:
			return http.StatusOK, string(a.Payload)
		case <-w.gone: // over another then
		case <-time.After(patience):
			return 0, ""
		}
	}
}

// receipt delivers all of something; the first counts.
func (f *far) receipt(t *testing.T, all []delivery) chattest.Receipt {
	t.Helper()
	var r chattest.Receipt
	for i, d := range all {
		status, body := f.deliver(t, d)
		if i == 0 {
			r = chattest.Receipt{Taken: status == http.StatusOK, Told: body}
			if d.kind != "events_api" {
				r.Taken = true // Slack does not deliver it again
			}
		}
	}
	return r
}

// Say implements chattest.Far.
func (f *far) Say(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	all := f.deliveries(m)
	f.saidMu.Lock()
	f.said[m] = all
	f.saidMu.Unlock()
	return f.receipt(t, all)
}

// Again implements chattest.Redelivers. Slack says in a header that it is a
// retry, which must not matter.
func (f *far) Again(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	f.saidMu.Lock()
	all := f.said[m]
	f.saidMu.Unlock()
	return f.receipt(t, all)
}

// Join implements chattest.Joins.
func (f *far) Join(t *testing.T, conversation int) chattest.Receipt {
	t.Helper()
	_, ts := f.next()
	join := func(user string) delivery {
		return f.event(map[string]any{
			"type": "member_joined_channel", "user": user, "channel": places[conversation].channel, "channel_type": "C",
			"team": teamID, "inviter": person(0), "event_ts": ts,
		})
	}
	note := f.event(map[string]any{
		"type": "message", "subtype": "channel_join", "user": botUser, "text": "<@" + botUser + "> has joined the channel",
		"channel": places[conversation].channel, "channel_type": "channel", "ts": ts, "event_ts": ts, "inviter": person(0),
	})
	return f.receipt(t, []delivery{join(botUser), note, join(person(3))})
}

// Follow implements chattest.Follows.
func (f *far) Follow(t *testing.T, m chattest.Message) chattest.Receipt {
	t.Helper()
	return f.receipt(t, []delivery{f.event(f.messageFields(m, escaped.Replace(m.Text)))})
}

// Click implements chattest.Clicks.
func (f *far) Click(t *testing.T, label string, who int) chattest.Receipt {
	t.Helper()
	var on *button
	for _, p := range f.shown() {
		for _, b := range buttons(p) {
			if b.label == label {
				on = &b
			}
		}
	}
	if on == nil {
		t.Fatalf("there is no button %s", label)
	}
	before, failed := len(f.shown()), f.accepts.failed.Load()
	r := f.receipt(t, []delivery{f.click(on.on, on.actionID, on.value, who)})
	if f.accepts.failed.Load() == failed && f.accepts.under.Load() == 0 {
		return r
	}
	// Slack shows nobody the answer to a click.
	user := person(who)
	r.Told = eventually(t, func() (string, bool) { told := f.told(before, user); return told, told != "" })
	return r
}

func (f *far) click(on post, actionID, value string, who int) delivery {
	n, ts := f.next()
	message := map[string]any{"type": "message", "user": botUser, "bot_id": botID, "ts": on.TS, "text": on.Text}
	container := map[string]any{"type": "message", "message_ts": on.TS, "channel_id": on.Channel, "is_ephemeral": on.User != ""}
	if on.Thread != "" {
		message["thread_ts"], container["thread_ts"] = on.Thread, on.Thread
	}
	return interactionOf(map[string]any{
		"type": "block_actions", "team": map[string]string{"id": teamID, "domain": "tests"}, "enterprise": nil, "is_enterprise_install": false,
		"user":       map[string]string{"id": person(who), "username": "ada", "name": "ada", "team_id": teamID},
		"api_app_id": appID, "token": "deprecated", "container": container, "message": message,
		"channel": map[string]string{"id": on.Channel, "name": "somewhere"}, "trigger_id": fmt.Sprintf("%d.2.c", n),
		"response_url": f.responseTo(on.Channel, on.Thread, person(who), -1),
		"actions": []map[string]any{{
			"type": "button", "action_id": actionID, "block_id": "b", "value": value, "action_ts": ts,
			"text": map[string]any{"type": "plain_text", "text": "a label"},
		}},
	})
}

func interactionOf(payload map[string]any) delivery {
	raw := encoded(payload)
	return delivery{path: "/interactivity", kind: "interactive", body: []byte(url.Values{"payload": {string(raw)}}.Encode()), payload: raw}
}

// Expect implements chattest.Far.
func (f *far) Expect(m chattest.Message) chat.Inbound {
	p := places[m.Conversation]
	in := chat.Inbound{
		Sender:       chat.Sender{Account: chattest.Account, Workspace: teamID, User: person(m.Person)},
		Conversation: chat.ConversationRef{Account: chattest.Account, Channel: p.channel},
		Text:         m.Text, Direct: p.kind == "im", Addressed: true, Groups: []string{teamID + "/" + groupID},
	}
	if m.Way == "slash" { // Skadi was not seen to be a member
		in.Conversation.Channel, in.Direct = p.command, false
		in.Conversation.Quota = &chat.Quota{Messages: 5}
	}
	return in
}

// Delete implements chattest.Deletes.
func (f *far) Delete(t *testing.T, conversation int) {
	t.Helper()
	all := f.Shown(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, shown := range slices.Backward(all) {
		if shown.Conversation == conversation {
			f.posts = slices.Delete(f.posts, i, i+1)
			return
		}
	}
	t.Fatalf("there is no message in conversation %d", conversation)
}

// Shown implements chattest.Far.
func (f *far) Shown(*testing.T) []chattest.Shown {
	var all []chattest.Shown
	for _, p := range f.shown() {
		text, _ := read(&p)
		place := p.place
		for i, one := range places {
			if place < 0 && (one.channel == p.Channel && one.thread == p.Thread || one.command == p.Channel && p.Thread == "") {
				place = i
			}
		}
		all = append(all, chattest.Shown{Conversation: place, Text: text, Notified: p.notified, Files: p.files})
	}
	return all
}

// Break breaks the connections of Socket Mode.
func (f *far) breakConnections(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if f.connected(ctx, connections) == nil {
		t.Fatal("there are not two connections")
	}
	f.breakAll()
}

// socketFar is a far whose connections can break.
type socketFar struct{ *far }

func (f socketFar) Break(t *testing.T) { f.breakConnections(t) }

func startSocketFar(t *testing.T, env chat.Env) chattest.Far {
	return socketFar{startFar(ModeSocket)(t, env).(*far)}
}

// eventually returns what get returns once it says that it is there.
func eventually[T any](t *testing.T, get func() (T, bool)) T {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(15 * time.Second)
	for {
		if v, ok := get(); ok {
			return v
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it did not come")
		}
	}
}

// some returns a text of n bytes.
func some(n int) string { return strings.Repeat("x", n) }
