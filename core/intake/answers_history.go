package intake

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// maxLateOutput is how much of a late report's output a history shows, in
// characters.
const maxLateOutput = 300

// moments are the lines of a history, each with its time.
type moments []momentLine

type momentLine struct {
	at   time.Time
	text string
}

func (m *moments) add(at time.Time, format string, args ...any) {
	*m = append(*m, momentLine{at, fmt.Sprintf(format, args...)})
}

// historyText tells the life of a job, which explains how it ended.
func historyText(j job.Job, events []job.Event, times job.Times) string {
	var m moments
	accepted(&m, j)
	for _, e := range events {
		tell(&m, j, e)
	}
	if j.Status == job.Queuing && !j.OfferedUntil.IsZero() {
		m.add(j.OfferedUntil.Add(-times.Offer), "Offered to %s, which has not confirmed it yet.", j.Agent)
	}
	for _, r := range j.Late {
		text := "Late report, which changes nothing: " + string(r.Status)
		if r.ExitCode != nil {
			text += fmt.Sprintf(", exit code %d", *r.ExitCode)
		}
		if out := oneLine(r.Output, maxLateOutput); out != "" {
			text += ": " + out
		}
		m.add(r.At, "%s", text)
	}
	slices.SortStableFunc(m, func(x, y momentLine) int { return x.at.Compare(y.at) })
	text := jobTitle(j) + "\n" + m.String()
	if next := job.Outlook(j); next != "" {
		text += "\n" + next
	}
	return text
}

func accepted(m *moments, j job.Job) {
	from := j.Sender.Principal()
	if j.Sender.Name != "" {
		from = j.Sender.Name + ", " + from
	}
	where := " over the API"
	if w := whereOf(j.Conversation); w != "" {
		where = " in " + w
	}
	m.add(j.CreatedAt, "Accepted from %s%s.", from, where)
}

// tell adds what one event says that the lines around it do not.
func tell(m *moments, j job.Job, e job.Event) {
	switch e.Kind {
	case job.EventMessage:
		if e.By != "" && e.By != j.Agent { // what a person did, which the text says whole
			m.add(e.At, "%s", oneLine(e.Text, maxLateOutput))
			return
		}
		isLate := func(r job.LateReport) bool { return r.At.Equal(e.At) }
		if !slices.ContainsFunc(j.Late, isLate) {
			m.add(e.At, "%s said: %s", orSkadi(e.By), oneLine(e.Text, maxLateOutput))
		}
	case job.EventJobStatus:
		text := job.Explain(e, j)
		switch {
		case e.Status == job.Sent && j.Attempt > 1:
			text += fmt.Sprintf(" It had been offered %d times.", j.Attempt)
		case e.Status.Final() && j.Result != nil && j.Result.ExitCode != nil && e.Status != job.Expired:
			text += fmt.Sprintf(" Exit code %d.", *j.Result.ExitCode)
		}
		if text != "" {
			m.add(e.At, "%s", text)
		}
	}
}

func orSkadi(who string) string {
	if who == "" {
		return "Skadi"
	}
	return who
}

// String writes a line for each moment, under its date.
func (m moments) String() string {
	var lines []string
	day := ""
	for _, l := range m {
		at := l.at.UTC()
		if d := at.Format(dateFormat); d != day {
			day = d
			lines = append(lines, d+" UTC")
		}
		lines = append(lines, "  "+at.Format(clockFormat)+"  "+l.text)
	}
	return strings.Join(lines, "\n")
}
