package mysql

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// BenchmarkLife is the whole life of a job, with a server that syncs its log
// at each commit: creators of one job each, an agent that claims up to 100 at
// a time and reports them together, and a relay that publishes the three
// events. The creators' number is how many ask at the same time.
func BenchmarkLife(b *testing.B) {
	for _, creators := range []int{64, 256} {
		b.Run(fmt.Sprint(creators), func(b *testing.B) { benchmarkLife(b, creators, 1) })
	}
	b.Run("256 on two nodes", func(b *testing.B) { benchmarkLife(b, 256, 2) })
}

func benchmarkLife(b *testing.B, creators, nodes int) {
	ctx := b.Context()
	dsn := chat.Secret(throwaway.NewMariaDB(b, "--innodb-buffer-pool-size=512M", "--loose-innodb-log-file-size=512M").Database(b))
	stores := make([]*Store, nodes)
	for i := range stores {
		stores[i] = openTest(b, Config{DSN: dsn})
	}
	if err := stores[0].CreateAgent(ctx, job.Agent{ID: uuid.NewString(), Space: "default", Name: "web-1"}); err != nil {
		b.Fatal(err)
	}
	work, done := context.WithCancel(ctx)
	defer done()
	wake, published := make(chan struct{}, 1), make(chan struct{}, 1)
	signal := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	over := make(chan struct{}, 1024)
	var others, all sync.WaitGroup
	for _, s := range stores {
		others.Go(func() { benchAgent(work, b, s, wake, over, func() { signal(published) }) })
	}
	others.Go(func() { benchRelay(work, b, stores[0], published) })
	b.ResetTimer()
	start := time.Now()
	for i := range creators {
		s := stores[i%nodes]
		all.Go(func() {
			for left.Add(-1) >= 0 {
				l := newLife(s)
				l.entry.Dedupe, l.entry.Draft.Conversation = nil, nil
				if err := createStep.do(ctx, l); err != nil {
					b.Error(err)
					return
				}
				signal(wake)
				signal(published)
			}
		})
	}
	for range b.N {
		<-over
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "lives/s")
	all.Wait()
	done()
	others.Wait()
	for i, s := range stores {
		st := s.Stats()
		b.ReportMetric(float64(st.Members)/float64(max(st.Commits, 1)), fmt.Sprintf("members/commit-%d", i+1))
		b.ReportMetric(float64(st.Conflicts)/float64(b.N), fmt.Sprintf("conflicts/life-%d", i+1))
	}
}

func benchAgent(ctx context.Context, b *testing.B, s *Store, wake <-chan struct{}, over chan<- struct{}, told func()) {
	results := make(chan []string, 16)
	var reporter sync.WaitGroup
	defer reporter.Wait()
	defer close(results)
	reporter.Go(func() {
		for ids := range results {
			report := to(job.Sent, job.Succeeded, func(j *job.Job) { j.Result = &job.Result{Output: "deployed v1.2.3", Digest: "d"} })
			us, err := s.Update(context.WithoutCancel(ctx), job.ByID("default", ids...), report)
			if err != nil {
				b.Error(err)
			}
			for _, u := range us {
				if u.Err != nil {
					b.Error(u.Err)
				}
			}
			told()
			for range ids {
				over <- struct{}{}
			}
		}
	})
	for {
		us, err := s.Update(context.WithoutCancel(ctx), job.Claimable("default", "web-1", 100), to(job.Queuing, job.Sent, nil))
		if err != nil {
			b.Error(err)
			return
		}
		if len(us) == 0 {
			select {
			case <-wake:
				continue
			case <-time.After(20 * time.Millisecond): // the wake may have gone to another node
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
