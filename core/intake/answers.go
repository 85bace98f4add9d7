package intake

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// maxTitle is how much of a message a list or title shows, maxQuote how
	// much a sentence repeats, and maxOutput how much output an answer
	// carries; all in characters but the last, which is in bytes.
	maxTitle  = 100
	maxQuote  = 60
	maxOutput = 3000

	onlineMark  = "●"
	offlineMark = "○"
	pausedMark  = "‖"

	dateFormat   = "2006-01-02"
	clockFormat  = "15:04:05"
	momentFormat = "2006-01-02 15:04:05 MST"
)

// agentsTable lists agents with what state they are in.
func agentsTable(agents []job.Agent, online func(job.Agent, time.Time) bool, now time.Time) string {
	width := 0
	for _, g := range agents {
		width = max(width, len(g.Name))
	}
	lines := make([]string, len(agents))
	for i, g := range agents {
		mark, state := agentState(g, online(g, now), now)
		lines[i] = fmt.Sprintf("%s %-*s  %s", mark, width, g.Name, state)
	}
	return strings.Join(lines, "\n")
}

func agentState(g job.Agent, online bool, now time.Time) (mark, state string) {
	switch {
	case online:
		mark, state = onlineMark, "online"
	case g.LastSeenAt.IsZero():
		mark, state = offlineMark, "has never checked in"
	default:
		mark, state = offlineMark, fmt.Sprintf("offline for %s, since %s", job.Ago(now.Sub(g.LastSeenAt)), moment(g.LastSeenAt))
	}
	if !g.PausedAt.IsZero() {
		mark = pausedMark
		state += fmt.Sprintf("; paused by %s %s ago", g.PausedBy, job.Ago(now.Sub(g.PausedAt)))
	}
	return mark, state
}

// jobsTable lists jobs: mark, code, age, agent, message.
func jobsTable(jobs []job.Job, now time.Time) string {
	age, agent := 0, 0
	for _, j := range jobs {
		age = max(age, len(job.Ago(now.Sub(j.CreatedAt))))
		agent = max(agent, len(j.Agent))
	}
	lines := make([]string, len(jobs))
	for i, j := range jobs {
		lines[i] = fmt.Sprintf("%s #%s  %*s  %-*s  %s", j.Status.Mark().Symbol(), j.Code(),
			age, job.Ago(now.Sub(j.CreatedAt)), agent, j.Agent, oneLine(j.Message, maxTitle))
	}
	return strings.Join(lines, "\n")
}

func jobTitle(j job.Job) string {
	return fmt.Sprintf("%s #%s %s · %s", j.Status.Mark().Symbol(), j.Code(), j.Agent, oneLine(j.Message, maxTitle))
}

// jobText shows one job with the end of its output.
func jobText(j job.Job, output string, now time.Time) string {
	state := string(j.Status)
	if j.Reason != "" {
		state += " (" + strings.ReplaceAll(string(j.Reason), "_", " ") + ")"
	}
	switch {
	case j.Approval == job.ApprovalWaiting && !j.Status.Final():
		state += ", waiting for approval"
	case !j.SentAt.IsZero() && j.Status.Final():
		state += " after " + job.Ago(j.FinishedAt.Sub(j.SentAt))
	case !j.SentAt.IsZero():
		state += ", running for " + job.Ago(now.Sub(j.SentAt))
	}
	if j.Result != nil && j.Result.ExitCode != nil {
		state += fmt.Sprintf(", exit code %d", *j.Result.ExitCode)
	}
	lines := []string{
		jobTitle(j),
		fmt.Sprintf("%s; asked by %s %s ago", state, person(j.Sender), job.Ago(now.Sub(j.CreatedAt))),
	}
	if !j.CancelRequestedAt.IsZero() && !j.Status.Final() {
		lines = append(lines, "a cancel was asked "+job.Ago(now.Sub(j.CancelRequestedAt))+" ago")
	}
	if len(j.Late) > 0 {
		lines = append(lines, fmt.Sprintf("late reports: %d, see `why %s`", len(j.Late), j.Code()))
	}
	shown, cut := tail(strings.TrimRight(output, "\n"), maxOutput)
	switch {
	case cut > 0:
		lines = append(lines, fmt.Sprintf("… (%d bytes of output before this; `output %s` shows all)", cut, j.Code()), shown)
	case shown != "":
		lines = append(lines, shown)
	case !j.SentAt.IsZero():
		lines = append(lines, "(no output)")
	}
	if j.Result != nil && j.Result.Truncated {
		lines = append(lines, "(the agent left out part of the output)")
	}
	return strings.Join(lines, "\n")
}

// recordText shows a line of the audit log.
func recordText(r access.Record) string {
	verdict := "refused"
	if r.Allowed {
		verdict = "allowed"
	}
	asked := r.Action
	if r.Target != "" {
		asked += " " + r.Target
	}
	lines := []string{fmt.Sprintf("%s  %s: %s was %s", r.Code, moment(r.At), asked, verdict)}
	who := r.Who
	if r.Name != "" {
		who += " (" + r.Name + ")"
	}
	if r.Where != "" {
		who += " in " + r.Where
	}
	lines = append(lines, "who:  "+who)
	if r.Text != "" {
		lines = append(lines, "text: "+oneLine(r.Text, maxTitle))
	}
	return strings.Join(append(lines, "why:  "+r.Why), "\n")
}

// person names a sender for people to read.
func person(s chat.Sender) string {
	if s.Name != "" {
		return s.Name
	}
	return s.Principal()
}

func moment(t time.Time) string { return t.UTC().Format(momentFormat) }

// quoted repeats somebody's words in a sentence.
func quoted(s string) string { return "“" + oneLine(s, maxQuote) + "”" }

// oneLine puts text on one line of at most max characters, without control
// and formatting characters.
func oneLine(text string, max int) string {
	line, cut := text, false
	// What is cut off anyway is not looked at.
	if limit := 8 * utf8.UTFMax * max; len(line) > limit {
		for limit > 0 && !utf8.RuneStart(line[limit]) {
			limit--
		}
		line, cut = line[:limit], true
	}
	line = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(line, "\uFFFD"), notShown), " ")
	if !cut && utf8.RuneCountInString(line) <= max {
		return line
	}
	runes := []rune(line)
	return strings.TrimSpace(string(runes[:min(max-1, len(runes))])) + "…"
}

// notShown reports what a line of text has no place for.
func notShown(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d' // scripts and emoji need them
	return r != nonJoiner && r != joiner && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z)
}

// tail returns the end of text within limit bytes, from the start of a line
// where that leaves enough, and how many bytes come before it.
func tail(text string, limit int) (end string, cut int) {
	if len(text) <= limit {
		return text, 0
	}
	from := len(text) - limit
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	if nl := strings.IndexByte(text[from:], '\n'); nl >= 0 && nl < limit/2 {
		from += nl + 1
	}
	return text[from:], from
}
