package jobtest

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

var createTests = map[string]func(*suite){
	"every field comes back": func(s *suite) {
		s.addAgent(space, "web-1")
		ref := &chat.ConversationRef{
			Account: "work-slack", Channel: "C0789", Key: "C0789/1700000000.000100",
			Data:  json.RawMessage(`{"thread":"1700000000.000100","html":"<b>&"}`),
			Quota: &chat.Quota{Messages: 5, Until: time.Date(2026, 7, 9, 13, 0, 15, 123456789, time.UTC)},
		}
		at := time.Date(2026, 7, 9, 12, 30, 15, 123456000, time.UTC)
		e := draft(space, "web-1", func(j *job.Job) {
			*j = job.Job{
				ID: j.ID, Space: j.Space, Num: j.Num, Agent: j.Agent, Message: j.Message, Sender: j.Sender,
				Conversation: j.Conversation, CallbackURL: j.CallbackURL,
				Status: job.Failed, Reason: "interrupted", Approval: job.ApprovalGranted, Version: 7,
				Lease: "s3cret", OfferedUntil: at.Add(1 * time.Microsecond), Attempt: 3,
				CreatedAt: at, SentAt: at.Add(2 * time.Microsecond), LastWordAt: at.Add(3 * time.Microsecond),
				FinishedAt: at.Add(4 * time.Microsecond), DueAt: at.Add(5 * time.Microsecond),
				CancelRequestedAt: at.Add(6 * time.Microsecond),
				Result:            &job.Result{Output: "no\n", ExitCode: pointer(-1), Truncated: true, Digest: "d1"},
				Late: []job.LateReport{
					{At: at.Add(time.Second), Status: job.Succeeded, Output: "yes <b>", ExitCode: pointer(0), Digest: "d2"},
				},
			}
		})
		e.Draft.Conversation, e.Draft.CallbackURL = ref, "https://ci.example.com/done?job=1"
		made := s.create(e)
		equal(s, s.job(space, made.ID), made)
		byNum, err := s.Store.JobByNum(s.ctx, space, made.Num)
		s.must(err)
		equal(s, byNum, made)
		equal(s, *made.Conversation, *ref)
		if made.Num < 1 || made.Message != "deploy v1.2.3" || made.Result.ExitCode == nil {
			s.Fatalf("made %+v", made)
		}
	},
	"awkward text is kept to the byte": func(s *suite) {
		s.addAgent(space, "web-1")
		for name, text := range map[string]string{
			"emoji":      "👩‍💻 🚀 deploy",
			"rtl":        "مرحبا \u202eabc\u202c שלום",
			"quotes":     `'"; DROP TABLE jobs; -- \ ` + "`%_?",
			"controls":   "a\x01\x1b[31mred\x1b[0m\r\n\t\x7f\u2028\ufeff",
			"combining":  "Z͑ͫ̓ͪ̂ͫ̽a̴l͖g̡o",
			"100 KB":     strings.Repeat("0123456789abcdé", 6827),
			"JSON":       `{"a":[1,2,"\u0000"]}`,
			"blank ends": "  two  spaces  ",
		} {
			e := draft(space, "web-1", nil)
			e.Draft.Message, e.Draft.Sender.Name = text, text
			j := s.create(e)
			got := s.job(space, j.ID)
			if got.Message != text || got.Sender.Name != text {
				s.Errorf("%s: the message came back as %.100q", name, got.Message)
			}
			j = s.move(j, job.Sent, nil)
			j = s.move(j, job.Succeeded, func(j *job.Job) {
				j.Result = &job.Result{Output: text, Digest: "d"}
				j.Late = []job.LateReport{{Status: job.Failed, Output: text}}
			})
			got = s.job(space, j.ID)
			if got.Result.Output != text || got.Late[0].Output != text {
				s.Errorf("%s: the output came back as %.100q", name, got.Result.Output)
			}
		}
	},
	"numbers and codes are unique": func(s *suite) {
		s.addAgent(space, "web-1")
		seen := map[int64]bool{}
		for range 3 {
			entries := make([]job.Entry, 700) // more than a block of numbers, twice
			for i := range entries {
				entries[i] = draft(space, "web-1", nil)
			}
			created, err := s.Store.Create(s.ctx, entries)
			s.must(err)
			for i, c := range created {
				s.must(c.Err)
				if c.Job.ID != entries[i].Draft.ID {
					s.Fatal("the answers are not in order")
				}
				if seen[c.Job.Num] {
					s.Fatalf("number %d was given twice", c.Job.Num)
				}
				seen[c.Job.Num] = true
			}
		}
	},
	"one wrong entry leaves the others": func(s *suite) {
		s.addAgent(space, "web-1")
		own := errors.New("no such luck")
		refused := draft(space, "web-1", nil)
		refused.Admit = func(time.Time, job.Draft, *job.Agent) (job.Job, []job.Event, error) {
			return job.Job{}, nil, own
		}
		refused.Dedupe = &job.Dedupe{Space: space, Scope: "token:ci", Key: "k"}
		panics := draft(space, "web-1", nil)
		panics.Admit = func(time.Time, job.Draft, *job.Agent) (job.Job, []job.Event, error) { panic("boom") }
		created, err := s.Store.Create(s.ctx, []job.Entry{
			draft(space, "web-1", nil), draft(space, "nobody", nil), refused, panics, draft(space, "web-1", nil),
		})
		s.must(err)
		if created[0].Err != nil || created[4].Err != nil {
			s.Fatalf("the good entries failed: %v, %v", created[0].Err, created[4].Err)
		}
		if !errors.Is(created[1].Err, job.ErrUnknownAgent) || !errors.Is(created[2].Err, own) || created[3].Err == nil {
			s.Fatalf("wrong errors: %v, %v, %v", created[1].Err, created[2].Err, created[3].Err)
		}
		jobs, err := s.Store.Jobs(s.ctx, job.Filter{Space: space, Limit: 10})
		s.must(err)
		equal(s, ids(jobs), []string{created[4].Job.ID, created[0].Job.ID})
		// The refused entry's key is free.
		entered, err := s.Store.Entered(s.ctx, *refused.Dedupe)
		s.must(err)
		if entered {
			s.Fatal("a refused entry kept its key")
		}
		again := draft(space, "web-1", nil)
		again.Dedupe = refused.Dedupe
		s.create(again)
	},
	"admit sees the agent and the time": func(s *suite) {
		a := s.addAgent(space, "web-1")
		s.must(s.Store.PauseAgent(s.ctx, space, "web-1", "work-slack:T0123/U0456"))
		e := draft(space, "web-1", nil)
		admit := e.Admit
		var saw job.Agent
		var at time.Time
		e.Admit = func(now time.Time, d job.Draft, agent *job.Agent) (job.Job, []job.Event, error) {
			saw, at = *agent, now
			return admit(now, d, agent)
		}
		s.create(e)
		if saw.ID != a.ID || saw.PausedAt.IsZero() || saw.PausedBy == "" || !saw.LastSeenAt.Equal(a.LastSeenAt) || !at.Equal(s.now()) {
			s.Fatalf("admit saw %+v at %s", saw, at)
		}
	},
	"a repeated key makes one job": func(s *suite) {
		s.addAgent(space, "web-1")
		key := job.Dedupe{Space: space, Scope: "token:ci", Key: "abc", Digest: "d1"}
		with := func(k job.Dedupe) job.Entry {
			e := draft(space, "web-1", nil)
			e.Dedupe = &k
			return e
		}
		entered, err := s.Store.Entered(s.ctx, key)
		s.must(err)
		if entered {
			s.Fatal("the key is there before it was entered")
		}
		first := s.create(with(key))
		if entered, err = s.Store.Entered(s.ctx, job.Dedupe{Space: space, Scope: "token:ci", Key: "abc"}); err != nil || !entered {
			s.Fatalf("the key is not there: %v, %v", entered, err)
		}
		other := key
		other.Digest = "d2"
		scope, keys := key, key
		scope.Scope, keys.Key = "token:cd", "abd"
		created, err := s.Store.Create(s.ctx, []job.Entry{with(key), with(other), with(scope), with(keys), with(key)})
		s.must(err)
		for _, i := range []int{0, 4} {
			if !created[i].Duplicate || created[i].Err != nil {
				s.Fatalf("answer %d is no duplicate: %+v", i, created[i])
			}
			equal(s, created[i].Job, first)
		}
		if !errors.Is(created[1].Err, job.ErrKeyReused) || created[1].Job.ID != "" {
			s.Fatalf("another digest is answered with %+v", created[1])
		}
		for _, i := range []int{2, 3} {
			if created[i].Duplicate || created[i].Err != nil {
				s.Fatalf("another scope or key is answered with %+v", created[i])
			}
		}
		// Also when the agent is no more.
		s.must(s.Store.RemoveAgent(s.ctx, space, "web-1"))
		created, err = s.Store.Create(s.ctx, []job.Entry{with(key)})
		s.must(err)
		if !created[0].Duplicate || created[0].Job.ID != first.ID {
			s.Fatalf("a repetition is answered with %+v", created[0])
		}
	},
	"a key twice in one call": func(s *suite) {
		s.addAgent(space, "web-1")
		a, b := draft(space, "web-1", nil), draft(space, "web-1", nil)
		a.Dedupe = &job.Dedupe{Space: space, Scope: "s", Key: "k"}
		b.Dedupe = a.Dedupe
		created, err := s.Store.Create(s.ctx, []job.Entry{a, b})
		s.must(err)
		if created[0].Duplicate || !created[1].Duplicate || created[1].Job.ID != a.Draft.ID {
			s.Fatalf("answers %+v", created)
		}
	},
	"a message without a job": func(s *suite) {
		say := func() job.Entry {
			return job.Entry{
				Dedupe: &job.Dedupe{Space: space, Scope: "work-slack", Key: "Ev1"},
				Messages: []job.Event{{
					Subject: newID(), Space: space, Kind: job.EventMessage, At: s.now(), Text: "no such agent", Refused: true,
					Conversation: &chat.ConversationRef{Account: "work-slack", Key: "C1"}, Mention: &somebody,
				}},
			}
		}
		e := say()
		created, err := s.Store.Create(s.ctx, []job.Entry{e})
		s.must(err)
		if created[0].Err != nil || created[0].Duplicate || created[0].Job.ID != "" {
			s.Fatalf("answer %+v", created[0])
		}
		history, err := s.Store.History(s.ctx, space, e.Messages[0].Subject)
		s.must(err)
		equal(s, history, e.Messages)
		created, err = s.Store.Create(s.ctx, []job.Entry{say()})
		s.must(err)
		if !created[0].Duplicate || created[0].Err != nil || created[0].Job.ID != "" {
			s.Fatalf("a repetition is answered with %+v", created[0])
		}
	},
	"a message that shows a job's output": func(s *suite) {
		e := job.Entry{Messages: []job.Event{{
			Subject: newID(), Space: space, Kind: job.EventMessage, At: s.now(), Agent: "web-1", Num: 7, Text: "All that it said.", Output: 3,
			Conversation: &chat.ConversationRef{Account: "work-slack", Key: "C1", Quota: &chat.Quota{Messages: 1}},
		}}}
		created, err := s.Store.Create(s.ctx, []job.Entry{e})
		s.must(err)
		s.must(created[0].Err)
		history, err := s.Store.History(s.ctx, space, e.Messages[0].Subject)
		s.must(err)
		equal(s, history, e.Messages)
	},
	"an ID that is there already": func(s *suite) {
		s.addAgent(space, "web-1")
		first := s.create(draft(space, "web-1", nil))
		again := draft(space, "web-1", nil)
		again.Draft.ID = first.ID
		if _, err := s.Store.Create(s.ctx, []job.Entry{again}); err == nil {
			s.Fatal("two jobs have one ID")
		}
		s.create(draft(space, "web-1", nil)) // the store goes on
	},
	"nothing": func(s *suite) {
		if created, err := s.Store.Create(s.ctx, nil); err != nil || len(created) != 0 {
			s.Fatalf("%v, %v", created, err)
		}
	},
}
