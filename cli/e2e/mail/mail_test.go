//go:build unix

package mail

import (
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// A person mails a command and gets the answer in the thread.
func TestMailIsAnswered(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, "")
	s.serve(s.nodes[0])
	s.agentd.Start()
	s.online()
	s.reads(s.nodes[0])
	if out := programs.Skadi(t, s.dir, "config", "check", "--live", "-c", s.nodes[0].config); !strings.Contains(out, "is fine") {
		t.Errorf("the check says\n%s", out)
	}
	var fastest time.Duration
	for _, id := range []string{"first@example.org", "second@example.org"} { // the first one warms up
		raw := s.keys.sign(t, letter{id: id, subject: "web-1: run key-" + id[:5], body: "Thank you"}.raw())
		began := time.Now()
		s.swaks(raw)
		m := s.answered(id, programs.Patience)
		took := time.Since(began)
		t.Logf("answered %v after swaks began", took)
		if fastest == 0 || took < fastest {
			fastest = took
		}
		text := textOf(t, m)
		if !strings.Contains(text, "done key-"+id[:5]) {
			t.Errorf("the answer is\n%s", text)
		}
		for field, want := range map[string]string{
			"Subject": "Re: web-1: run key-" + id[:5], "References": "<" + id + ">", "Auto-Submitted": "auto-replied", "To": "<" + ada + ">",
		} {
			if got := m.Header.Get(field); got != want {
				t.Errorf("its %s is %q, want %q", field, got, want)
			}
		}
		if from := m.Header.Get("Return-Path"); !strings.HasPrefix(from, "<inbox+b=") {
			t.Errorf("bounces go to %q", from)
		}
	}
	t.Logf("the faster of two answers came within %v", fastest)

	// An answer to the answer is about its job.
	m := s.answers()["second@example.org"][0]
	again := letter{
		id: "third@example.org", subject: "Re: " + m.Header.Get("Subject"), body: "rerun\r\n\r\nOn some day, Skadi wrote:\r\n> done",
		header: []string{"In-Reply-To: " + m.Header.Get("Message-ID"), "References: <second@example.org> " + m.Header.Get("Message-ID")},
	}
	s.swaks(s.keys.sign(t, again.raw()))
	if text := textOf(t, s.answered(again.id, programs.Patience)); !strings.Contains(text, "done key-secon") {
		t.Errorf("the answer to rerun is\n%s", text)
	}
	// Without the token of our Message-ID, the subject alone is nothing.
	alone := letter{id: "fourth@example.org", subject: "Re: web-1: run key-never", body: "rerun"}
	s.swaks(s.keys.sign(t, alone.raw()))
	last := letter{id: "fifth@example.org", subject: "web-1", body: "run key-last"}
	s.swaks(s.keys.sign(t, last.raw()))
	s.answered(last.id, programs.Patience)
	if jobs := s.jobs(); len(jobs) != 4 {
		t.Errorf("%d jobs, want 4", len(jobs))
	}
}

// Of two nodes one reads, and the other takes over when it dies.
func TestAnotherNodeTakesOver(t *testing.T) {
	t.Parallel()
	db := throwaway.NewMariaDB(t)
	s := newSite(t, 2, "{driver: mysql, dsn: \""+db.Database(t)+"\"}")
	first, second := s.nodes[0], s.nodes[1]
	s.serve(first)
	s.reads(first)
	s.serve(second)
	s.agentd.Start()
	s.online()
	s.swaks(s.keys.sign(t, letter{id: "one@example.org", subject: "web-1: run key-1"}.raw()))
	s.answered("one@example.org", programs.Patience)
	if strings.Contains(second.Printed(), "reading mail") {
		t.Error("both nodes read the mailbox")
	}
	began := time.Now()
	first.Kill()
	s.swaks(s.keys.sign(t, letter{id: "two@example.org", subject: "web-1: run key-2"}.raw()))
	s.answered("two@example.org", 2*programs.Patience)
	t.Logf("the other node answered %v after the first was killed", time.Since(began).Round(time.Millisecond))
	if jobs := s.jobs(); len(jobs) != 2 {
		t.Errorf("%d jobs, want 2", len(jobs))
	}
}
