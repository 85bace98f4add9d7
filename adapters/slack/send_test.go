package slack

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func answer(id string, c conversation) chat.Outbound {
	return chat.Outbound{ID: id, To: c.ref("work"), Text: "hello <there>"}
}

func about(id string, c conversation, card *chat.Card) chat.Outbound {
	m := answer(id, c)
	m.Card = card
	return m
}

// TestPost checks everything that a new message says to Slack.
func TestPost(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	ref := b.must(t, about("m1", inThread(), job(chat.MarkWaiting, nil)))
	sent := b.one(t, "chat.postMessage").form
	for key, want := range map[string]string{
		"channel": "C0001", "thread_ts": "1700000000.000001", "text": "hello &lt;there&gt;",
		"parse": "none", "link_names": "false", "mrkdwn": "false", "unfurl_links": "false", "unfurl_media": "false",
		"client_msg_id": clientMessageID("work", "C0001", "m1"),
	} {
		if got := sent.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if ref.ID == "" || !json.Valid(ref.Data) {
		t.Errorf("the reference is %+v", ref)
	}
	if got := clientMessageID("work", "C0001", "m2"); got == sent.Get("client_msg_id") || len(got) != 36 {
		t.Errorf("another message has the client_msg_id %s", got)
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	ref := b.must(t, about("m1", inThread(), job(chat.MarkWaiting, nil)))
	m := about("m2", inThread(), job(chat.MarkRunning, nil))
	m.Edit = &ref
	again := b.must(t, m)
	sent := b.one(t, "chat.update").form
	for key, want := range map[string]string{"channel": "C0001", "ts": ref.ID, "parse": "none", "link_names": "false"} {
		if got := sent.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if !strings.Contains(sent.Get("blocks"), "<@U0001>") && !strings.Contains(sent.Get("blocks"), `\u003c@U0001\u003e`) {
		t.Error("an edit does not mention who asked")
	}
	if again.ID != ref.ID {
		t.Errorf("the edited message is %s, was %s", again.ID, ref.ID)
	}

	b.answering("chat.update", refused("message_not_found"))
	_, err := b.Send(t.Context(), m)
	if chat.Classify(err).Class != chat.Permanent {
		t.Errorf("an edit of a deleted message fails with %v, want permanent", err)
	}
}

// TestEditInADirectMessage checks that a message to a user is edited in the
// conversation that Slack made of it.
func TestEditInADirectMessage(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	c := conversation{Team: teamID, Channel: "U0001", User: "U0001"}
	ref := b.must(t, answer("m1", c))
	m := answer("m2", c)
	m.Edit = &ref
	b.must(t, m)
	if got := b.one(t, "chat.update").form.Get("channel"); got != "D0001" {
		t.Errorf("it is edited in %s", got)
	}
}

// TestShrinks checks that a message that is too long for Slack comes shorter.
func TestShrinks(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"msg_too_long", "msg_blocks_too_long", "invalid_blocks"} {
		b := startBot(t)
		b.answering("chat.postMessage", refused(reason), refused(reason), "")
		m := about("m1", inThread(), job(chat.MarkSucceeded, final(lines(400))))
		b.must(t, m)
		before := 1 << 30
		for _, c := range b.made("chat.postMessage") {
			if n := len(c.form.Get("blocks")); n >= before {
				t.Errorf("%s: %d bytes after %d", reason, n, before)
			} else {
				before = n
			}
		}
		b.answering("chat.postMessage", refused(reason))
		if _, err := b.Send(t.Context(), m); chat.Classify(err).Class != chat.Permanent {
			t.Errorf("%s for ever: %v, want permanent", reason, err)
		}
		if n := len(b.made("chat.postMessage")); n != triesToFit {
			t.Errorf("%d tries, want %d", n, triesToFit)
		}
	}
}

// TestDuplicateThatIsGone checks that a message whose first try was deleted is
// posted anew.
func TestDuplicateThatIsGone(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("chat.postMessage", refused("duplicate_message_not_found"), "")
	b.must(t, answer("m1", inThread()))
	calls := b.made("chat.postMessage")
	if len(calls) != 2 || calls[0].form.Get("client_msg_id") == "" || calls[1].form.Get("client_msg_id") != "" {
		t.Errorf("it was posted %d times", len(calls))
	}
}

// TestDuplicate checks that a message of which an earlier try is there already
// counts as sent, and that what follows comes as a new one.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("chat.postMessage", refused("duplicate_client_msg_id"), "")
	m := withFile(answer("m1", inThread()))
	ref := b.must(t, m)
	b.one(t, "chat.postMessage")
	if got := b.one(t, "files.completeUploadExternal").form; got.Get("channel_id") != "C0001" || got.Get("thread_ts") != "1700000000.000001" {
		t.Errorf("its file is attached with %v", got)
	}
	next := answer("m2", inThread())
	next.Edit = &ref
	b.must(t, next)
	b.one(t, "chat.postMessage")
	b.none(t, "chat.update")
}

// TestNoRetries checks that nothing is tried again but by core.
func TestNoRetries(t *testing.T) {
	t.Parallel()
	for _, with := range []string{"429", "500", "503", refused("internal_error"), refused("ratelimited"), "{", "{}"} {
		b := startBot(t)
		b.answering("chat.postMessage", with)
		_, err := b.Send(t.Context(), answer("m1", inThread()))
		if err == nil {
			t.Errorf("%s counts as sent", with)
		}
		b.secretive(t, err)
		b.one(t, "chat.postMessage")
	}
}

// TestReaction checks that the state of a job is a reaction on what was asked.
func TestReaction(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	step := func(ref *chat.MessageRef, mark chat.Mark) chat.MessageRef {
		t.Helper()
		m := about(string(mark), inThread(), job(mark, nil))
		m.Edit = ref
		return b.must(t, m)
	}
	expect := func(added, removed string) {
		t.Helper()
		for method, want := range map[string]string{"reactions.add": added, "reactions.remove": removed} {
			if want == "" {
				b.none(t, method)
				continue
			}
			c := b.one(t, method).form
			if c.Get("name") != want || c.Get("channel") != "C0001" || c.Get("timestamp") != "1700000000.000001" {
				t.Errorf("%s with %v, want %s", method, c, want)
			}
		}
	}
	ref := step(nil, chat.MarkWaiting)
	expect("hourglass_flowing_sand", "")
	ref = step(&ref, chat.MarkRunning)
	expect("arrows_counterclockwise", "hourglass_flowing_sand")
	ref = step(&ref, chat.MarkRunning)
	expect("", "")

	b.answering("reactions.add", refused("already_reacted"))
	ref = step(&ref, chat.MarkSucceeded)
	expect("white_check_mark", "arrows_counterclockwise")

	b.answering("reactions.add", refused("message_not_found"))
	ref = step(&ref, chat.MarkFailed)
	expect("x", "")
	b.answering("reactions.add", refused("missing_scope"))
	ref = step(&ref, chat.MarkFailed)
	expect("x", "")
	ref = step(&ref, chat.MarkFailed)
	expect("", "") // not tried again
	b.forward(reactLater + time.Minute)
	b.answering("reactions.add", "")
	step(&ref, chat.MarkFailed)
	expect("x", "white_check_mark")

	b.must(t, about("slash", conversation{Channel: "C0001", User: "U0001"}, job(chat.MarkRunning, nil)))
	expect("", "")
}

// TestReactionsHaveLimits checks that a reaction that is too many costs no
// message.
func TestReactionsHaveLimits(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("reactions.add", "429")
	for _, id := range []string{"a", "b"} {
		b.must(t, about(id, inThread(), job(chat.MarkWaiting, nil)))
	}
	b.one(t, "reactions.add")
}

// TestEphemeral checks what only one person is told.
func TestEphemeral(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	if err := b.Ephemeral(t.Context(), "C0001", "U0001", "1700000000.000001", "not <!channel> accepted"); err != nil {
		t.Fatal(err)
	}
	c := b.one(t, "chat.postEphemeral").form
	if c.Get("user") != "U0001" || c.Get("text") != "not &lt;!channel&gt; accepted" || c.Get("thread_ts") == "" || c.Get("parse") != "none" {
		t.Errorf("it is %v", c)
	}
}

// TestUnreadableReferences checks that what another program wrote is given up.
func TestUnreadableReferences(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	bad := answer("m1", inThread())
	bad.To.Data = json.RawMessage(`{"channel":7}`)
	edit := answer("m2", inThread())
	edit.Edit = &chat.MessageRef{ID: "1700000000.000002", Data: json.RawMessage(`[`)}
	for _, m := range []chat.Outbound{bad, edit} {
		_, err := b.Send(t.Context(), m)
		var se *chat.SendError
		if !errors.As(err, &se) || se.Class != chat.Permanent {
			t.Errorf("Send: %v, want permanent", err)
		}
	}
	if n := len(b.made("")); n != 0 {
		t.Errorf("%d calls were made", n)
	}
}
