package storetest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

var sharedTests = map[string]func(*suite){
	"values": func(s *suite) {
		a, b := s.Store.KV("work-slack"), s.Store.KV("teams")
		get := func(key string) string {
			s.Helper()
			value, ok, err := a.Get(s.ctx, key)
			s.must(err)
			if !ok {
				return "none"
			}
			return string(value)
		}
		equal(s, get("token"), "none")
		value := []byte("s3cret \x00\xff")
		s.must(a.Set(s.ctx, "token", value, time.Minute))
		s.must(a.Set(s.ctx, "kept", nil, 0))
		s.must(b.Set(s.ctx, "token", []byte("another"), 0))
		clear(value) // the store has its own
		equal(s, get("token"), "s3cret \x00\xff")
		equal(s, get("kept"), "")
		s.Advance(time.Minute)
		equal(s, get("token"), "none")
		equal(s, get("kept"), "")
		s.must(a.Set(s.ctx, "token", []byte("new"), time.Second))
		equal(s, get("token"), "new")
		s.must(a.Delete(s.ctx, "token"))
		s.must(a.Delete(s.ctx, "never"))
		equal(s, get("token"), "none")
		if got, ok, err := b.Get(s.ctx, "token"); err != nil || !ok || string(got) != "another" {
			s.Fatalf("the other prefix has %q, %v", got, err)
		}
	},
	"leases": func(s *suite) {
		a, b := s.Store.Leaser("node-a"), s.Store.Leaser("node-b")
		type answer struct {
			Epoch int64
			Held  bool
		}
		try := func(l chat.Leaser) answer {
			s.Helper()
			epoch, held, err := l.Acquire(s.ctx, "mailbox", time.Minute)
			s.must(err)
			return answer{epoch, held}
		}
		equal(s, try(a), answer{1, true})
		equal(s, try(b), answer{1, false})
		s.Advance(59 * time.Second)
		equal(s, try(a), answer{1, true}) // renewed
		s.Advance(59 * time.Second)
		equal(s, try(b), answer{1, false})
		s.Advance(time.Second)
		equal(s, try(b), answer{2, true}) // it ran out
		equal(s, try(a), answer{2, false})
		s.must(a.Release(s.ctx, "mailbox")) // not its own
		equal(s, try(a), answer{2, false})
		s.must(b.Release(s.ctx, "mailbox"))
		equal(s, try(a), answer{3, true})
		s.must(a.Release(s.ctx, "mailbox"))
		equal(s, try(a), answer{4, true})
		epoch, held, err := b.Acquire(s.ctx, "another", time.Minute)
		if err != nil || !held || epoch != 1 {
			s.Fatalf("another lease: %d, %v, %v", epoch, held, err)
		}
	},
	"one lease for many": func(s *suite) {
		var held atomic.Int64
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				_, ok, err := s.Store.Leaser(string(rune('a'+i))).Acquire(s.ctx, "mailbox", time.Minute)
				if err != nil {
					s.Error(err)
				}
				if ok {
					held.Add(1)
				}
			})
		}
		all.Wait()
		equal(s, held.Load(), 1)
	},
	"the default agent of a conversation": func(s *suite) {
		get := func(in, account, key string) string {
			s.Helper()
			agent, err := s.Store.Default(s.ctx, in, account, key)
			s.must(err)
			return agent
		}
		equal(s, get(space, "work-slack", "C1"), "")
		s.must(s.Store.SetDefault(s.ctx, space, "work-slack", "C1", "web-1"))
		s.must(s.Store.SetDefault(s.ctx, space, "work-slack", "C1", "web-2"))
		s.must(s.Store.SetDefault(s.ctx, space, "work-slack", "C2", "db-1"))
		equal(s, get(space, "work-slack", "C1"), "web-2")
		equal(s, get("other", "work-slack", "C1"), "")
		equal(s, get(space, "teams", "C1"), "")
		s.must(s.Store.SetDefault(s.ctx, space, "work-slack", "C1", ""))
		equal(s, get(space, "work-slack", "C1"), "")
		equal(s, get(space, "work-slack", "C2"), "db-1")
	},
}
