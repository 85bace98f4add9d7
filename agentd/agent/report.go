package agent

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/letserverrun/skadi/agentd/agent/output"
	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	// maxReports and maxReportBytes bound one call with several results.
	maxReports     = 256
	maxReportBytes = 1 << 20
)

// reportLoop reports results until the session ends. A result stays in the
// journal until the server has answered for it.
func (s *session) reportLoop() {
	t := trouble{a: s.Agent, what: "report results"}
	for {
		size := 0
		batch := s.reports.take(s.all, func(n int, h *held) bool {
			size += reportSize(h)
			return n < maxReports && size <= maxReportBytes
		})
		if batch == nil {
			return
		}
		again, err := s.report(batch)
		if err == nil {
			t.over()
			continue
		}
		if removed(err) {
			s.stopTaking(ErrRemoved)
			s.close(again...)
			continue
		}
		wait := t.failed(err)
		s.reports.add(again...)
		if !pause(s.all, wait) {
			return
		}
	}
}

func reportSize(h *held) int {
	if h.report.Output == nil {
		return 0
	}
	return len(*h.report.Output)
}

// report sends results and closes those that the server took or will never
// take. The others are returned with the error.
func (s *session) report(batch []*held) (again []*held, err error) {
	if len(batch) == 1 {
		h := batch[0]
		_, err := s.client.Result(s.all, h.hold.ID, *h.report)
		answer := agentapi.Answer{ID: h.hold.ID, Status: http.StatusOK}
		if err != nil {
			var p *agentapi.Problem
			if !errors.As(err, &p) {
				return batch, err
			}
			answer.Status, answer.Problem = p.Status, p
		}
		return s.settle(batch, []agentapi.Answer{answer})
	}
	reports := make([]agentapi.IdentifiedReport, len(batch))
	for i, h := range batch {
		reports[i] = agentapi.IdentifiedReport{ID: h.hold.ID, Report: *h.report}
	}
	answers, err := s.client.Results(s.all, reports)
	if err == nil && len(answers) != len(batch) {
		err = fmt.Errorf("the server answered %d of %d results", len(answers), len(batch))
	}
	if err == nil {
		return s.settle(batch, answers)
	}
	var p *agentapi.Problem
	if !errors.As(err, &p) || p.Temporary() || p.Status == http.StatusUnauthorized || p.Status == http.StatusGone {
		return batch, err
	}
	// One of them is at fault: single calls show which.
	err = nil
	for i := range batch {
		left, e := s.report(batch[i : i+1])
		again = append(again, left...)
		if e != nil {
			err = e
		}
	}
	return again, err
}

// settle acts on the server's answers.
func (s *session) settle(batch []*held, answers []agentapi.Answer) (again []*held, err error) {
	s.crash("reported")
	var done []*held
	for i, a := range answers {
		h := batch[i]
		switch {
		case a.Status == http.StatusOK:
			done = append(done, h)
		case removed(a.Problem):
			again, err = append(again, h), problemOf(a)
		case refused(a):
			s.log.Warn("the server did not take a result", "job", h.hold.ID, "code", h.job.Code,
				"status", h.report.Status, "why", problemOf(a))
			done = append(done, h)
		case unacceptable(a) && !s.shrink(h, a):
			done = append(done, h)
		default:
			again, err = append(again, h), problemOf(a)
		}
	}
	if len(done) > 0 {
		s.close(done...)
	}
	return again, err
}

// unacceptable reports whether the same report will never be taken.
func unacceptable(a agentapi.Answer) bool {
	switch a.Status {
	case http.StatusRequestEntityTooLarge:
		return true // also by a proxy
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return ofSkadi(a.Problem)
	}
	return false
}

// shrink makes a report that the server cannot take smaller and plainer, and
// reports whether there was anything left to take away.
func (s *session) shrink(h *held, a agentapi.Answer) bool {
	const small = 16 << 10
	r := *h.report
	h.shrunk++
	switch h.shrunk {
	case 1:
		if r.Output != nil && len(*r.Output) > small {
			c := output.NewCapture(small)
			c.Add([]byte(*r.Output))
			text := c.String()
			r.Output, r.Truncated = &text, true
		}
		r.Reason = ""
	case 2:
		text := ""
		r.Output, r.Truncated, r.ExitCode = &text, true, nil
	default:
		s.log.Error("the server takes no form of a result; it is given up", "job", h.hold.ID, "why", problemOf(a))
		return false
	}
	s.log.Warn("the server cannot take a result as it is; trying a smaller one", "job", h.hold.ID, "why", problemOf(a))
	h.report = &r
	return true
}
