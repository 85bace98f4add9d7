//go:build unix

package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/letserverrun/skadi/core/job"
)

// BenchmarkLife is the whole life of a job: 64 creators of one job each, an
// agent that claims up to 100 at a time and reports them together, and a
// relay that publishes the three events.
func BenchmarkLife(b *testing.B) {
	b.Run("empty", func(b *testing.B) { benchmarkLife(b, 0) })
	b.Run("full", func(b *testing.B) { benchmarkLife(b, 1_000_000) })
}

func benchmarkLife(b *testing.B, finished int) {
	ctx := b.Context()
	s, err := Open(ctx, Config{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	fillFinished(b, s, finished)
	addAgent(b, s, "web-1")

	wake, events := make(chan struct{}, 1), make(chan struct{}, 1)
	signal := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	work, done := context.WithCancel(ctx)
	defer done()
	var left atomic.Int64
	left.Store(int64(b.N))
	var others, creators sync.WaitGroup
	over := make(chan struct{}, b.N) // nobody waits for its reader
	others.Go(func() { benchAgent(work, b, s, wake, over, func() { signal(events) }) })
	others.Go(func() { benchRelay(work, b, s, events) })
	b.ResetTimer()
	start, used := time.Now(), cpuTime()
	for range 64 {
		creators.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := s.Create(ctx, []job.Entry{testEntry("web-1")}); err != nil {
					b.Error(err)
					return
				}
				signal(wake)
				signal(events)
			}
		})
	}
	creators.Wait()
	for range b.N {
		<-over
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "lives/s")
	b.ReportMetric(float64((cpuTime()-used).Microseconds())/float64(b.N), "cpu-µs/life")
	st := s.Stats()
	b.ReportMetric(float64(st.Members)/float64(max(st.Commits, 1)), "members/commit")
	done()
	others.Wait()
}

// cpuTime is what this process has used of all processors, a figure that
// other processes disturb less than the clock's.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchAgent(ctx context.Context, b *testing.B, s *Store, wake <-chan struct{}, over chan<- struct{}, told func()) {
	results := make(chan []string, 16)
	var reporter sync.WaitGroup
	defer reporter.Wait()
	defer close(results)
	reporter.Go(func() {
		for ids := range results {
			_, err := s.Update(context.WithoutCancel(ctx), job.ByID("default", ids...), testMove(job.Succeeded))
			if err != nil {
				b.Error(err)
			}
			told()
			for range ids {
				over <- struct{}{}
			}
		}
	})
	for {
		us, err := s.Update(context.WithoutCancel(ctx), job.Claimable("default", "web-1", 100), testMove(job.Sent))
		if err != nil {
			b.Error(err)
			return
		}
		if len(us) == 0 {
			select {
			case <-wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		told()
		ids := make([]string, len(us))
		for i, u := range us {
			ids[i] = u.Job.ID
		}
		results <- ids
	}
}

func benchRelay(ctx context.Context, b *testing.B, s *Store, wake <-chan struct{}) {
	for {
		events, err := s.Unpublished(context.WithoutCancel(ctx), 500)
		if err == nil && len(events) > 0 {
			err = s.MarkPublished(context.WithoutCancel(ctx), events)
		}
		if err != nil {
			b.Error(err)
			return
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return
		}
	}
}

// BenchmarkSweep is what the sweeper does each second, with 1,000,000 jobs
// that are done and 1,000 agents that have jobs queuing: look for what is due,
// and for jobs of silent agents.
func BenchmarkSweep(b *testing.B) {
	ctx := b.Context()
	s, err := Open(ctx, Config{Path: filepath.Join(b.TempDir(), "bench.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	}()
	fillFinished(b, s, 1_000_000)
	for i := range 1000 {
		entries := make([]job.Entry, 10)
		for k := range entries {
			entries[k] = testEntry(fmt.Sprintf("old-%d", i))
		}
		if _, err := s.Create(ctx, entries); err != nil {
			b.Fatal(err)
		}
	}
	leave := func(job.View) (*job.Change, error) { return nil, nil }
	for name, pass := range map[string]func() error{
		"due":    func() error { _, err := s.Update(ctx, job.Due(200), leave); return err },
		"silent": func() error { _, err := s.Update(ctx, job.OfSilentAgents(time.Hour, 200), leave); return err },
		"counts": func() error { _, err := s.Counts(ctx); return err },
		"idle claim": func() error {
			_, err := s.Update(ctx, job.Claimable("default", "nobody", 10), leave)
			return err
		},
		"list an agent's": func() error {
			_, err := s.Jobs(ctx, job.Filter{Space: "default", Agent: "old-7", Limit: 20})
			return err
		},
		"list failed": func() error {
			_, err := s.Jobs(ctx, job.Filter{Space: "default", Status: job.Failed, Limit: 20})
			return err
		},
		"list a person's": func() error {
			_, err := s.Jobs(ctx, job.Filter{Space: "default", Sender: "work-slack:T1/U1", Limit: 20})
			return err
		},
		"prune nothing": func() error { _, err := s.Prune(ctx, time.UnixMicro(1), 200); return err },
		"prune 200":     func() error { _, err := s.Prune(ctx, s.now().Add(-time.Hour), 200); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := pass(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fillFinished makes jobs that are done, of 1,000 agents, with their events.
func fillFinished(tb testing.TB, s *Store, n int) {
	tb.Helper()
	if n == 0 {
		return
	}
	for i := range 1000 {
		addAgent(tb, s, fmt.Sprintf("old-%d", i))
	}
	db := s.write.checkpoints.db
	for _, text := range []string{
		`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO jobs (num, id, space, agent, status, reason, approval, version, lease, attempt, created_at, sent_at,
			last_word_at, finished_at, due_at, sender_account, sender_workspace, sender_user, sender_name, callback_url,
			conversation, result, exit_code, digest, message, output)
		SELECT i, format('01800000-%04x-7%03x-8000-%012x', i >> 16, i & 4095, i), 'default', 'old-' || (i * 7919 % 1000), 'succeeded', '', '', 3,
			'0123456789abcdefghijkl', 1, i * 1000, i * 1000, i * 1000, i * 1000, i * 1000, 'token', '', 'ci', 'ci', '',
			'', 1, 0, '0123456789abcdef01234567', 'deploy v1.2.3 to production', 'deployed v1.2.3'
		FROM n`,
		`INSERT INTO events (subject, version, space, kind, at, agent, num, status, reason, by_whom, conversation)
		SELECT j.id, v.value, j.space, 2, j.created_at, j.agent, j.num, json_extract('["queuing","sent","succeeded"]', '$[' || (v.value - 1) || ']'), '', 'token:ci', ''
		FROM jobs j, json_each('[1,2,3]') v WHERE j.num <= ?1`,
		`UPDATE sequences SET value = value + ?1 WHERE name = 'job'`,
	} {
		if _, err := db.ExecContext(context.Background(), text, n); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := db.ExecContext(context.Background(), `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		tb.Fatal(err)
	}
}
