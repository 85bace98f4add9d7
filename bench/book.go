package main

import (
	"fmt"
	"sync/atomic"
	"time"
)

// book notes when each job was sent, accepted and started. Each mark is
// written once, by whoever sees it happen, and read when all is over.
type book struct {
	begin    time.Time
	sent     []atomic.Int64 // nanoseconds since begin, 0 if it did not happen
	accepted []atomic.Int64
	started  []atomic.Int64

	startedAll atomic.Int64
	twice      atomic.Int64 // jobs that started a second time
}

func newBook(jobs int) *book {
	return &book{
		begin:    time.Now(),
		sent:     make([]atomic.Int64, jobs),
		accepted: make([]atomic.Int64, jobs),
		started:  make([]atomic.Int64, jobs),
	}
}

func (b *book) now() int64 { return int64(time.Since(b.begin)) + 1 }

// start notes that job i runs and reports whether all do now. Numbers that
// are not in the book are of the warm-up.
func (b *book) start(i int) (all bool) {
	if i < 0 || i >= len(b.started) {
		return false
	}
	if !b.started[i].CompareAndSwap(0, b.now()) {
		b.twice.Add(1)
		return false
	}
	return b.startedAll.Add(1) == int64(len(b.started))
}

// check returns an error unless each job was accepted and ran once.
func (b *book) check() error {
	for i := range b.started {
		if b.accepted[i].Load() == 0 || b.started[i].Load() == 0 {
			return fmt.Errorf("job %d was accepted: %t, started: %t", i, b.accepted[i].Load() != 0, b.started[i].Load() != 0)
		}
	}
	if n := b.twice.Load(); n > 0 {
		return fmt.Errorf("%d jobs ran twice", n)
	}
	return nil
}

// delays returns how long jobs took to start, from when they were sent and
// from when they were accepted. A job may start before its acceptance has
// come back; that counts as 0.
func (b *book) delays() (fromSent, fromAccepted spread) {
	sent, accepted := make([]time.Duration, len(b.started)), make([]time.Duration, len(b.started))
	for i := range b.started {
		at := b.started[i].Load()
		sent[i] = time.Duration(at - b.sent[i].Load())
		accepted[i] = max(time.Duration(at-b.accepted[i].Load()), 0)
	}
	return spreadOf(sent), spreadOf(accepted)
}

// outcome is what a load found out.
type outcome struct {
	Jobs         int           `json:"jobs"`
	Pushed       time.Duration `json:"pushed"`  // until the last was accepted
	Elapsed      time.Duration `json:"elapsed"` // until all was over
	FromSent     spread        `json:"from_sent"`
	FromAccepted spread        `json:"from_accepted"`
	Polls        int           `json:"polls"` // answered polls that had jobs

	// The processor time of both sides, warm-up and start included.
	server, load time.Duration
}

func (o outcome) rate() float64 { return perSecond(o.Jobs, o.Elapsed) }
