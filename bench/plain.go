package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/letserverrun/skadi/bench/wire"
)

// plainAgent takes jobs with plain long polls, as anybody's own agent would:
// poll, run, report what was run in one batch, poll again.
type plainAgent struct {
	load    skadiLoad
	book    *book
	conns   []*wire.Conn
	errs    chan error
	stopped atomic.Bool
	taken   atomic.Int64
	all     sync.WaitGroup
}

func startPlain(l skadiLoad, b *book) (*plainAgent, error) {
	a := &plainAgent{load: l, book: b, errs: make(chan error, l.Pollers)}
	for range l.Pollers {
		c, err := wire.Dial(l.AgentAddr, l.AgentToken)
		if err != nil {
			return nil, errors.Join(err, a.stop())
		}
		a.conns = append(a.conns, c)
	}
	// Check in before the first job comes: an agent that was never seen gets
	// none.
	if err := checkIn(a.conns[0]); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	for _, c := range a.conns {
		a.all.Go(func() {
			if err := a.pull(c); !a.stopped.Load() {
				a.errs <- err
			}
		})
	}
	return a, nil
}

func (a *plainAgent) failed() <-chan error { return a.errs }

func (a *plainAgent) polls() int { return int(a.taken.Load()) }

func (a *plainAgent) stop() error {
	a.stopped.Store(true)
	for _, c := range a.conns {
		_ = c.Close()
	}
	a.all.Wait()
	return nil
}

// pull works until something goes wrong, or the connection is closed.
func (a *plainAgent) pull(c *wire.Conn) error {
	var work struct {
		Jobs []struct {
			ID      string `json:"id"`
			Lease   string `json:"lease"`
			Message string `json:"message"`
		} `json:"jobs"`
	}
	poll := fmt.Appendf(nil, `{"wait_seconds":50,"max":%d}`, a.load.PollMax)
	var report []byte
	for {
		status, answer, err := c.Do("POST", "/v1/agent/poll", poll)
		if err != nil {
			return err
		}
		if status != 200 {
			return fmt.Errorf("a poll was answered with status %d: %s", status, answer)
		}
		work.Jobs = work.Jobs[:0]
		if err := json.Unmarshal(answer, &work); err != nil {
			return err
		}
		if len(work.Jobs) == 0 {
			continue
		}
		a.taken.Add(1)
		report = append(report[:0], `{"results":[`...)
		for i, j := range work.Jobs {
			a.book.start(jobNumber(j.Message))
			if i > 0 {
				report = append(report, ',')
			}
			report = append(report, `{"id":"`+j.ID+`","lease":"`+j.Lease+`","status":"succeeded","output":"ok","exit_code":0}`...)
		}
		report = append(report, `]}`...)
		status, answer, err = c.Do("POST", "/v1/agent/results", report)
		if err != nil {
			return err
		}
		if good := bytes.Count(answer, []byte(`"status":200`)); status != 200 || good != len(work.Jobs) {
			return fmt.Errorf("of %d results %d were taken, status %d: %.500s", len(work.Jobs), good, status, answer)
		}
	}
}
