package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/letserverrun/skadi/bench/wire"
)

// batchLoad pushes jobs in bulk, up to 1,000 with a request, for an agent that
// has checked in and takes none: what is measured is durable queuing.
type batchLoad struct {
	Addr       string `json:"addr"`
	AdminToken string `json:"admin_token"`
	AgentToken string `json:"agent_token"`
	Agent      string `json:"agent"`
	Jobs       int    `json:"jobs"`
	Size       int    `json:"size"`
	Conns      int    `json:"conns"`
}

func playBatch(spec []byte, answer func(any) error, _ <-chan struct{}) error {
	var l batchLoad
	if err := json.Unmarshal(spec, &l); err != nil {
		return err
	}
	if err := l.checkIn(); err != nil {
		return err
	}
	conns := make([]*wire.Conn, l.Conns)
	for i := range conns {
		var err error
		if conns[i], err = wire.Dial(l.Addr, l.AdminToken); err != nil {
			return err
		}
	}
	push := func(w, i int) error { return l.push(conns[w], i) }
	ctx := context.Background()
	if err := pushAll(ctx, l.Conns, l.Conns, 0, push); err != nil {
		return err
	}
	begin := time.Now()
	if err := pushAll(ctx, l.Jobs/l.Size, l.Conns, 0, push); err != nil {
		return err
	}
	return answer(outcome{Jobs: l.Jobs / l.Size * l.Size, Elapsed: time.Since(begin)})
}

// checkIn makes the agent one that was seen: jobs for others expire at once.
func (l batchLoad) checkIn() error {
	c, err := wire.Dial(l.Addr, l.AgentToken)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return checkIn(c)
}

func checkIn(c *wire.Conn) error {
	status, answer, err := c.Do("POST", "/v1/agent/poll", []byte(`{"max":0}`))
	if err == nil && status != 200 {
		err = fmt.Errorf("the first poll was answered with status %d: %s", status, answer)
	}
	return err
}

func (l batchLoad) push(c *wire.Conn, i int) error {
	body := []byte(`{"jobs":[`)
	for n := range l.Size {
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"agent":"`+l.Agent+`","message":"job `...)
		body = append(strconv.AppendInt(body, int64(i*l.Size+n), 10), `"}`...)
	}
	body = append(body, `]}`...)
	status, answer, err := c.Do("POST", "/v1/jobs/batch", body)
	if err != nil {
		return err
	}
	if taken := bytes.Count(answer, []byte(`"status":"queuing"`)); status != 200 || taken != l.Size {
		return fmt.Errorf("of a batch of %d jobs %d were taken, status %d: %.500s", l.Size, taken, status, answer)
	}
	return nil
}
