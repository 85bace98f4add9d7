package events_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/core/store/sqlite"
)

// host is a server with a real database, and one adapter.
type host struct {
	store *sqlite.Store
	jobs  *job.Service
	relay *events.Relay
	stop  func()
}

func startNode(tb testing.TB, path string, c *channel) *host {
	tb.Helper()
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	waker, q := queue.NewWaker(), queue.NewEmbedded()
	n := &host{store: db, jobs: job.New(job.Config{Store: db, Waker: waker})}
	n.relay = events.NewRelay(events.RelayConfig{Outbox: db, Queue: q, Waker: waker})
	accounts := events.NewAccounts(nil, nil)
	if err := accounts.Add(events.Account{Name: "work", Kind: "test", Adapter: c}); err != nil {
		tb.Fatal(err)
	}
	replier := events.NewReplier(events.ReplierConfig{Store: db, Jobs: n.jobs, Senders: accounts, Queue: q})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{accounts.Run, n.relay.Run, replier.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				tb.Errorf("Run: %v", err)
			}
		})
	}
	var once sync.Once
	n.stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			if err := q.Close(); err != nil {
				tb.Error(err)
			}
			if err := db.Close(); err != nil {
				tb.Error(err)
			}
		})
	}
	tb.Cleanup(n.stop)
	return n
}

// caller adds the agent web-1, which is online.
func (n *host) caller(tb testing.TB) job.Caller {
	tb.Helper()
	a, err := n.jobs.CreateAgent(tb.Context(), job.DefaultSpace, "web-1")
	if err != nil {
		tb.Fatal(err)
	}
	c := job.Caller{Space: job.DefaultSpace, AgentID: a.ID, Agent: a.Name}
	if err := n.jobs.CheckIn(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
	return c
}

func draft(key, message string) job.Entry {
	d := &job.Draft{Space: job.DefaultSpace, Agent: "web-1", Message: message, Sender: chat.Sender{Account: "work", User: "U1"}}
	if key != "" {
		d.Conversation = conversation(key)
	}
	return job.Entry{Draft: d}
}

// Every job's end reaches its conversation in order, though sending fails now
// and then and the server is restarted half way.
func TestEveryEndIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "skadi.db")
	finals := make(chan string, 10_000)
	c := &channel{caps: editing}
	c.failing(func(m chat.Outbound) error {
		switch {
		case m.To.Key == "C0" && rand.IntN(4) == 0:
			return class(chat.RateLimited, time.Millisecond)
		case m.Card != nil && m.Card.Final:
			finals <- m.To.Key + " " + m.Card.Message
		}
		return nil
	})
	const conversations, each = 20, 15
	n := startNode(t, path, c)
	who := n.caller(t)
	for i := range each {
		var entries []job.Entry
		for k := range conversations {
			entries = append(entries, draft(fmt.Sprint("C", k), fmt.Sprintf("job %d", i)))
		}
		if _, err := n.jobs.Create(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}
	done := 0
	finish := func(most int) {
		a, err := n.jobs.Poll(t.Context(), who, job.PollRequest{Max: most})
		if err != nil {
			t.Fatal(err)
		}
		var reports []job.Report
		for _, j := range a.Jobs {
			out := "did " + j.Message
			reports = append(reports, job.Report{ID: j.ID, Lease: j.Lease, Status: job.Succeeded, Output: &out})
		}
		if _, err := n.jobs.Report(t.Context(), who, reports); err != nil {
			t.Fatal(err)
		}
		done += len(reports)
	}
	finish(conversations * each / 2)
	n.stop()
	n = startNode(t, path, c)
	for done < conversations*each {
		finish(50)
	}

	told := map[string]int{}
	late := time.After(time.Minute)
	for len(told) < conversations*each {
		select {
		case f := <-finals:
			told[f]++
		case <-late:
			t.Fatalf("%d of %d ends were told", len(told), conversations*each)
		}
	}
	for {
		open, _, err := n.store.Backlog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if open == 0 {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatalf("%d events are still open", open)
		}
	}
	for f, times := range told {
		if times > 1 {
			t.Errorf("%s was told %d times", f, times)
		}
	}
	dead, err := n.store.DeadLetters(t.Context(), job.DefaultSpace, 10)
	if err != nil || len(dead) != 0 {
		t.Errorf("given up: %v, %v", dead, err)
	}
	shown, err := n.store.Shown(t.Context(), nil, 10)
	if err != nil || len(shown) != 0 {
		t.Errorf("still shown as running: %v, %v", shown, err)
	}
}

// BenchmarkRelay measures how fast events leave a database on disk.
func BenchmarkRelay(b *testing.B) {
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(b.TempDir(), "skadi.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	waker, q := queue.NewWaker(), queue.NewEmbedded()
	defer func() { _ = q.Close() }()
	n := &host{store: db, jobs: job.New(job.Config{Store: db, Waker: waker})}
	n.caller(b)
	relay := events.NewRelay(events.RelayConfig{Outbox: db, Queue: q, Waker: waker})
	relayed := 0
	for b.Loop() {
		b.StopTimer()
		entries := make([]job.Entry, 1000)
		for i := range entries {
			entries[i] = draft("", "deploy v1.2.3")
		}
		if _, err := n.jobs.Create(b.Context(), entries); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		got, err := relay.Pass(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		relayed += got
	}
	b.ReportMetric(float64(relayed)/b.Elapsed().Seconds(), "events/s")
}
