package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/letserverrun/skadi/bench/wire"
)

func (b *bench) idleAgentd(ctx context.Context) error {
	return b.scratch(func(dir string) error {
		s, err := serveNew(ctx, b.programs, dir)
		if err != nil {
			return err
		}
		config := filepath.Join(dir, "agentd.yaml")
		text := fmt.Sprintf(agentdConfig, s.addr, s.agentToken, filepath.Join(dir, "agentd"))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return errors.Join(err, s.stop())
		}
		p, err := start(os.Stderr, nil, b.programs.agentd, "run", "-c", config)
		if err != nil {
			return errors.Join(err, s.stop())
		}
		used, err := b.afterCheckIn(ctx, s, p)
		if err = errors.Join(err, p.stop(), s.stop()); err != nil {
			return err
		}
		b.table.add(row{what: "agentd, idle, resident", value: mib(used), asked: "below 25 MB", met: judge(used < 25e6)})
		return nil
	})
}

// afterCheckIn waits until the agent is online and settled, and returns its
// memory.
func (b *bench) afterCheckIn(ctx context.Context, s *served, p *process) (float64, error) {
	c, err := wire.Dial(s.addr, s.admin)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	err = p.until(ctx, "agentd to check in", func() error {
		_, answer, err := c.Do("GET", "/v1/agents", nil)
		if err == nil && !bytes.Contains(answer, []byte(`"online":true`)) {
			err = errors.New("it is offline")
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := b.settle(ctx); err != nil {
		return 0, err
	}
	return p.resident()
}

// firstAnswer measures from the start of `skadi up` to the answer of the first
// message, on a new folder each time.
func (b *bench) firstAnswer(ctx context.Context) error {
	var took []time.Duration
	for range b.runs {
		err := b.scratch(func(dir string) error {
			d, err := b.upOnce(ctx, dir)
			took = append(took, d)
			return err
		})
		if err != nil {
			return err
		}
	}
	worst := time.Duration(0)
	for _, d := range took {
		worst = max(worst, d)
	}
	b.table.add(row{
		what: "up: start to first answer, new folder", value: millis(median(took)),
		beside: "worst " + millis(worst), asked: "below 1 s", met: judge(worst < time.Second),
	})
	return nil
}

func (b *bench) upOnce(ctx context.Context, dir string) (time.Duration, error) {
	const name = "Skuld"
	seen := &lookout{text: []byte("Hello, " + name + "!"), seen: make(chan struct{})}
	begin := time.Now()
	p, err := start(seen, nil, b.programs.skadi, "up", "--data", filepath.Join(dir, "state"))
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(p.stdin, "local hello %s\n", name); err != nil {
		return 0, errors.Join(err, p.stop())
	}
	select {
	case <-seen.seen:
	case <-p.done:
		return 0, errors.Join(fmt.Errorf("`up` ended without the answer; it printed: %s", seen.printed()), p.err)
	case <-ctx.Done():
		return 0, errors.Join(ctx.Err(), p.stop())
	}
	d := time.Since(begin)
	return d, p.stop()
}

// lookout waits for a text in what is written to it.
type lookout struct {
	text []byte
	seen chan struct{}
	mu   sync.Mutex
	got  []byte
	done bool
}

func (l *lookout) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, p...)
	if !l.done && bytes.Contains(l.got, l.text) {
		l.done = true
		close(l.seen)
	}
	return len(p), nil
}

func (l *lookout) printed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.got)
}

// agentdConfig is a small configuration of agentd.
const agentdConfig = `server: http://%s
token: %s
state_dir: %s
commands:
  - {name: uptime, help: how long this machine is up, argv: [uptime]}
`
