//go:build unix

package mail

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// TestMailIsCounted sends many mails, of which each tenth is sent twice, each
// tenth is forged, each twentieth is a program's and each twentieth is broken,
// kills the server in the middle and the mailbox's after that: what is good
// makes one job each and one answer, the rest none. SKADI_TEST_MESSAGES says
// how many.
func TestMailIsCounted(t *testing.T) {
	t.Parallel()
	total := 100
	if n, err := strconv.Atoi(os.Getenv("SKADI_TEST_MESSAGES")); err == nil {
		total = max(n, 20)
	}
	s := newSite(t, 1, "")
	s.serve(s.nodes[0])
	s.agentd.Start()
	s.online()
	mails, good := s.mixture(total)
	began := time.Now()
	third := len(mails) / 3
	s.send(mails[:third])
	s.nodes[0].Kill()
	s.send(mails[third : 2*third])
	s.serve(s.nodes[0])
	s.send(mails[2*third:])
	s.dovecot.Restart()
	programs.Within(t, programs.Patience+time.Duration(total)*300*time.Millisecond, fmt.Sprintf("%d answers", len(good)), func(context.Context) error {
		if n := len(s.answers()); n < len(good) {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	took := time.Since(began)
	s.allHandled()
	s.checkAnswers(good)
	t.Logf("%d mails, %d of them good, were answered in %v (%.0f good ones a second)", total, len(good), took.Round(time.Millisecond), float64(len(good))/took.Seconds())
}

// mixture returns so many mails in the order in which they are sent, and the
// IDs of those that make jobs.
func (s *site) mixture(total int) (mails [][]byte, good map[string]bool) {
	s.t.Helper()
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	programs.Must(s.t, err)
	good = map[string]bool{}
	twice, forged, automatic, broken := total/10, total/10, total/20, total/20
	for i := range total - twice - forged - automatic - broken {
		l := letter{id: fmt.Sprintf("good-%d@example.org", i), subject: fmt.Sprintf("web-1: run good-%d", i)}
		good[l.id] = true
		mails = append(mails, s.keys.sign(s.t, l.raw()))
	}
	for i := range twice {
		mails = append(mails, mails[i])
	}
	for i := range forged {
		l := letter{id: fmt.Sprintf("forged-%d@example.org", i), subject: "web-1: run forged"}
		switch raw := l.raw(); i % 3 {
		case 0: // nobody signed it
			mails = append(mails, raw)
		case 1: // with another key
			mails = append(mails, signed(s.t, raw, stranger))
		case 2: // changed on the way
			mails = append(mails, bytes.Replace(s.keys.sign(s.t, raw), []byte("run forged"), []byte("run evil"), 1))
		}
	}
	fields := []string{"Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated", "List-Id: <people.example.org>", "Precedence: bulk", "X-Autoreply: yes\r\nPrecedence: junk"}
	for i := range automatic {
		l := letter{id: fmt.Sprintf("automatic-%d@example.org", i), subject: "web-1: run automatic", header: fields[i%len(fields) : i%len(fields)+1]}
		mails = append(mails, s.keys.sign(s.t, l.raw()))
	}
	for i := range broken {
		l := letter{id: fmt.Sprintf("broken-%d@example.org", i), subject: "web-1: run broken"}
		mails = append(mails, s.keys.sign(s.t, breakages[i%len(breakages)](l.raw())))
	}
	for i := range mails { // the first of two that are the same stays before the second
		j := i + randomBelow(len(mails)-i)
		mails[i], mails[j] = mails[j], mails[i]
	}
	return mails, good
}

func randomBelow(n int) int {
	r, _ := rand.Int(rand.Reader, big.NewInt(int64(n)))
	return int(r.Int64())
}

// breakages spoil a mail.
var breakages = []func(raw []byte) []byte{
	func(raw []byte) []byte { return bytes.Replace(raw, []byte("\r\nDate: "), []byte("\r\nX-Date: "), 1) },
	func(raw []byte) []byte {
		return bytes.Replace(raw, []byte("\r\nMessage-ID: "), []byte("\r\nX-ID: "), 1)
	},
	func(raw []byte) []byte {
		return bytes.Replace(raw, []byte("\r\nTo: "), []byte("\r\nSubject: other\r\nTo: "), 1)
	},
	func(raw []byte) []byte {
		return bytes.Replace(raw, []byte("From: Ada <ada@example.org>"), []byte("From: ada@example.org, eve@example.org"), 1)
	},
	func(raw []byte) []byte {
		return bytes.Replace(raw, []byte("text/plain; charset=utf-8"), []byte("multipart/mixed; boundary=\"\""), 1)
	},
	func(raw []byte) []byte { return bytes.Replace(raw, []byte("Ada <ada@"), []byte("Ada <<ada@"), 1) },
}

// allHandled waits until no mail in the inbox is left to handle.
func (s *site) allHandled() {
	s.t.Helper()
	c := s.dovecot.Client(s.t, inbox)
	programs.Eventually(s.t, "all mail to be handled", func(context.Context) error {
		if _, err := c.Select("INBOX", true); err != nil {
			return err
		}
		left, err := c.Search(&imap.SearchCriteria{WithoutFlags: []string{"$SkadiDone"}})
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d are left", len(left))
		}
		return err
	})
}

// checkAnswers checks that what is good has one job that ran once and one
// answer, and nothing else has any.
func (s *site) checkAnswers(good map[string]bool) {
	s.t.Helper()
	jobs, runs := s.jobs(), s.runs()
	if len(jobs) != len(good) {
		s.t.Errorf("%d jobs, want %d", len(jobs), len(good))
	}
	for _, j := range jobs {
		if !j.Final() || runs[j.ID] != 1 || !strings.HasPrefix(j.Message, "run good-") {
			s.t.Errorf("job %s %q is %s and ran %d times", j.ID, j.Message, j.Status, runs[j.ID])
		}
	}
	copies := 0
	for to, answers := range s.answers() {
		ids := map[string]bool{}
		for _, m := range answers {
			ids[m.Header.Get("Message-ID")] = true
		}
		if !good[to] || len(ids) != 1 {
			s.t.Errorf("%d answers to %q", len(ids), to)
		}
		copies += len(answers) - len(ids)
	}
	s.t.Logf("%d answers came twice with the same Message-ID, for the server was killed before it had noted that it sent them", copies)
	if copies > 10 {
		s.t.Errorf("%d answers came twice", copies)
	}
}
