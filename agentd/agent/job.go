package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/letserverrun/skadi/agentd/agent/output"
	"github.com/letserverrun/skadi/agentd/agent/redact"
	"github.com/letserverrun/skadi/core/agentapi"
)

// Job is a job while it runs. Its methods may be called concurrently.
type Job struct {
	ID   string
	Code string
	// Message is what was sent, verbatim; Command its first word, and Args
	// what follows that.
	Message string
	Command string
	Args    string
	// Sender is who sent it, as the server says.
	Sender agentapi.Sender
	// Attempt is 1 unless an earlier offer of the job was not taken up.
	Attempt int
	// DeadlineAt is when the server gives the job up, by the server's clock.
	DeadlineAt time.Time
	// Traceparent puts what the job does into its trace, as the header of W3C
	// Trace Context; empty if the server does not trace it.
	Traceparent string

	agent *Agent
	limit int // of the output, in bytes

	mu      sync.Mutex
	ended   bool
	cleaner output.Cleaner
	secrets *redact.Set
	redact  *redact.Stream
	capture *output.Capture
	live    func(text []byte) // called with mu held; must not block
	clean   []byte            // room to work in
	// lineOpen says that the output does not end with a newline.
	lineOpen bool
}

func (a *Agent) newJob(j agentapi.Assignment, live func([]byte)) *Job {
	secrets := a.secret.Load()
	command, args := firstWord(j.Message)
	limit := a.cfg.OutputLimit
	if h := a.handlerOf(command); h != nil && h.OutputLimit > 0 {
		limit = h.OutputLimit
	}
	return &Job{
		Command: command, Args: args, limit: limit,
		ID: j.ID, Code: j.Code, Message: j.Message, Sender: j.Sender, Attempt: j.Attempt, DeadlineAt: j.DeadlineAt, Traceparent: j.Traceparent,
		agent: a, secrets: secrets, redact: secrets.Stream(), capture: output.NewCapture(limit), live: live,
	}
}

// Write adds to the job's output, which is shown while the job runs. Secrets,
// terminal sequences and control characters are taken out. It never blocks
// on the network and returns no error; after the handler has returned it
// drops what it gets.
func (j *Job) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return len(p), nil
	}
	j.clean = j.cleaner.Add(j.clean[:0], p)
	j.emit(j.redact.Add(nil, j.clean))
	return len(p), nil
}

// Printf writes formatted text to the job's output.
func (j *Job) Printf(format string, args ...any) { _, _ = fmt.Fprintf(j, format, args...) }

// Words splits Args as the function Words does.
func (j *Job) Words() ([]string, error) { return Words(j.Args) }

// Say says something in the conversation that the job came from.
func (j *Job) Say(ctx context.Context, text string) error {
	return j.agent.client.Message(ctx, agentapi.Message{Job: j.ID, Text: j.agent.clean(text)})
}

func (j *Job) emit(text []byte) {
	if len(text) == 0 {
		return
	}
	j.capture.Add(text)
	j.lineOpen = text[len(text)-1] != '\n'
	if !j.ended {
		j.live(text)
	}
}

// closing ends the job and returns the output to report: the handler's own or
// what it wrote, with the error on a line below it.
func (j *Job) closing(r Result, err error) (text string, truncated bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.emit(j.redact.Flush(j.redact.Add(nil, j.cleaner.Flush(nil))))
	if r.Output != "" {
		j.capture, j.lineOpen = output.NewCapture(j.limit), false
		j.emit([]byte(j.secrets.String(output.Clean(r.Output))))
	}
	if err != nil {
		message := j.secrets.String(output.Clean(err.Error()))
		if j.lineOpen {
			message = "\n" + message
		}
		j.emit([]byte(message))
	}
	return j.capture.String(), j.capture.Truncated()
}

// clean takes control characters and secrets out of a text.
func (a *Agent) clean(text string) string { return a.secret.Load().String(output.Clean(text)) }
