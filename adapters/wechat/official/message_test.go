package official

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/letserverrun/skadi/core/chat"
)

// at is when the files in testdata were sent, about.
var at = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func TestMessages(t *testing.T) {
	t.Parallel()
	sender := chat.Sender{Account: "shop", Workspace: farApp, User: "oAda_0-123"}
	ref := func(id string, n int, d time.Duration) chat.ConversationRef {
		return chat.ConversationRef{
			Account: "shop", Key: "oAda_0-123", Data: []byte(`{"user":"oAda_0-123","message":"` + id + `"}`),
			Quota: &chat.Quota{Messages: n, Until: at.Add(d), Renews: true},
		}
	}
	const day2 = 48 * time.Hour
	for file, want := range map[string]*chat.Inbound{
		"text.xml":        {ID: "msg/23456789012345678", Text: "web-1 deploy <v1> & more", Conversation: ref("msg/23456789012345678", 5, day2)},
		"voice.xml":       {ID: "msg/6054768590064713728", Text: "web-1 status", Conversation: ref("msg/6054768590064713728", 5, day2)},
		"image.xml":       {ID: "msg/23456789012345679", Conversation: ref("msg/23456789012345679", 5, day2)},
		"click.xml":       {ID: "event/oAda_0-123/1795953600/CLICK/web-1 status", Text: "web-1 status", Conversation: ref("event/oAda_0-123/1795953600/CLICK/web-1 status", 3, time.Minute)},
		"subscribe.xml":   {ID: "event/oAda_0-123/1795953600/subscribe/qrscene_1", Joined: true, Conversation: ref("event/oAda_0-123/1795953600/subscribe/qrscene_1", 3, time.Minute)},
		"unsubscribe.xml": nil, "view.xml": nil,
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		in, err := parse(raw)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got, ok := in.inbound("shop", farApp)
		if want == nil {
			if ok {
				t.Errorf("%s: it came as %+v", file, got)
			}
			continue
		}
		want.Sender, want.Direct, want.Addressed, want.At = sender, true, true, at
		if diff := cmp.Diff(*want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestReply(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/text.xml")
	if err != nil {
		t.Fatal(err)
	}
	in, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/reply.xml")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(in.reply("done ]]> 世界\n", at)); got != strings.TrimSpace(string(want)) {
		t.Errorf("the answer is %s", got)
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                      "plain",
		"\x1b[31mred\x1b[0m":         "red",
		`<A href="x">y</a> <b> <ab>`: "<\u200bA href=\"x\">y<\u200b/a> <b> <ab>",
	} {
		if got := fit(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	for _, unit := range []string{"x", "世", "👨‍👩‍👧", "<a ", "\x01"} {
		if got := fit(strings.Repeat(unit, 3000)); len(got) > 2048 || len(got) < 2000 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("%q: %d bytes, ending with %q", unit, len(got), got[len(got)-10:])
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, err := parse(raw)
		if err != nil {
			return
		}
		m, ok := in.inbound("shop", farApp)
		if !ok {
			return
		}
		if m.ID == "" || m.Sender.User == "" || m.Conversation.Key != m.Sender.User || m.Conversation.Quota == nil || m.At.IsZero() {
			t.Errorf("it came as %+v", m)
		}
		if c, err := conversationOf(m.Conversation); err != nil || c.User != m.Sender.User {
			t.Errorf("its reference is %+v: %v", c, err)
		}
		if _, err := parse(in.reply(fit(m.Text)+"x", at)); err != nil && !strings.Contains(err.Error(), "MsgId") {
			t.Errorf("an answer cannot be read: %v", err)
		}
	})
}
