package mysql

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// step is one transition of a job's life, as the service makes it.
type step struct {
	name string
	do   func(ctx context.Context, l *life) error
}

// life is a job on its way.
type life struct {
	s     *Store
	entry job.Entry
	job   job.Job
}

var testRoom = &chat.ConversationRef{Account: "work-slack", Key: "C1"}

func newLife(s *Store) *life {
	l := &life{s: s}
	l.entry = job.Entry{
		Dedupe: &job.Dedupe{Space: "default", Scope: "token:ci", Key: uuid.NewString()},
		Draft: &job.Draft{
			ID: uuid.Must(uuid.NewV7()).String(), Space: "default", Agent: "web-1", Message: "deploy",
			Conversation: testRoom, Sender: chat.Sender{Account: "token", User: "ci"},
		},
		Admit: func(now time.Time, d job.Draft, a *job.Agent) (job.Job, []job.Event, error) {
			if a == nil {
				return job.Job{}, nil, job.ErrUnknownAgent
			}
			j := job.Job{
				ID: d.ID, Space: d.Space, Num: d.Num, Agent: d.Agent, Message: d.Message, Sender: d.Sender,
				Conversation: d.Conversation, Status: job.Queuing, Version: 1, CreatedAt: now, DueAt: now.Add(-time.Second),
			}
			return j, []job.Event{eventOf(j, now)}, nil
		},
	}
	return l
}

// to is a guarded transition: one that was made already is an error.
func to(from, status job.Status, edit func(*job.Job)) job.Decide {
	return func(v job.View) (*job.Change, error) {
		j := v.Job
		if j.Status != from {
			return nil, fmt.Errorf("%w: it is %s and not %s", job.ErrConflict, j.Status, from)
		}
		j.Status = status
		j.Version++
		switch {
		case status.Final():
			j.FinishedAt = v.Now
		case status == job.Sent && from != job.Sent:
			j.SentAt, j.LastWordAt, j.Attempt = v.Now, v.Now, j.Attempt+1
			j.Lease = fmt.Sprint("lease ", j.Attempt)
		}
		if edit != nil {
			edit(&j)
		}
		return &job.Change{Job: j, Events: []job.Event{eventOf(j, v.Now)}}, nil
	}
}

func (l *life) update(ctx context.Context, sel job.Selection, decide job.Decide) error {
	us, err := l.s.Update(ctx, sel, decide)
	switch {
	case err != nil:
		return err
	case len(us) != 1:
		return fmt.Errorf("%d jobs were selected, want one", len(us))
	case us[0].Err != nil:
		return us[0].Err
	case us[0].Job.ID != l.job.ID || !us[0].Changed:
		return fmt.Errorf("answered %+v", us[0])
	}
	l.job = us[0].Job
	return nil
}

var (
	createStep = step{"create", func(ctx context.Context, l *life) error {
		created, err := l.s.Create(ctx, []job.Entry{l.entry})
		if err != nil {
			return err
		}
		if c := created[0]; c.Err != nil || c.Duplicate || c.Job.Num == 0 {
			return fmt.Errorf("answered %+v", c)
		}
		l.job = created[0].Job
		return nil
	}}
	offerStep = step{"offer", func(ctx context.Context, l *life) error {
		return l.update(ctx, job.Claimable("default", "web-1", 5), to(job.Queuing, job.Queuing, func(j *job.Job) {
			j.Lease, j.Attempt = "offered", 1
			j.OfferedUntil = j.CreatedAt.Add(time.Hour)
		}))
	}}
	startStep = step{"start", func(ctx context.Context, l *life) error {
		return l.update(ctx, job.ByID("default", l.job.ID), to(job.Queuing, job.Sent, nil))
	}}
	claimStep = step{"claim", func(ctx context.Context, l *life) error {
		return l.update(ctx, job.Claimable("default", "web-1", 5), to(job.Queuing, job.Sent, nil))
	}}
	appendStep = step{"append", func(ctx context.Context, l *life) error {
		chunk := job.OutputChunk{Seq: 1, Text: "half way\n", At: l.job.SentAt}
		u, err := l.s.AppendOutput(ctx, "default", l.job.ID, chunk, 1000, to(job.Sent, job.Sent, func(j *job.Job) { j.LastWordAt = j.SentAt }))
		if err != nil {
			return err
		}
		l.job = u.Job
		return u.Err
	}}
	cancelStep = step{"ask to cancel", func(ctx context.Context, l *life) error {
		return l.update(ctx, job.ByID("default", l.job.ID), to(job.Sent, job.Sent, func(j *job.Job) { j.CancelRequestedAt = j.SentAt }))
	}}
	reportStep = step{"report", func(ctx context.Context, l *life) error {
		return l.update(ctx, job.ByID("default", l.job.ID), to(job.Sent, job.Succeeded, func(j *job.Job) {
			j.Result = &job.Result{Output: "done", Digest: "d"}
		}))
	}}
	expireStep = step{"expire", func(ctx context.Context, l *life) error {
		return l.update(ctx, job.Due(5), to(job.Sent, job.Expired, func(j *job.Job) { j.Reason = job.NoResult }))
	}}
)

