package terminal

import (
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// titleRunes is how much of a job's message its title shows.
const titleRunes = 200

// style draws text, in colours or without.
type style struct{ colours bool }

// The colours that are used, as SGR codes.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s style) paint(code, text string) string {
	if !s.colours || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// markColour is the colour of each mark.
var markColour = map[chat.Mark]string{
	chat.MarkWaiting:   yellow,
	chat.MarkRunning:   cyan,
	chat.MarkSucceeded: green,
	chat.MarkFailed:    red,
	chat.MarkExpired:   red,
	chat.MarkCanceled:  yellow,
}

// text is a message that shows no job.
func (s style) text(m chat.Outbound) string {
	if m.Refused {
		return s.complaint(m.Text) + "\n"
	}
	return strings.TrimRight(chat.Readable(m.Text), "\n") + "\n"
}

// complaint marks a text as something that was not done.
func (s style) complaint(text string) string {
	first, rest, more := strings.Cut(strings.TrimRight(chat.Readable(text), "\n"), "\n")
	line := s.paint(red, chat.MarkFailed.Symbol()) + " " + first
	if more {
		line += "\n" + indent(rest)
	}
	return line
}

// title is a job in one line: ✓ #k7f3q2 local hello Ada · 4.2 s.
func (s style) title(c chat.Card) string {
	t := s.paint(markColour[c.Mark], c.Mark.Symbol()) + " " + s.paint(cyan, "#"+c.Code) + " " +
		s.paint(bold, chat.Readable(c.Agent)) + " " + oneLine(c.Message, titleRunes)
	var facts []string
	if c.ExitCode != nil && *c.ExitCode != 0 {
		facts = append(facts, fmt.Sprintf("exit %d", *c.ExitCode))
	}
	if c.Final && c.Elapsed >= time.Second {
		facts = append(facts, elapsed(c.Elapsed))
	}
	for _, f := range facts {
		t += s.paint(dim, " · "+f)
	}
	return t + "\n"
}

// elapsed writes how long a command ran: 4.2 s, 1 min 5 s, 2 h 3 min.
func elapsed(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// indent sets every line in, so that it reads as part of what is above.
func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ")
}

// shownJob is what was printed of a job that is not final.
type shownJob struct {
	mark    chat.Mark
	printed int64        // bytes of output that were taken
	digest  maphash.Hash // of those bytes
	live    bool         // lines of them were printed
	partial string       // the last line, which has no end yet
}

// card returns what is new of a job, to be printed. It is called with a.mu
// held.
func (a *Adapter) card(c chat.Card) string {
	j := a.jobs[c.Code]
	if j == nil {
		j = &shownJob{}
		a.jobs[c.Code] = j
	}
	s := a.screen.style
	fresh := j.take(c)
	if c.Final {
		delete(a.jobs, c.Code)
		return s.last(c, j, fresh)
	}
	var b strings.Builder
	if j.mark != c.Mark {
		j.mark = c.Mark
		b.WriteString(s.title(c))
		b.WriteString(s.note(c))
	}
	text := j.partial + fresh
	end := strings.LastIndexByte(text, '\n') + 1
	j.partial = text[end:]
	b.WriteString(s.lines(c.Code, text[:end]))
	j.live = j.live || end > 0
	return b.String()
}

// take returns the part of the card's output that was not taken before.
func (j *shownJob) take(c chat.Card) string {
	out := c.Output
	switch ahead := j.printed - c.OutputStart; {
	case ahead == 0:
	case ahead < 0:
		out = "… some output is left out …\n" + out
	case c.OutputStart == 0 && !j.begins(out):
		// A result with an output of its own, which is not what was streamed.
		if out != "" && !strings.HasSuffix(j.partial, "\n") && j.partial != "" {
			out = "\n" + out
		}
	case int64(len(out)) <= ahead:
		out = ""
	default:
		out = out[ahead:]
	}
	if out == "" {
		return ""
	}
	_, _ = j.digest.WriteString(out)
	j.printed = c.OutputStart + int64(len(c.Output))
	return out
}

// begins reports whether out begins with everything that was taken.
func (j *shownJob) begins(out string) bool {
	if int64(len(out)) < j.printed {
		return false
	}
	var h maphash.Hash
	h.SetSeed(j.digest.Seed())
	_, _ = h.WriteString(out[:j.printed])
	return h.Sum64() == j.digest.Sum64()
}

// last prints a job's end: under its title, if nothing of its output was
// printed yet, else after it.
func (s style) last(c chat.Card, j *shownJob, fresh string) string {
	text := strings.TrimRight(j.partial+fresh, "\n")
	if j.live {
		if text != "" {
			text += "\n"
		}
		return s.lines(c.Code, text) + s.title(c) + s.note(c)
	}
	out := s.title(c) + s.note(c)
	if text != "" {
		out += indent(chat.Readable(text)) + "\n"
	}
	return out
}

func (s style) note(c chat.Card) string {
	var b strings.Builder
	for _, text := range []string{c.Note, c.More} {
		if text != "" {
			b.WriteString(s.paint(dim, indent(chat.Readable(text))) + "\n")
		}
	}
	return b.String()
}

// lines prints whole lines of live output, each with the code of its job, for
// several may run at once.
func (s style) lines(code, text string) string {
	if text == "" {
		return ""
	}
	prefix := s.paint(dim, "#"+code+" │") + " "
	text = chat.Readable(strings.TrimSuffix(text, "\n"))
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix) + "\n"
}
