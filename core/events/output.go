package events

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// pageFrame is the room on a page for what stands around the output, in bytes.
// It is the same for all pages, so that the output of a running job only adds
// pages and changes none but the last.
const pageFrame = 400

// tellOutput says what a job has put out: all of it in a file, where the
// channel takes files, else the page that was asked for.
func (s *server) tellOutput(ctx context.Context, st step) error {
	e := st.newest
	m, err := s.output(ctx, e)
	if err != nil {
		return err
	}
	m.ID, m.To, m.Mention = e.ID(), *e.Conversation, e.Mention
	if _, err := s.send(ctx, m); err != nil {
		return err
	}
	return s.record(ctx, s.delivery(st))
}

func (s *server) output(ctx context.Context, e job.Event) (chat.Outbound, error) {
	code := job.EncodeCode(e.Num)
	j, err := s.cfg.Jobs.JobByCode(ctx, e.Space, code)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return chat.Outbound{Text: fmt.Sprintf("The job #%s is no longer there.", code), Refused: true}, nil
	case err != nil:
		return chat.Outbound{}, fmt.Errorf("%w: reading job #%s: %w", errStore, code, err)
	}
	output, _, err := s.result(ctx, nil, j)
	if err != nil {
		return chat.Outbound{}, err
	}
	return renderOutput(j, output, e.Output, s.caps), nil
}

// renderOutput makes the message that shows a job's output.
func renderOutput(j job.Job, output string, page int, caps chat.Capabilities) chat.Outbound {
	head := fmt.Sprintf("%s #%s %s · %s", j.Status.Mark().Symbol(), j.Code(), j.Agent, oneLine(j.Message, titleBytes))
	shown := strings.TrimRight(chat.Readable(output), "\n") // as adapters show it, for pages of the right length
	switch {
	case shown == "":
		return chat.Outbound{Text: clip(head+"\n"+silence(j), caps.MaxBytes)}
	case caps.Files:
		note := strings.TrimSpace("The output is in the file. " + extent(j))
		return chat.Outbound{
			Text:  clip(head+"\n"+note, caps.MaxBytes),
			Files: []chat.File{{Name: j.Code() + ".txt", Text: output}},
		}
	}
	all := pieces(shown, pageRoom(caps.MaxBytes), math.MaxInt)
	if page > len(all) {
		text := fmt.Sprintf("There is no page %d of the output of #%s: `output %s %d` shows the last one.", page, j.Code(), j.Code(), len(all))
		return chat.Outbound{Text: clip(text, caps.MaxBytes), Refused: true}
	}
	foot := extent(j)
	switch {
	case page < len(all):
		foot = fmt.Sprintf("Page %d of %d; `output %s %d` shows the next.", page, len(all), j.Code(), page+1)
	case page > 1:
		foot = strings.TrimSpace(fmt.Sprintf("Page %d of %d. %s", page, len(all), foot))
	}
	body := joined(all[page-1], foot)
	if room := caps.MaxBytes - len(body) - 1; caps.MaxBytes > 0 && room < len(head) {
		head = clip(head, max(room, 1))
	}
	return chat.Outbound{Text: clip(joined(head, body), caps.MaxBytes)}
}

// pageRoom is how much output a page holds; 0 means no limit.
func pageRoom(limit int) int {
	if limit <= 0 {
		return 0
	}
	return max(limit-pageFrame, (limit+1)/2)
}

// extent says what a job's output is short of, in a sentence.
func extent(j job.Job) string {
	switch {
	case !j.Status.Final():
		return "The job is still running, so more may come."
	case j.Result != nil && j.Result.Truncated:
		return "The agent left out part of it."
	}
	return ""
}

// silence says why a job has no output.
func silence(j job.Job) string {
	switch {
	case j.Status == job.Queuing:
		return "It has not begun, so there is no output yet."
	case j.SentAt.IsZero():
		return "It never ran, so there is no output."
	case !j.Status.Final():
		return "It is running and has put out nothing yet."
	}
	return "It put out nothing."
}