// check fails unless the job is in the database as its steps left it, with one
// event for each, each to be told and published once.
func (l *life) check(t testing.TB, versions int64) {
	t.Helper()
	ctx := context.Background()
	j, err := l.s.Job(ctx, "default", l.job.ID)
	if err != nil {
		t.Fatal(err)
	}
	if j.Version != versions || j.Status != l.job.Status || j.Attempt > 1 && !strings.HasPrefix(j.Lease, "lease") {
		t.Fatalf("the job is %+v, want version %d", j, versions)
	}
	history, err := l.s.History(ctx, "default", l.job.ID)
	if err != nil || int64(len(history)) != versions {
		t.Fatalf("the history has %d events, want %d: %v", len(history), versions, err)
	}
	for table, want := range map[string]int64{"untold": versions, "events": versions} {
		var n int64
		if _, err := l.s.row(ctx, `SELECT COUNT(*) FROM `+table+` WHERE subject = ?`, []any{l.job.ID}, &n); err != nil || n != want {
			t.Fatalf("%s has %d rows of the job, want %d: %v", table, n, want, err)
		}
	}
	bundles, err := l.s.bundleTexts(ctx, `WHERE events LIKE '%`+l.job.ID+`%'`)
	if err != nil {
		t.Fatal(err)
	}
	published := map[int64]int{}
	for seq, text := range bundles {
		lots, err := lotsOf(seq, text)
		if err != nil {
			t.Fatal(err)
		}
		each(lots, func(k row.EventKey) {
			if k.Subject == l.job.ID {
				published[k.Version]++
			}
		})
	}
	for v := range versions {
		if published[v+1] != 1 || len(published) != int(versions) {
			t.Fatalf("to be published are %v of the job's versions, want each up to %d once", published, versions)
		}
	}
	var open int64
	if _, err := l.s.row(ctx, "SELECT COUNT(*) FROM conversations WHERE account = 'work-slack' AND `key` = 'C1' AND first > 0", nil, &open); err != nil || open != 1 {
		t.Fatalf("%d conversations are open: %v", open, err)
	}
}

func openCut(t testing.TB) (*Store, *cutter) {
	t.Helper()
	c := &cutter{}
	s := openTest(t, Config{dial: c.dial})
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := job.Agent{ID: uuid.NewString(), Space: "default", Name: "web-1", CreatedAt: now, LastSeenAt: now}
	if err := s.CreateAgent(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// TestCutInEachStatement makes each transition as often as it has statements,
// with the connection cut before, in, and after one of them. The transition
// must succeed, and be made once.
func TestCutInEachStatement(t *testing.T) {
	t.Parallel()
	for _, at := range []cut{cutBefore, cutDuring, cutAfter} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			s, c := openCut(t)
			for _, path := range [][]step{
				{createStep, claimStep, appendStep, cancelStep, reportStep},
				{createStep, offerStep, startStep, expireStep},
			} {
				for i := range path {
					cutStep(t, s, c, at, path, i)
				}
			}
			if st := s.Stats(); st.Lost == 0 || st.Unsure == 0 {
				t.Errorf("nothing was lost: %+v", st)
			}
		})
	}
}

// cutStep goes the path again and again, cutting one statement of step i more
// each time, until the step has no more statements.
func cutStep(t *testing.T, s *Store, c *cutter, at cut, path []step, i int) {
	t.Helper()
	for k := 1; ; k++ {
		l := newLife(s)
		reached, hit := 0, ""
		for n, st := range path {
			if n == i {
				c.set(func(statement string) cut {
					if reached++; reached == k {
						hit = statement
						return at
					}
					return cutNothing
				})
			}
			err := st.do(t.Context(), l)
			c.set(nil)
			if err != nil {
				t.Fatalf("%s, cut %s statement %d of %s (%.80s): %v", st.name, at, k, path[i].name, hit, err)
			}
			l.check(t, int64(n+1))
		}
		if hit == "" {
			if k < 6 {
				t.Fatalf("%s has %d statements only", path[i].name, k-1)
			}
			return
		}
	}
}

