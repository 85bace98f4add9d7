package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// asynqLoad is one run of asynq: producers and workers in one process, as
// Skadi's pushes and agent share one.
type asynqLoad struct {
	Redis string `json:"redis"`
	Jobs  int    `json:"jobs"`
	// Rate is in jobs per second; 0 is as fast as it goes.
	Rate      int `json:"rate"`
	Producers int `json:"producers"`
	Workers   int `json:"workers"`
	// Interval is how often an idle worker looks for tasks; 0 leaves asynq's
	// own second.
	Interval time.Duration `json:"interval"`
	// Result has the handler write its answer, which is kept with the task as
	// Skadi keeps a job's output.
	Result bool `json:"result"`
}

const (
	asynqTask      = "bench"
	asynqCompleted = "asynq:{default}:completed" // a sorted set of finished tasks
	warmUp         = 500                         // jobs before those that count
)

// playAsynq is the role that runs an asynqLoad.
func playAsynq(spec []byte, answer func(any) error, _ <-chan struct{}) error {
	var l asynqLoad
	if err := json.Unmarshal(spec, &l); err != nil {
		return err
	}
	o, err := l.run(context.Background())
	if err != nil {
		return err
	}
	return answer(o)
}

func (l asynqLoad) run(ctx context.Context) (outcome, error) {
	opt := asynq.RedisClientOpt{Addr: l.Redis, PoolSize: l.Producers + l.Workers}
	b := newBook(l.Jobs)
	server := asynq.NewServer(opt, asynq.Config{
		Concurrency: l.Workers, TaskCheckInterval: l.Interval, LogLevel: asynq.FatalLevel,
	})
	err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		i, err := strconv.Atoi(string(t.Payload()[len("job "):]))
		if err != nil {
			return err
		}
		b.start(i)
		if l.Result {
			_, err = t.ResultWriter().Write([]byte("ok"))
		}
		return err
	}))
	if err != nil {
		return outcome{}, err
	}
	defer server.Shutdown()
	client := asynq.NewClient(opt)
	defer func() { _ = client.Close() }()
	watch := redis.NewClient(&redis.Options{Addr: l.Redis})
	defer func() { _ = watch.Close() }()

	push := func(message string) error {
		_, err := client.EnqueueContext(ctx, asynq.NewTask(asynqTask, []byte(message)), asynq.Retention(time.Hour))
		return err
	}
	warm := min(warmUp, l.Jobs)
	if err := pushAll(ctx, warm, l.Producers, 0, func(_, _ int) error { return push("job -1") }); err != nil {
		return outcome{}, err
	}
	if err := asynqDone(ctx, watch, warm); err != nil {
		return outcome{}, err
	}

	b.begin = time.Now()
	err = pushAll(ctx, l.Jobs, l.Producers, l.Rate, func(_, i int) error {
		b.sent[i].Store(b.now())
		err := push("job " + strconv.Itoa(i))
		b.accepted[i].Store(b.now())
		return err
	})
	o := outcome{Jobs: l.Jobs, Pushed: time.Since(b.begin)}
	if err != nil {
		return o, err
	}
	if err := asynqDone(ctx, watch, warm+l.Jobs); err != nil {
		return o, err
	}
	o.Elapsed = time.Since(b.begin)
	o.FromSent, o.FromAccepted = b.delays()
	return o, b.check()
}

// asynqDone waits until Redis has that many finished tasks.
func asynqDone(ctx context.Context, c *redis.Client, tasks int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("asynq did not finish within 5 minutes"))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := c.ZCard(ctx, asynqCompleted).Result()
		if err != nil {
			return fmt.Errorf("asking Redis for finished tasks: %w", err)
		}
		if n >= int64(tasks) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
