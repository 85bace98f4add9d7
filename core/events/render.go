package events

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// titleBytes is how much of a job's message its title shows.
	titleBytes = 160
	// liveTailBytes is how much of running output a message shows.
	liveTailBytes = 2_000
	// minOutputBytes is the room for output below which only the note about
	// where to see it is shown.
	minOutputBytes = 40
)

// shown is a job with the status that is to be told of it, which may be older
// than the one that it has by now.
type shown struct {
	job   job.Job
	event job.Event
	// output is what there is to show, from byte start of the whole on.
	output string
	start  int64
	now    time.Time
}

// render makes the message that shows a job, within what the channel can do.
func render(s shown, caps chat.Capabilities) chat.Outbound {
	card := s.card(caps)
	head := title(card)
	if card.Note != "" {
		head += "\n" + card.Note
	}
	var files []chat.File
	out := strings.TrimRight(s.output, "\n")
	if room := caps.MaxBytes - len(head) - 1; caps.MaxBytes > 0 && out != "" && len(out) > room {
		card.More = fmt.Sprintf("Only the end of %d bytes of output is shown; `output %s` shows all.", len(out), card.Code)
		if caps.Files {
			card.More = "The whole output is in the file."
			files = []chat.File{{Name: card.Code + ".txt", Text: s.output}}
		}
		short := tailOf(out, room-len(card.More)-1)
		card.OutputStart += int64(len(out) - len(short))
		card.Output, out = short, short
	}
	// A click counts once, so the button waits until all of the output is there.
	if caps.Buttons && card.Final && card.More != "" {
		card.Buttons = append(card.Buttons, chat.Button{Label: "Show output", Command: "output " + card.Code})
	}
	return chat.Outbound{
		ID: s.event.ID(), To: *s.job.Conversation,
		Text: clip(joined(head, out, card.More), caps.MaxBytes), Card: card, Files: files,
	}
}

// split has the message show the end of a job in several messages, where it
// would otherwise show a part of the output only, and all of it fits into n. It
// returns what follows the first. That is for channels of plain text: others
// have a file or a button for it.
func split(m *chat.Outbound, s shown, caps chat.Capabilities, n int) (rest []chat.Outbound) {
	if caps.Edit || caps.Files || caps.Buttons || m.Card.More == "" || !m.Card.Final {
		return nil
	}
	limit := caps.MaxBytes
	caps.MaxBytes = 0
	whole := render(s, caps)
	parts := pieces(whole.Text, limit, math.MaxInt)
	if len(parts) > min(n, maxPieces) {
		return nil
	}
	m.Text, m.Card = parts[0], whole.Card
	for i, text := range parts[1:] {
		rest = append(rest, chat.Outbound{ID: fmt.Sprintf("%s.%d", m.ID, i+2), To: m.To, Text: text, Continues: true})
	}
	return rest
}

// renderLive makes the message that shows a running job's output so far.
func renderLive(s shown, caps chat.Capabilities) chat.Outbound {
	if !caps.Append {
		limit := liveTailBytes
		if caps.MaxBytes > 0 {
			limit = min(limit, caps.MaxBytes/2)
		}
		short := tailOf(s.output, limit)
		s.start += int64(len(s.output) - len(short))
		s.output = short
	}
	caps.Files = false // the file comes with the result
	m := render(s, caps)
	m.Card.More = ""
	return m
}

func (s shown) card(caps chat.Capabilities) *chat.Card {
	e, j := s.event, s.job
	c := &chat.Card{
		Mark: e.Status.Mark(), Code: j.Code(), Agent: j.Agent, Message: j.Message, Asker: j.Sender,
		Note: s.note(), Output: s.output, OutputStart: s.start,
		Final: e.Status.Final(), Elapsed: s.elapsed(),
	}
	if c.Final && j.Result != nil {
		c.ExitCode = j.Result.ExitCode
	}
	if caps.Buttons {
		c.Buttons = buttons(e.Status, j)
	}
	return c
}