// TestRefusedThoughCut cuts the connection in each statement of writes that are
// refused, COMMIT among them. Whoever asked must still be told so.
func TestRefusedThoughCut(t *testing.T) {
	t.Parallel()
	for _, at := range []cut{cutBefore, cutDuring, cutAfter} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			s, c := openCut(t)
			for name, write := range map[string]struct {
				do   func() error
				want error
			}{
				"an agent of a name that is taken": {func() error {
					return s.CreateAgent(t.Context(), job.Agent{ID: uuid.NewString(), Space: "default", Name: "web-1"})
				}, job.ErrExists},
				"a token that is none": {func() error { return s.RevokeToken(t.Context(), "default", "nobody", time.Now()) }, access.ErrNoToken},
			} {
				for k, hit := 1, "-"; hit != ""; k++ {
					reached := 0
					hit = ""
					c.set(func(statement string) cut {
						if reached++; reached == k {
							hit = statement
							return at
						}
						return cutNothing
					})
					if err := write.do(); !errors.Is(err, write.want) {
						t.Errorf("%s, cut %s statement %d (%.80s): %v", name, at, k, hit, err)
					}
					if hit == "" && k < 3 {
						t.Errorf("%s has %d statements only", name, k-1)
					}
				}
				c.set(nil)
			}
		})
	}
}

// TestCutStorm has many at work while connections are cut at random. What was
// answered without an error must have happened, and nothing twice.
func TestCutStorm(t *testing.T) {
	t.Parallel()
	s, c := openCut(t)
	c.set(func(string) cut {
		if rand.N(40) > 0 { //nolint:gosec // no secret
			return cutNothing
		}
		return cutBefore + cut(rand.N(3)) //nolint:gosec // same
	})
	path := []step{createStep, {"send", startStep.do}, appendStep, reportStep}
	const workers, each = 8, 12
	var mu sync.Mutex
	var done []*life
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				l := newLife(s)
				var failed error
				for n, st := range path {
					if failed = st.do(t.Context(), l); failed != nil {
						// A storm may be stronger than all tries of one write,
						// which must then say so and have left all as it was.
						if !errors.Is(failed, job.ErrUnavailable) || strings.Contains(failed.Error(), "not known") {
							t.Errorf("%s: %v", path[n].name, failed)
						}
						break
					}
				}
				mu.Lock()
				done = append(done, l)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	c.set(nil)
	complete := 0
	for _, l := range done {
		if l.job.ID == "" {
			continue
		}
		if l.job.Status == job.Succeeded {
			complete++
		}
		l.check(t, l.job.Version)
	}
	if complete < workers*each/2 {
		t.Errorf("%d of %d jobs were completed", complete, workers*each)
	}
	t.Logf("%d jobs of %d: %+v", complete, len(done), s.Stats())
}

// TestServerKilled kills the server while writes go on. Those that fail say
// that the database is away, at once once that is known, and all goes on when
// it is back.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := throwaway.NewMariaDB(t)
	s := openTest(t, Config{DSN: chat.Secret(server.Database(t))})
	l := newLife(s)
	if err := s.CreateAgent(t.Context(), job.Agent{ID: "a1", Space: "default", Name: "web-1"}); err != nil {
		t.Fatal(err)
	}
	if err := createStep.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	for range 2 * writerCount {
		if err := s.Ping(t.Context()); !errors.Is(err, job.ErrUnavailable) {
			t.Fatalf("without a server a write ends with %v", err)
		}
	}
	start := time.Now()
	if err := s.Ping(t.Context()); !errors.Is(err, job.ErrUnavailable) {
		t.Fatalf("without a server a write ends with %v", err)
	}
	if took := time.Since(start); took > lostPause*lostTries/2 {
		t.Errorf("a write was kept waiting %s though the server is known to be away", took)
	}
	if _, err := s.Job(t.Context(), "default", l.job.ID); !errors.Is(err, job.ErrUnavailable) {
		t.Fatalf("without a server a read ends with %v", err)
	}
	server.Start()
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := claimStep.do(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	l.check(t, 2)
}
