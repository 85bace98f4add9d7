package slack

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func withFile(m chat.Outbound) chat.Outbound {
	m.Files = []chat.File{{Name: "k7f3q2.txt", Text: "all <of> it\n"}}
	return m
}

// TestFile checks the way of a file into the thread of its message.
func TestFile(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.must(t, withFile(about("m1", inThread(), job(chat.MarkSucceeded, final("it")))))
	place := b.one(t, "files.getUploadURLExternal").form
	if place.Get("filename") != "k7f3q2.txt" || place.Get("length") != "12" {
		t.Errorf("the place is asked for with %v", place)
	}
	up := b.one(t, "upload")
	if up.body != "all <of> it\n" || up.header.Get("Authorization") != "" {
		t.Errorf("it is uploaded as %+v", up)
	}
	done := b.one(t, "files.completeUploadExternal").form
	if done.Get("channel_id") != "C0001" || done.Get("thread_ts") != "1700000000.000001" || !strings.Contains(done.Get("files"), "F0001") {
		t.Errorf("it is attached with %v", done)
	}
	b.one(t, "chat.postMessage")
}

// TestFileWithoutAThread checks that a file stands below its message.
func TestFileWithoutAThread(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	c := conversation{Team: teamID, Channel: "C0001", User: "U0001"}
	ref := b.must(t, withFile(answer("m1", c)))
	if got := b.one(t, "files.completeUploadExternal").form; got.Get("thread_ts") != ref.ID {
		t.Errorf("it is attached with %v", got)
	}
	c.Channel = "D0001"
	b.must(t, withFile(answer("m2", c)))
	if got := b.one(t, "files.completeUploadExternal").form; got.Get("thread_ts") != "" || got.Get("channel_id") != "D0001" {
		t.Errorf("it is attached with %v", got)
	}
}

// TestFileForAGuest checks that a guest gets a file directly.
func TestFileForAGuest(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("response/secret", "ok")
	b.must(t, withFile(answer("m1", b.guest())))
	b.one(t, "response/secret")
	if got := b.one(t, "chat.postMessage").form.Get("channel"); got != "U0001" {
		t.Errorf("it is announced to %s", got)
	}
	if got := b.one(t, "files.completeUploadExternal").form; got.Get("channel_id") != "D0001" || got.Get("thread_ts") == "" {
		t.Errorf("it is attached with %v", got)
	}
}

// TestFileInTwoTries checks that a message is not posted again when only its
// file was missing.
func TestFileInTwoTries(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	b.answering("files.completeUploadExternal", "503", "")
	m := withFile(answer("m1", inThread()))
	if _, err := b.Send(t.Context(), m); chat.Classify(err).Class != chat.Temporary || err == nil {
		t.Fatalf("Send: %v, want temporary", err)
	}
	ref := b.must(t, m)
	if ref.ID == "" {
		t.Error("the second try does not know the message")
	}
	b.one(t, "chat.postMessage")
}

// TestFilesThatSlackDoesNotTake checks that the message comes and says so.
func TestFilesThatSlackDoesNotTake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, code, says string }{
		{"files.getUploadURLExternal", "missing_scope", "add the scope"},
		{"files.getUploadURLExternal", "file_uploads_disabled", "allows no files"},
		{"files.getUploadURLExternal", "storage_limit_reached", "no room"},
		{"files.completeUploadExternal", "posting_to_channel_denied", "posting_to_channel_denied"},
		{"files.completeUploadExternal", "channel_not_found", "channel_not_found"},
	} {
		for _, m := range []chat.Outbound{answer("m1", inThread()), about("m1", inThread(), job(chat.MarkSucceeded, final("it")))} {
			b := startBot(t)
			b.answering(c.method, refused(c.code))
			b.must(t, withFile(m))
			said := ""
			for _, call := range b.made("") {
				said += call.form.Get("blocks")
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("%s: %s: the message does not say %q: %s", c.method, c.code, c.says, said)
			}
		}
	}
}

// TestFileTrouble checks that trouble that passes sends nothing.
func TestFileTrouble(t *testing.T) {
	t.Parallel()
	for method, answers := range map[string][]string{
		"files.getUploadURLExternal": {"500", "429", refused("internal_error"), "{}", refused("invalid_auth")},
		"upload":                     {"500", "429"},
	} {
		for _, a := range answers {
			b := startBot(t)
			b.answering(method, a)
			_, err := b.Send(t.Context(), withFile(answer("m1", inThread())))
			if err == nil {
				t.Errorf("%s: %s counts as sent", method, a)
			}
			b.secretive(t, err)
			b.none(t, "chat.postMessage")
		}
	}
}

// TestUploadElsewhere checks that output goes to Slack alone.
func TestUploadElsewhere(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	for raw, want := range map[string]bool{
		"https://files.slack.com/upload/v1/x": true, "https://files.slack-gov.com/upload/v1/x": true,
		b.srv.URL + "/upload": true, "http://files.slack.com/x": false, "https://evilslack.com/x": false,
		"https://slack.com.evil.example/x": false, "https://a:b@files.slack.com/x": false, "file:///etc/passwd": false, "::": false, "": false,
	} {
		if got := b.isUploadURL(raw); got != want {
			t.Errorf("%q may be uploaded to: %t, want %t", raw, got, want)
		}
	}
	b.answering("files.getUploadURLExternal", `{"ok":true,"file_id":"F1","upload_url":"https://evil.example/upload"}`)
	if _, err := b.Send(t.Context(), withFile(answer("m1", inThread()))); err == nil {
		t.Error("a file went elsewhere")
	}
}

func TestFileName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"": "output.txt", "a/b\\c.txt": "c.txt", "..": "..", "x\n\x00y": `x \x00y`, "/": "output.txt",
		strings.Repeat("x", 300): strings.Repeat("x", 99) + ellipsis,
	} {
		if got := fileName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	b := startBot(t)
	m := answer("m1", inThread())
	m.Files = []chat.File{{Name: "empty.txt"}}
	b.must(t, m)
	b.none(t, "files.getUploadURLExternal")
}
