package email

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	fails := func(at stage, class chat.Class, code int, enhanced ...int) chattest.Failure {
		return chattest.Failure{
			Name: strings.TrimSpace(fmt.Sprint(at, " ", code, " ", strings.Trim(fmt.Sprint(enhanced), "[]"))), Class: class,
			Set: func(_ *testing.T, f chattest.Far) { f.(*far).smtp.fails(at, code, enhanced...) },
		}
	}
	chattest.Run(t, chattest.Harness{
		Start:         func(t *testing.T, env chat.Env) chattest.Far { return startFar(t, env) },
		Conversations: 3, People: len(people), Ways: []string{"plus", "subject"},
		Displays: strings.NewReplacer("\x1b[2J", "", "\x1b[31m", "", "\x1b]0;title\x07", "", "\u202e", `\u202e`).Replace,
		Arrives:  strings.TrimSpace,
		Bad:      badMails(),
		Failures: []chattest.Failure{
			fails(stageTo, chat.Gone, 550, 5, 1, 1), fails(stageTo, chat.Temporary, 450, 4, 2, 0), fails(stageTo, chat.Permanent, 550, 5, 7, 1),
			fails(stageFrom, chat.Auth, 553, 5, 7, 1), fails(stageData, chat.Permanent, 554, 5, 6, 0), fails(stageData, chat.Temporary, 451, 4, 3, 0),
		},
		Secrets: []string{imapPassword},
	})
}

// badMails are what must not be handed in. The adapter marks them as handled.
func badMails() []chattest.Bad {
	bad := func(name string, make func(t *testing.T, f *far) []byte) chattest.Bad {
		return chattest.Bad{Name: name, Do: func(t *testing.T, any chattest.Far) int {
			f := any.(*far)
			before := len(f.smtp.received())
			if !f.deliver(make(t, f)).Taken {
				t.Error("the mail was not marked as handled")
			}
			if n := len(f.smtp.received()) - before; n > 0 {
				t.Errorf("it was answered %d times", n)
			}
			return 0
		}}
	}
	changed := func(change func(w *written)) func(t *testing.T, f *far) []byte {
		return func(t *testing.T, f *far) []byte {
			w := f.mail(chattest.Message{Text: "local hello"})
			change(&w)
			return signed(t, w.bytes())
		}
	}
	header := func(line string) func(t *testing.T, f *far) []byte {
		return changed(func(w *written) { w.header = append(w.header, line) })
	}
	return []chattest.Bad{
		bad("forged, not signed", func(_ *testing.T, f *far) []byte { return f.mail(chattest.Message{Text: "local hello"}).bytes() }),
		bad("forged, changed on the way", func(t *testing.T, f *far) []byte {
			raw := string(signed(t, f.mail(chattest.Message{Text: "local hello"}).bytes()))
			return []byte(strings.Replace(raw, "\r\nSubject: local", "\r\nSubject: other", 1))
		}),
		bad("forged, signed by another domain", func(t *testing.T, f *far) []byte {
			w := f.mail(chattest.Message{Text: "local hello"})
			w.from = "ada@elsewhere.example"
			return signed(t, w.bytes())
		}),
		bad("forged, results of another server", func(_ *testing.T, f *far) []byte {
			raw := f.mail(chattest.Message{Text: "local hello"}).bytes()
			return append([]byte("Authentication-Results: mx.example.com; dkim=pass header.d=example.org; dmarc=pass header.from=example.org\r\n"), raw...)
		}),
		bad("stale", changed(func(w *written) { w.at = w.at.Add(-25 * time.Hour) })),
		bad("stale, from the future", changed(func(w *written) { w.at = w.at.Add(25 * time.Hour) })),
		bad("for somebody else", changed(func(w *written) { w.to = "other@example.com" })),
		bad("several senders", changed(func(w *written) { w.from = "ada@example.org, bob@example.org" })),
		bad("another Sender", header("Sender: bob@example.org")),
		bad("Reply-To elsewhere", header("Reply-To: ada@elsewhere.example")),
		bad("malformed, without a Date", func(t *testing.T, f *far) []byte {
			raw := string(f.mail(chattest.Message{Text: "local hello"}).bytes())
			return signed(t, []byte(strings.Replace(raw, "\r\nDate: ", "\r\nX-Date: ", 1)))
		}),
		bad("malformed, no mail at all", func(*testing.T, *far) []byte { return []byte("\x00\xff\xfe nothing of a mail") }),
		bad("bot, auto-replied", header("Auto-Submitted: auto-replied")),
		bad("bot, auto-generated", header("Auto-Submitted: auto-generated")),
		bad("bot, a mailing list", header("List-Id: <people.example.org>")),
		bad("bot, bulk", header("Precedence: bulk")),
		bad("own", changed(func(w *written) { w.from = inboxAddress })),
		bad("own, a plus-address", changed(func(w *written) { w.from = "inbox+web-1@example.com" })),
	}
}
