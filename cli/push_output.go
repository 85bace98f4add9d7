package cli

import (
	"bytes"
	"io"
	"strings"

	"github.com/letserverrun/skadi/core/agentapi"
)

// overlap is how much of what was shown is looked for in the result, to go on
// from there.
const overlap = 256

// liveText prints a job's output as it comes.
type liveText struct {
	w     io.Writer
	quiet bool
	shown bytes.Buffer
}

func (l *liveText) piece(piece agentapi.OutputPiece) error { return l.print(piece.Text) }

func (l *liveText) print(text string) error {
	if l.quiet || text == "" {
		return nil
	}
	l.shown.WriteString(text)
	_, err := io.WriteString(l.w, safeText(l.w, text))
	return err
}

// end prints what the result has beyond the live output, and ends the last
// line. The last words often come with the result alone, and an agent that
// streams nothing has all of its output there.
func (l *liveText) end(j agentapi.Job) error {
	if j.Result != nil {
		if err := l.print(rest(l.shown.String(), j.Result.Output)); err != nil {
			return err
		}
	}
	if l.shown.Len() == 0 || bytes.HasSuffix(l.shown.Bytes(), []byte("\n")) {
		return nil
	}
	_, err := io.WriteString(l.w, "\n")
	return err
}

// rest is what of the output was not shown. Where the middle of a long output
// was dropped, it begins after the last words that were shown; an output that
// has nothing to do with them is shown whole.
func rest(shown, output string) string {
	if more, ok := strings.CutPrefix(output, shown); ok {
		return more
	}
	last := shown[max(0, len(shown)-overlap):]
	if at := strings.LastIndex(output, last); at >= 0 {
		return output[at+len(last):]
	}
	if !strings.HasSuffix(shown, "\n") {
		output = "\n" + output
	}
	return output
}
