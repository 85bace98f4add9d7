package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// spread work: each of the workers calls push with the next number until all
// jobs are pushed. With a rate, jobs per second, each is pushed at its time;
// without one as fast as it goes. The first error ends it.
func pushAll(ctx context.Context, jobs, workers, rate int, push func(worker, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := take(jobs)
	if rate > 0 {
		next = paced(ctx, jobs, rate)
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for ctx.Err() == nil {
				i, ok := next()
				if !ok {
					return
				}
				if err := push(w, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// take hands out the numbers below n.
func take(n int) func() (int, bool) {
	var taken atomic.Int64
	return func() (int, bool) {
		i := int(taken.Add(1)) - 1
		return i, i < n
	}
}

// paced hands out the numbers below n, each at its time.
func paced(ctx context.Context, n, rate int) func() (int, bool) {
	c := make(chan int, n)
	go func() {
		defer close(c)
		begin := time.Now()
		timer := time.NewTimer(0)
		defer timer.Stop()
		for i := range n {
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			c <- i
			timer.Reset(time.Until(begin.Add(time.Duration(i+1) * time.Second / time.Duration(rate))))
		}
	}()
	return func() (int, bool) {
		i, ok := <-c
		return i, ok
	}
}
