package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/letserverrun/skadi/bench/wire"
)

// waitersLoad is a crowd of agents that each wait in a long poll.
type waitersLoad struct {
	Addr   string   `json:"addr"`
	Tokens []string `json:"tokens"`
}

type waitersAnswer struct {
	Waiting int `json:"waiting"`
}

// playWaiters polls for every token, answers once all polls are under way, and
// keeps them so until it is stopped.
func playWaiters(spec []byte, answer func(any) error, ended <-chan struct{}) error {
	var l waitersLoad
	if err := json.Unmarshal(spec, &l); err != nil {
		return err
	}
	poll := []byte(`{"wait_seconds":55,"max":10}`)
	var sent sync.WaitGroup
	var lost atomic.Pointer[error]
	over := make(chan struct{})
	for _, token := range l.Tokens {
		c, err := wire.DialIdle(l.Addr, token)
		if err != nil {
			return err
		}
		// A check-in shows that the token is good and the connection served.
		if err := checkIn(c); err != nil {
			return err
		}
		sent.Add(1)
		go func() {
			first := sync.OnceFunc(sent.Done)
			for {
				time.AfterFunc(time.Second, first)
				status, body, err := c.Do("POST", "/v1/agent/poll", poll)
				first()
				select {
				case <-over:
					return
				default:
				}
				if err == nil && status != 200 {
					err = fmt.Errorf("a waiting poll was answered with status %d: %s", status, body)
				}
				if err != nil {
					lost.Store(&err)
					return
				}
			}
		}()
	}
	sent.Wait()
	if err := answer(waitersAnswer{Waiting: len(l.Tokens)}); err != nil {
		return err
	}
	<-ended
	close(over)
	if err := lost.Load(); err != nil {
		return *err
	}
	return nil
}

// memory measures what waiting agents cost the server, what an idle agentd
// takes, and how soon `up` answers.
func (b *bench) memory(ctx context.Context) error {
	b.table.heading("memory and start")
	for _, part := range []func(context.Context) error{b.waiters, b.idleAgentd, b.firstAnswer} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle is how long a process is left alone before its memory is read: longer
// than it takes the server to write that the waiting agents are there.
const settle = 20 * time.Second

func (b *bench) settle(ctx context.Context) error {
	d := settle
	if b.short {
		d = 3 * time.Second
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bench) waiters(ctx context.Context) error {
	count := min(10_000, openFiles()-500)
	if b.short {
		count = min(1000, count)
	}
	return b.scratch(func(dir string) error {
		s, err := serveNew(ctx, b.programs, dir)
		if err != nil {
			return err
		}
		tokens, err := makeAgents(ctx, s.addr, s.admin, count)
		// The server starts anew, so that its memory is not what making the
		// agents left behind.
		if err = errors.Join(err, s.stop()); err != nil {
			return err
		}
		if err := s.serve(ctx); err != nil {
			return err
		}
		before, after, err := b.growth(ctx, s, tokens)
		if err = errors.Join(err, s.stop()); err != nil {
			return err
		}
		each := (after - before) / float64(count)
		b.say("%d waiting agents: the server grew from %s to %s", count, mib(before), mib(after))
		b.table.add(row{
			what: fmt.Sprintf("server, per idle waiting agent (of %s)", thousands(int64(count))), value: kib(each),
			beside: fmt.Sprintf("%s → %s", mib(before), mib(after)), asked: "below 25 KB", met: judge(each < 25_000),
		})
		return nil
	})
}

// growth returns the server's memory before and while the agents wait.
func (b *bench) growth(ctx context.Context, s *served, tokens []string) (before, after float64, err error) {
	if err := b.settle(ctx); err != nil {
		return 0, 0, err
	}
	if before, err = s.resident(); err != nil {
		return 0, 0, err
	}
	var at waitersAnswer
	crowd, err := cast(ctx, "waiters", waitersLoad{Addr: s.addr, Tokens: tokens}, &at)
	if err != nil {
		return 0, 0, err
	}
	if err := b.settle(ctx); err != nil {
		return 0, 0, errors.Join(err, crowd.stop())
	}
	after, err = s.resident()
	_ = crowd.stdin.Close()
	<-crowd.done
	return before, after, errors.Join(err, crowd.err)
}

// makeAgents makes agents over the API and returns their tokens.
func makeAgents(ctx context.Context, addr, admin string, count int) ([]string, error) {
	const conns = 16
	tokens := make([]string, count)
	clients := make([]*wire.Conn, conns)
	for i := range clients {
		var err error
		if clients[i], err = wire.Dial(addr, admin); err != nil {
			return nil, err
		}
		defer func() { _ = clients[i].Close() }()
	}
	err := pushAll(ctx, count, conns, 0, func(w, i int) error {
		status, answer, err := clients[w].Do("POST", "/v1/agents", fmt.Appendf(nil, `{"name":"crowd-%d"}`, i))
		if err == nil && status != 201 {
			err = fmt.Errorf("making an agent was answered with status %d: %s", status, answer)
		}
		if err != nil {
			return err
		}
		var made struct {
			Token string `json:"token"`
		}
		err = json.Unmarshal(answer, &made)
		tokens[i] = made.Token
		return err
	})
	return tokens, err
}

// openFiles is how many files a process may have open.
func openFiles() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return int(min(l.Max, 1<<20)) //nolint:gosec // bounded
}
