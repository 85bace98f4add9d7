package cli

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/letserverrun/skadi/core/agentapi"
)

// actionsLog writes a job into the log of GitHub Actions: its output in a group,
// and how it failed as an annotation. What the output contains is not obeyed
// there; otherwise each line of it that begins with :: would be a command to
// the runner:
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
type actionsLog struct {
	w io.Writer
	// resume ends the part in which commands are not obeyed. Nobody guesses it.
	resume string
}

// begin opens the group.
func (l *actionsLog) begin(j agentapi.Job) {
	l.resume = rand.Text()
	fmt.Fprintf(l.w, "::group::%s\n::stop-commands::%s\n", actionsText.Replace("#"+j.Code+" "+j.Agent), l.resume)
}

// end closes the group. It must begin a line.
func (l *actionsLog) end() { fmt.Fprintf(l.w, "::%s::\n::endgroup::\n", l.resume) }

// annotate says on the page of the run how a job failed.
func (l *actionsLog) annotate(j agentapi.Job, text string) {
	fmt.Fprintf(l.w, "::error title=%s::%s\n", actionsProperty.Replace("Skadi, "+j.Agent), actionsText.Replace("#"+j.Code+" "+text))
}

var (
	actionsText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	actionsProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)
