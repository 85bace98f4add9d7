package jobtest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/letserverrun/skadi/core/job"
)

var concurrencyTests = map[string]func(*suite){
	"no job is handed to two": func(s *suite) {
		const agents, creators, each, pollers = 3, 8, 40, 4
		for a := range agents {
			s.addAgent(space, fmt.Sprintf("web-%d", a))
		}
		var mu sync.Mutex
		handed := map[string]int{}
		var left atomic.Int64
		left.Store(creators * each)
		var all sync.WaitGroup
		for c := range creators {
			all.Go(func() {
				for i := range each {
					created, err := s.Store.Create(s.ctx, []job.Entry{draft(space, fmt.Sprintf("web-%d", (c+i)%agents), nil)})
					if err != nil || created[0].Err != nil {
						s.Error(err, created)
						left.Add(-1)
					}
				}
			})
		}
		for p := range agents * pollers {
			all.Go(func() {
				agent := fmt.Sprintf("web-%d", p%agents)
				for left.Load() > 0 {
					us, err := s.Store.Update(s.ctx, job.Claimable(space, agent, 7), to(job.Sent, func(j *job.Job) {
						j.Lease = fmt.Sprintf("%d of %s", p, j.ID)
					}))
					if err != nil {
						s.Error(err)
						return
					}
					var got []string
					mu.Lock()
					for _, u := range us {
						handed[u.Job.ID]++
						got = append(got, u.Job.ID)
					}
					mu.Unlock()
					done, err := s.Store.Update(s.ctx, job.ByID(space, got...), to(job.Succeeded, nil))
					if err != nil {
						s.Error(err)
						return
					}
					for _, u := range done {
						if u.Err != nil {
							s.Error(u.Err)
						}
					}
					left.Add(-int64(len(done)))
				}
			})
		}
		all.Wait()
		if len(handed) != creators*each {
			s.Fatalf("%d jobs were handed over, want %d", len(handed), creators*each)
		}
		for id, n := range handed {
			if n != 1 {
				s.Errorf("job %s was handed over %d times", id, n)
			}
			j := s.job(space, id)
			if j.Status != job.Succeeded || j.Version != 3 || j.Attempt != 1 {
				s.Errorf("job %s ended as %+v", id, j)
			}
		}
	},
	"one of many changes wins": func(s *suite) {
		s.addAgent(space, "web-1")
		j := s.create(draft(space, "web-1", nil))
		once := func(v job.View) (*job.Change, error) {
			if v.Job.Status != job.Queuing {
				return nil, job.ErrFinal
			}
			return to(job.Canceled, nil)(v)
		}
		var won atomic.Int64
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				us, err := s.Store.Update(s.ctx, job.ByID(space, j.ID), once)
				switch {
				case err != nil:
					s.Error(err)
				case us[0].Err == nil && us[0].Changed:
					won.Add(1)
				case !errors.Is(us[0].Err, job.ErrFinal):
					s.Error(us[0].Err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			s.Fatalf("%d changes won", won.Load())
		}
		if history, err := s.Store.History(s.ctx, space, j.ID); err != nil || len(history) != 2 {
			s.Fatalf("the history is %+v, %v", history, err)
		}
	},
	"one of many with a key is made": func(s *suite) {
		s.addAgent(space, "web-1")
		var made atomic.Int64
		var mu sync.Mutex
		seen := map[string]bool{}
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				e := draft(space, "web-1", nil)
				e.Dedupe = &job.Dedupe{Space: space, Scope: "work-slack", Key: "Ev1"}
				created, err := s.Store.Create(s.ctx, []job.Entry{e})
				if err != nil || created[0].Err != nil {
					s.Error(err, created)
					return
				}
				if !created[0].Duplicate {
					made.Add(1)
				}
				mu.Lock()
				seen[created[0].Job.ID] = true
				mu.Unlock()
			})
		}
		all.Wait()
		if made.Load() != 1 || len(seen) != 1 {
			s.Fatalf("%d were made, and answers name %v", made.Load(), seen)
		}
	},
	"output of many jobs": func(s *suite) {
		s.addAgent(space, "web-1")
		var all sync.WaitGroup
		for range 8 {
			j := s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
			all.Go(func() {
				for seq := int64(1); seq <= 20; seq++ {
					chunk := job.OutputChunk{Seq: seq, Text: fmt.Sprintf("%s %d\n", j.ID, seq), At: j.SentAt}
					u, err := s.Store.AppendOutput(s.ctx, space, j.ID, chunk, roomy, leave)
					if err != nil || u.Err != nil {
						s.Error(err, u.Err)
					}
				}
				chunks, err := s.Store.Output(s.ctx, space, j.ID, 0, 100)
				if err != nil || len(chunks) != 20 || chunks[19].Text != j.ID+" 20\n" {
					s.Errorf("%d chunks, %v", len(chunks), err)
				}
			})
		}
		all.Wait()
	},
}