// note explains what the mark and the exit code do not say by themselves.
func (s shown) note() string {
	e, j := s.event, s.job
	switch e.Status {
	case job.Succeeded, job.Sent:
		return ""
	case job.Failed:
		if e.Reason == "" {
			return ""
		}
	case job.Queuing:
		if awaited(e, j) {
			return "It waits for somebody to approve it."
		}
		j.Approval = job.NoApproval // it is given by now
	}
	return job.Explain(e, j)
}

// elapsed is how long the command has run, or ran; 0 if it never did.
func (s shown) elapsed() time.Duration {
	switch {
	case s.job.SentAt.IsZero() || s.event.Status == job.Queuing:
		return 0
	case s.event.Status.Final():
		return max(s.event.At.Sub(s.job.SentAt), 0)
	}
	return max(s.now.Sub(s.job.SentAt), 0)
}

func buttons(status job.Status, j job.Job) []chat.Button {
	code := j.Code()
	switch {
	case status.Final():
		return []chat.Button{{Label: "Run again", Command: "rerun " + code}}
	case status == job.Queuing && j.Approval == job.ApprovalWaiting:
		return []chat.Button{
			{Label: "Approve", Command: "approve " + code},
			{Label: "Deny", Command: "deny " + code, Danger: true},
		}
	}
	return []chat.Button{{Label: "Cancel", Command: "cancel " + code, Danger: true}}
}

// title is a job's message in one line: ✓ #k7f3q2 web-1 · deploy v1.2.3 · 12 s.
func title(c *chat.Card) string {
	t := fmt.Sprintf("%s #%s %s · %s", c.Mark.Symbol(), c.Code, c.Agent, oneLine(c.Message, titleBytes))
	if c.ExitCode != nil && *c.ExitCode != 0 {
		t += fmt.Sprintf(" · exit %d", *c.ExitCode)
	}
	if c.Elapsed > 0 {
		t += " · " + duration(c.Elapsed)
	}
	return t
}

// farewell is the new message that ends a job that ran long, since an edit of
// the first one notifies nobody.
func farewell(s shown) chat.Outbound {
	c := s.card(chat.Capabilities{})
	text := title(c)
	if c.Note != "" {
		text += "\n" + c.Note
	}
	asker := s.job.Sender
	return chat.Outbound{ID: s.event.ID() + ".done", To: *s.job.Conversation, Text: text, Mention: &asker}
}

// duration writes how long a command took: 85 ms, 4.2 s, 42 s, 3 min.
func duration(d time.Duration) string {
	if d >= time.Second && d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	}
	return job.Ago(d)
}

// joined puts each part that is not empty on lines of its own.
func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "\n")
}

// oneLine puts text on one line of at most limit bytes.
func oneLine(text string, limit int) string {
	line := strings.Join(strings.Fields(text), " ")
	if len(line) <= limit {
		return line
	}
	return clip(line, limit)
}

// clip cuts text to limit bytes at a rune's border and marks the cut; 0 means
// no limit.
func clip(text string, limit int) string {
	const mark = "…"
	if limit <= 0 || len(text) <= limit {
		return text
	}
	end := max(limit-len(mark), 0)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	if limit < len(mark) {
		return text[:end]
	}
	return text[:end] + mark
}

// tailOf returns the end of text within limit bytes, from the start of a line
// where that leaves enough.
func tailOf(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	if limit < minOutputBytes {
		return ""
	}
	from := len(text) - limit
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	if nl := strings.IndexByte(text[from:], '\n'); nl >= 0 && nl < limit/2 {
		from += nl + 1
	}
	return text[from:]
}

// pieces cuts a text that is too long for one message into several, at line
// ends where possible, and the last of at most n says that it is cut.
func pieces(text string, limit, n int) []string {
	if limit <= 0 || len(text) <= limit {
		return []string{text}
	}
	var parts []string
	for len(text) > limit && len(parts) < n-1 {
		end := limit
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		if nl := strings.LastIndexByte(text[:end+1], '\n'); nl > end/2 {
			parts, text = append(parts, text[:nl]), text[nl+1:]
			continue
		}
		if end == 0 { // a limit below one rune's length: nothing fits
			break
		}
		parts, text = append(parts, text[:end]), text[end:]
	}
	return append(parts, clip(text, limit))
}
