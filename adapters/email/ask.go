package email

import (
	"regexp"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// inbox is the address that mail is written to.
type inbox struct{ local, domain string }

func newInbox(address string) inbox {
	local, domain, _ := strings.Cut(strings.ToLower(address), "@")
	return inbox{local, domain}
}

// tag returns what stands behind the plus of an address of this inbox, and
// whether it is one.
func (i inbox) tag(a message.Address) (tag string, ok bool) {
	local, tag, _ := strings.Cut(strings.ToLower(a.Local), "+")
	return tag, local == i.local && a.Domain == i.domain
}

// is reports whether an address is one of this inbox, plus-address or not.
func (i inbox) is(a message.Address) bool { _, ok := i.tag(a); return ok }

// with returns the plus-address of a tag.
func (i inbox) with(tag string) string { return i.local + "+" + tag + "@" + i.domain }

// agents are the agents that the plus-addresses in To and Cc name, each once.
func (i inbox) agents(m *message.Message) []string {
	var names []string
	for _, a := range slices.Concat(m.To, m.Cc) {
		if tag, ok := i.tag(a); ok && tag != "" && !slices.Contains(names, tag) {
			names = append(names, tag)
		}
	}
	return names
}

// asked is what a mail asks for.
type asked struct {
	// text is it as core reads it, on one line.
	text string
	// talk says that the mail belongs to a conversation of people, so that
	// what is no command is not meant for Skadi.
	talk bool
}

// answering is the beginning of a subject that a mail program wrote, in the
// languages of those that write another one than Re and Fwd.
var answering = regexp.MustCompile(`(?i)^\s*(re|fwd?|aw|wg|sv|vs|vb|antw|doorst|odp|tr|rif|rv|enc|res|ynt|回复|回覆|答复|转发|轉寄)\s*(\[[0-9]+\])?\s*[:：]`)

// alone are the built-in commands that are whole without an argument. Of a
// subject such as "help", the body is not read.
var alone = []string{"help", "agents", "jobs", "whoami"}

// aboutOne are the built-in commands that take a job's code, which in a job's
// own thread needs no saying.
var aboutOne = []string{"rerun", "cancel", "why", "job", "output", "approve", "deny"}

// ask reads what a mail asks for. agent is the plus-address's, code the job's
// whose thread the mail was proved to stand in, and ours says that it is a
// thread of ours.
//
// In such a thread the first paragraph counts, and the subject, which a mail
// program repeats, does not; so also in any other mail that answers one, which
// is taken for talk. Else the subject says it, and the first paragraph where
// the subject only names the agent.
func ask(m *message.Message, agent, code string, ours bool) asked {
	subject, body := oneLine(m.Subject), paragraph(m.Text)
	switch {
	case ours:
		return asked{text: withCode(body, code)}
	case answering.MatchString(subject):
		return asked{text: body, talk: true}
	case agent != "":
		if word, rest := cutWord(subject); name(word) == agent {
			subject = rest
		}
		if subject == "" {
			subject = body
		}
		return asked{text: join(agent, subject)}
	}
	word, rest := cutWord(subject)
	switch {
	case word == "":
		return asked{text: body}
	case rest == "" && !slices.Contains(alone, name(word)):
		return asked{text: join(word, body)}
	}
	return asked{text: subject}
}

// withCode adds the code of the thread's job to a command that lacks it.
func withCode(text, code string) string {
	word, rest := cutWord(text)
	if code != "" && rest == "" && slices.Contains(aboutOne, name(word)) {
		return name(word) + " " + code
	}
	return text
}

// name is a word as it is meant: in small letters, without the end of a
// sentence or what stands behind a name.
func name(word string) string { return strings.TrimRight(strings.ToLower(word), ".!?,:：") }

// cutWord returns the first word, and what comes after it.
func cutWord(text string) (word, rest string) {
	word, rest, _ = strings.Cut(text, " ")
	return word, strings.TrimSpace(rest)
}

func join(word, rest string) string { return strings.TrimSpace(word + " " + rest) }

// paragraph returns the first paragraph of a text on one line, since mail
// programs break lines where they like. What is within a line stays as it is.
func paragraph(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" && len(lines) > 0 {
			break
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return oneLine(strings.Join(lines, " "))
}

// breaks are what ends a line in one program or another.
var breaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\v", " ", "\f", " ", "\u0085", " ", "\u2028", " ", "\u2029", " ")

func oneLine(text string) string { return strings.TrimSpace(breaks.Replace(text)) }
