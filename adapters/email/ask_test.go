package email

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/letserverrun/skadi/adapters/email/message"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subject, body string
		agent, code   string
		ours          bool
		want          asked
	}{
		"subject":                       {subject: "web-1: deploy v1.2.3", body: "Thanks\n", want: asked{text: "web-1: deploy v1.2.3"}},
		"subject without a colon":       {subject: "web-1 deploy v1.2.3", want: asked{text: "web-1 deploy v1.2.3"}},
		"only the agent":                {subject: "web-1", body: "deploy v1.2.3\n\nThanks, Ada", want: asked{text: "web-1 deploy v1.2.3"}},
		"only the agent, with a colon":  {subject: "Web-1:", body: "deploy\nv1.2.3", want: asked{text: "Web-1: deploy v1.2.3"}},
		"only the agent, and nothing":   {subject: "web-1", want: asked{text: "web-1"}},
		"what is in a line stays":       {subject: "web-1", body: "say  two\tblanks", want: asked{text: "web-1 say  two\tblanks"}},
		"no subject":                    {body: "\n\nweb-1 deploy\n\nmore", want: asked{text: "web-1 deploy"}},
		"nothing":                       {want: asked{}},
		"help":                          {subject: "Help", body: "please", want: asked{text: "Help"}},
		"a command with a code":         {subject: "rerun k7f3q2", body: "please", want: asked{text: "rerun k7f3q2"}},
		"plus-address":                  {agent: "web-1", subject: "deploy v1.2.3", body: "Thanks", want: asked{text: "web-1 deploy v1.2.3"}},
		"plus-address, named again":     {agent: "web-1", subject: "WEB-1: deploy", want: asked{text: "web-1 deploy"}},
		"plus-address, no subject":      {agent: "web-1", body: "deploy v1\n", want: asked{text: "web-1 deploy v1"}},
		"plus-address, its name":        {agent: "web-1", subject: "web-1", body: "deploy", want: asked{text: "web-1 deploy"}},
		"plus-address, a built-in":      {agent: "web-1", subject: "help", want: asked{text: "web-1 help"}},
		"an answer to us":               {subject: "Re: web-1: deploy", body: "rerun\n", code: "k7f3q2", ours: true, want: asked{text: "rerun k7f3q2"}},
		"an answer, as people write":    {subject: "Re: x", body: "Cancel!", code: "k7f3q2", ours: true, want: asked{text: "cancel k7f3q2"}},
		"an answer about another job":   {subject: "Re: x", body: "why aaaaaa", code: "k7f3q2", ours: true, want: asked{text: "why aaaaaa"}},
		"an answer that names an agent": {subject: "Re: x", body: "web-2 deploy", code: "k7f3q2", ours: true, want: asked{text: "web-2 deploy"}},
		"an answer about no job":        {subject: "Re: x", body: "rerun", ours: true, want: asked{text: "rerun"}},
		"the subject alone is nothing":  {subject: "Re: web-1: deploy", body: "thanks", want: asked{text: "thanks", talk: true}},
		"nor in German":                 {subject: "AW: web-1: deploy", body: "danke", want: asked{text: "danke", talk: true}},
		"nor passed on":                 {subject: "Fwd: web-1: deploy", body: "", agent: "web-1", want: asked{talk: true}},
		"nor counted":                   {subject: "Re[2]: web-1: deploy", body: "ok", want: asked{text: "ok", talk: true}},
		"nor in Chinese":                {subject: "回复：web-1: deploy", body: "好", want: asked{text: "好", talk: true}},
		"a word that begins as one":     {subject: "restart: now", want: asked{text: "restart: now"}},
		"line breaks of all kinds":      {subject: "web-1:\u2028deploy\u0085now", want: asked{text: "web-1: deploy now"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &message.Message{Subject: c.subject, Text: c.body}
			if got := ask(m, c.agent, c.code, c.ours); got != c.want {
				t.Errorf("it asks for %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	in := newInbox("Inbox@Example.com")
	addr := func(s string) message.Address {
		local, domain, _ := strings.Cut(s, "@")
		return message.Address{Local: local, Domain: domain}
	}
	for s, want := range map[string]string{
		"inbox@example.com": "", "INBOX+Web-1@example.com": "web-1", "inbox+a+b@example.com": "a+b", "inbox+@example.com": "",
	} {
		if tag, ok := in.tag(addr(s)); !ok || tag != want {
			t.Errorf("%s is ours: %t, with the tag %q, want %q", s, ok, tag, want)
		}
	}
	for _, s := range []string{"inbox2@example.com", "x@example.com", "inbox@example.org", "inbox@example.com.evil.example", "+web-1@example.com"} {
		if in.is(addr(s)) {
			t.Errorf("%s is taken for ours", s)
		}
	}
	m := &message.Message{To: []message.Address{addr("inbox+web-1@example.com"), addr("inbox@example.com")}, Cc: []message.Address{addr("inbox+Web-1@example.com"), addr("inbox+web-2@example.com"), addr("bob+web-3@example.com")}}
	if got := strings.Join(in.agents(m), " "); got != "web-1 web-2" {
		t.Errorf("the agents are %q", got)
	}
}

// FuzzAsk checks what holds for every mail: one line of text, and nothing in it
// that was not in the mail.
func FuzzAsk(f *testing.F) {
	for _, seed := range []string{"", "web-1: deploy", "Re: web-1: x", "回复：a", "help", "rerun", "re:re:re: a", "\u2028", "web-1:\x00\xff"} {
		for _, body := range []string{"", "rerun", "a\r\nb\n\nc", "\n\n", "\xff\u2028", "why  x"} {
			f.Add(seed, body, "", "", false)
			f.Add(seed, body, "web-1", "k7f3q2", true)
			f.Add(seed, body, "web-1", "", false)
		}
	}
	f.Fuzz(func(t *testing.T, subject, body, agent, code string, ours bool) {
		if strings.ContainsAny(agent+code, " \n\r\v\f\u0085\u2028\u2029") {
			t.Skip("no such name can be")
		}
		got := ask(&message.Message{Subject: subject, Text: body}, agent, code, ours)
		if strings.ContainsAny(got.text, "\r\n\v\f\u0085\u2028\u2029") {
			t.Errorf("%q has a line break", got.text)
		}
		if got.talk && answering.FindString(oneLine(subject)) == "" {
			t.Errorf("%q is taken for talk", subject)
		}
		if len(got.text) > len(subject)+len(body)+len(agent)+len(code)+2 {
			t.Errorf("%q is more than there was", got.text)
		}
		if utf8.ValidString(subject+body+agent+code) && !utf8.ValidString(got.text) {
			t.Errorf("%q was cut within a character", got.text)
		}
		if again := subjectOf(subject); answering.MatchString(again) && len(again) < subjectBytes-10 {
			t.Errorf("the subject %q still is that of an answer", again)
		}
	})
}
