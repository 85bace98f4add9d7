package agent

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	statusSucceeded = "succeeded"
	statusFailed    = "failed"
	statusCanceled  = "canceled"

	reasonInterrupted = "interrupted"
	reasonUnknown     = "unknown_command"
	reasonPanic       = "panic"
	reasonJournal     = "journal"
)

// exitUnknown is what a shell ends with when there is no such command.
const exitUnknown = 127

var validReason = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,31}\z`)

// launch runs a job that is journaled as started, in a goroutine of its own.
func (s *session) launch(h *held) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(s.all))
	s.mu.Lock()
	h.cancel = cancel
	s.held[h.hold] = h
	if s.ending {
		cancel(errStopping)
	}
	s.mu.Unlock()
	go func() {
		defer cancel(nil)
		live := newLive(s, h.hold)
		job := s.newJob(h.job, live.add)
		began := time.Now()
		result, err := s.handle(ctx, job)
		report := s.conclude(ctx, job, result, err)
		live.stop()
		s.log.Info("job done", "job", h.hold.ID, "code", h.job.Code, "command", job.Command,
			"status", report.Status, "reason", report.Reason, "took", time.Since(began).Round(time.Millisecond))
		s.mu.Lock()
		h.cancel = nil
		s.mu.Unlock()
		s.crash("ran")
		s.finish(h, report)
	}()
}

// handle calls the job's handler.
func (s *session) handle(ctx context.Context, job *Job) (result Result, err error) {
	h := s.handlerOf(job.Command)
	if h == nil {
		code := exitUnknown
		return Result{ExitCode: &code, Reason: reasonUnknown}, errors.New(s.unknown(job.Command))
	}
	if h.turns != nil {
		select {
		case h.turns <- struct{}{}:
			defer func() { <-h.turns }()
		case <-ctx.Done():
			return Result{}, fmt.Errorf("before it began: %w", context.Cause(ctx))
		}
	}
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a handler panicked", "job", job.ID, "command", job.Command, "panic", p, "stack", string(debug.Stack()))
			result, err = Result{Reason: reasonPanic}, errors.New("the handler failed unexpectedly; the agent's log says more")
		}
	}()
	return h.run(ctx, job)
}

// handlerOf returns the handler of messages that begin with a word, or nil.
func (a *Agent) handlerOf(word string) *handler {
	if h := a.handlers[word]; h != nil {
		return h
	}
	return a.catchAll
}

// unknown says that there is no such command, and what there is.
func (a *Agent) unknown(command string) string {
	if len(a.order) == 0 {
		return "This agent has no commands."
	}
	usages := make([]string, len(a.order))
	for i, h := range a.order {
		usages[i] = "  " + h.Name
		if h.Usage != "" {
			usages[i] = "  " + h.Usage
		}
		if h.Help != "" {
			usages[i] += " — " + h.Help
		}
	}
	slices.Sort(usages)
	return fmt.Sprintf("There is no command %q here. This agent can do:\n%s", command, strings.Join(usages, "\n"))
}

// conclude makes the report of what a handler returned.
func (s *session) conclude(ctx context.Context, job *Job, r Result, err error) agentapi.Report {
	report := agentapi.Report{Status: statusSucceeded, Reason: r.Reason, ExitCode: r.ExitCode}
	failed := err != nil || r.ExitCode != nil && *r.ExitCode != 0
	cause := context.Cause(ctx)
	switch {
	case !failed:
		report.Reason = ""
	case errors.Is(cause, errCanceled):
		report.Status, report.Reason = statusCanceled, ""
	case errors.Is(cause, errStopping):
		report.Status, report.Reason = statusFailed, reasonInterrupted
	default:
		report.Status = statusFailed
	}
	if report.Reason != "" && !validReason.MatchString(report.Reason) {
		s.log.Warn("a handler's reason is not one lower-case word; it is left out", "command", job.Command)
		report.Reason = ""
	}
	text, truncated := job.closing(r, err)
	report.Output, report.Truncated = &text, truncated
	return report
}

// finish journals a result and hands it to the reporters.
func (s *session) finish(h *held, r agentapi.Report) {
	r.Lease = h.hold.Lease
	s.mu.Lock()
	h.report = &r
	s.inUse--
	s.backlog++
	s.mu.Unlock()
	signal(s.changed)
	signal(s.idle)
	if err := s.journal.Finished(h.hold, r); err != nil {
		// It is still reported; only a crash right now would lose it.
		s.log.Error("could not write the journal", "job", h.hold.ID, "err", err)
	} else {
		s.crash("finished")
	}
	s.reports.add(h)
}
