package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/letserverrun/skadi/bench/wire"
)

// skadiLoad is one run of Skadi's whole life of jobs, from a process of its
// own: pushes on keep-alive connections, the agent, and a reader of the event
// stream, which says when a job's success was relayed.
type skadiLoad struct {
	Addr       string `json:"addr"`
	AgentAddr  string `json:"agent_addr"` // of the node that the agent polls
	AdminToken string `json:"admin_token"`
	AgentToken string `json:"agent_token"`
	Agent      string `json:"agent"`
	Jobs       int    `json:"jobs"`
	Conns      int    `json:"conns"`
	// Rate is in jobs per second; 0 is as fast as it goes.
	Rate int `json:"rate"`
	// Confirm takes the jobs with agentd's library: each is offered, written
	// to the journal, confirmed, run and reported. Without it jobs come with
	// the poll and are reported in batches.
	Confirm  bool   `json:"confirm"`
	StateDir string `json:"state_dir"` // of the journal
	Pollers  int    `json:"pollers"`
	PollMax  int    `json:"poll_max"`
}

// playLoad is the role that runs a skadiLoad.
func playLoad(spec []byte, answer func(any) error, _ <-chan struct{}) error {
	var l skadiLoad
	if err := json.Unmarshal(spec, &l); err != nil {
		return err
	}
	o, err := l.run(context.Background())
	if err != nil {
		return err
	}
	return answer(o)
}

func (l skadiLoad) run(ctx context.Context) (outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("the run did not end within 5 minutes"))
	defer cancel()
	b := newBook(l.Jobs)
	relayed, err := l.followEvents(ctx)
	if err != nil {
		return outcome{}, err
	}
	agent, err := l.startAgent(b) //nolint:contextcheck // it ends by stop, after its last report
	if err != nil {
		return outcome{}, err
	}
	o, err := l.drive(ctx, b, relayed, agent.failed())
	err = errors.Join(err, agent.stop())
	o.Polls = agent.polls()
	if err == nil {
		err = b.check()
	}
	return o, err
}

// puller takes jobs and reports them.
type puller interface {
	failed() <-chan error
	polls() int
	stop() error
}

func (l skadiLoad) startAgent(b *book) (puller, error) {
	if l.Confirm {
		return startConfirmed(l, b)
	}
	return startPlain(l, b)
}

// drive pushes the jobs and waits until each one's success was relayed.
func (l skadiLoad) drive(ctx context.Context, b *book, relayed *relay, failed <-chan error) (outcome, error) {
	pushers := make([]*pusher, l.Conns)
	for i := range pushers {
		var err error
		if pushers[i], err = newPusher(l.Addr, l.AdminToken, l.Agent); err != nil {
			return outcome{}, err
		}
		defer func() { _ = pushers[i].conn.Close() }()
	}
	warm := min(warmUp, l.Jobs)
	if err := pushAll(ctx, warm, l.Conns, 0, func(w, _ int) error { return pushers[w].push(-1) }); err != nil {
		return outcome{}, err
	}
	if err := relayed.wait(ctx, warm, failed); err != nil {
		return outcome{}, err
	}

	b.begin = time.Now()
	err := pushAll(ctx, l.Jobs, l.Conns, l.Rate, func(w, i int) error {
		b.sent[i].Store(b.now())
		err := pushers[w].push(i)
		b.accepted[i].Store(b.now())
		return err
	})
	o := outcome{Jobs: l.Jobs, Pushed: time.Since(b.begin)}
	if err != nil {
		return o, err
	}
	if err := relayed.wait(ctx, warm+l.Jobs, failed); err != nil {
		return o, err
	}
	o.Elapsed = time.Since(b.begin)
	o.FromSent, o.FromAccepted = b.delays()
	return o, nil
}

// pusher pushes jobs on one connection.
type pusher struct {
	conn *wire.Conn
	head []byte // of the body, up to the job's number
	body []byte
}

func newPusher(addr, token, agent string) (*pusher, error) {
	c, err := wire.Dial(addr, token)
	if err != nil {
		return nil, err
	}
	return &pusher{conn: c, head: []byte(`{"agent":"` + agent + `","message":"job `)}, nil
}

func (p *pusher) push(i int) error {
	p.body = append(strconv.AppendInt(append(p.body[:0], p.head...), int64(i), 10), `"}`...)
	status, answer, err := p.conn.Do("POST", "/v1/jobs", p.body)
	if err == nil && status != 201 {
		err = fmt.Errorf("a push was answered with status %d: %s", status, answer)
	}
	return err
}

// jobNumber returns the number of "job 12".
func jobNumber(message string) int {
	i, err := strconv.Atoi(strings.TrimPrefix(message, "job "))
	if err != nil {
		return -1
	}
	return i
}

// relay follows GET /v1/events and counts jobs that succeeded.
type relay struct {
	mu    sync.Mutex
	seen  int
	err   error
	moved chan struct{} // one signal
}

// followEvents returns once the server has begun to answer the stream.
func (l skadiLoad) followEvents(ctx context.Context) (*relay, error) {
	c, err := wire.Dial(l.Addr, l.AdminToken)
	if err != nil {
		return nil, err
	}
	r := &relay{moved: make(chan struct{}, 1)}
	go func() {
		<-ctx.Done()
		_ = c.Close()
	}()
	stream, err := c.Stream("/v1/events")
	if err != nil {
		return nil, err
	}
	go func() {
		ours, succeeded := []byte(`"agent":"`+l.Agent+`"`), []byte(`"status":"succeeded"`)
		err := stream.Lines(func(line []byte) error {
			if bytes.Contains(line, succeeded) && bytes.Contains(line, ours) {
				r.add(1, nil)
			}
			return nil
		})
		r.add(0, fmt.Errorf("the event stream ended: %w", err))
	}()
	return r, nil
}

func (r *relay) add(n int, err error) {
	r.mu.Lock()
	r.seen += n
	r.err = errors.Join(r.err, err)
	r.mu.Unlock()
	select {
	case r.moved <- struct{}{}:
	default:
	}
}

// wait returns when that many jobs succeeded since the beginning.
func (r *relay) wait(ctx context.Context, jobs int, failed <-chan error) error {
	for {
		r.mu.Lock()
		seen, err := r.seen, r.err
		r.mu.Unlock()
		if seen >= jobs || err != nil {
			return err
		}
		select {
		case <-r.moved:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w; %d of %d jobs had been seen to succeed", context.Cause(ctx), seen, jobs)
		}
	}
}
