package mysql

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestFinishedJobsWeighNothing counts the rows and index entries that the
// server looks at for what is asked often, beside many jobs that are done and a
// long outbox.
func TestFinishedJobsWeighNothing(t *testing.T) {
	t.Parallel()
	const finished, most = 20_000, 400
	server := throwaway.NewMariaDB(t) // whose counters nobody else moves
	dsn := chat.Secret(server.Database(t))
	s := openTest(t, Config{DSN: dsn})
	ctx := t.Context()
	var ids []string
	for i := range 20 {
		c := &chat.ConversationRef{Account: "work-slack", Key: fmt.Sprint("C", i)}
		j := putJob(t, s, fmt.Sprint("web-", i%4), c)
		ids = append(ids, j.ID)
		if i%5 == 0 {
			if us, err := s.Update(ctx, job.ByID("default", j.ID), moved(job.Sent)); err != nil || us[0].Err != nil {
				t.Fatal(err, us)
			}
		}
	}
	db := testDB(t, dsn)
	const digits = `(SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
		UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)`
	execAll(t, db, fmt.Sprintf(`INSERT INTO jobs (num, id, space, agent, status, reason, approval, version, created_at,
			finished_at, due_at, sender_account, sender_workspace, sender_user, sender_name, callback_url, conversation, message)
		SELECT n + 1000000, CONCAT('old-', n), 'default', CONCAT('web-', n %% 4),
			CASE n %% 20 WHEN 0 THEN 'failed' WHEN 1 THEN 'expired' WHEN 2 THEN 'canceled' ELSE 'succeeded' END,
			'', '', 3, %[2]d, %[2]d + n, %[2]d, CASE n %% 100 WHEN 0 THEN 'work-slack' ELSE 'token' END, '', 'ada', '', '', '', 'deploy'
		FROM (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n
			FROM %[1]s a, %[1]s b, %[1]s c, %[1]s d, %[1]s e) x WHERE n < %[3]d`, digits, time.Now().UnixMicro(), finished))
	execAll(t, db,
		`INSERT INTO unpublished (subject, version) SELECT id, 3 FROM jobs WHERE num >= 1000000`,
		`INSERT INTO outbox (events) SELECT CONCAT('[{"stored":true,"subjects":["', id, '"],"versions":[3]}]') FROM jobs WHERE num >= 1000000`,
		"INSERT INTO untold (account, `key`, subject, version) SELECT 'work-slack', 'C1', id, 3 FROM jobs WHERE num >= 1000000")

	looked := func() (n int64) {
		t.Helper()
		rows, err := db.QueryContext(ctx, `SHOW GLOBAL STATUS LIKE 'Handler_read%'`)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var value int64
			if err := rows.Scan(&name, &value); err != nil {
				t.Fatal(err)
			}
			n += value
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// The question costs rows itself, with MySQL hundreds.
	question := looked()
	question = looked() - question
	conversationOne := events.Conversation{Account: "work-slack", Key: "C1"}
	leave := func(job.View) (*job.Change, error) { return nil, nil }
	update := func(sel job.Selection) func(context.Context) error {
		return func(ctx context.Context) error { _, err := s.Update(ctx, sel, leave); return err }
	}
	list := func(f job.Filter) func(context.Context) error {
		f.Space, f.Limit = "default", 10
		return func(ctx context.Context) error { _, err := s.Jobs(ctx, f); return err }
	}
	asked := map[string]func(context.Context) error{
		"claimable":      update(job.Claimable("default", "web-1", 10)),
		"due":            update(job.Due(10)),
		"of silent":      update(job.OfSilentAgents(time.Microsecond, 10)),
		"queuing of one": update(job.QueuingOf("default", "web-1", 10)),
		"cancels":        func(ctx context.Context) error { _, err := s.Cancels(ctx, "default", "web-1"); return err },
		"counts":         func(ctx context.Context) error { _, err := s.Counts(ctx); return err },
		"stirred":        func(ctx context.Context) error { _, err := s.Stirred(ctx, 10); return err },
		"marks":          func(ctx context.Context) error { _, err := s.Marks(ctx, ids); return err },
		"unpublished":    func(ctx context.Context) error { _, err := s.Unpublished(ctx, 10); return err },
		"open":           func(ctx context.Context) error { _, err := s.OpenConversations(ctx, nil, 10); return err },
		"events of one":  func(ctx context.Context) error { _, err := s.Open(ctx, conversationOne, 10); return err },
		"open in one":    func(ctx context.Context) error { _, err := s.OpenConversations(ctx, []int{1}, 10); return err },
		"shown":          func(ctx context.Context) error { _, err := s.Shown(ctx, nil, 10); return err },
		"nothing to prune": func(ctx context.Context) error {
			_, err := s.Prune(ctx, time.Now().Add(-time.Hour), 10)
			return err
		},
		"newest":              list(job.Filter{}),
		"newest before one":   list(job.Filter{Before: 1_000_100}),
		"newest of an agent":  list(job.Filter{Agent: "web-1"}),
		"newest of agents":    list(job.Filter{Agents: []string{"web-1", "web-2"}}),
		"newest failed":       list(job.Filter{Status: job.Failed}),
		"newest queuing":      list(job.Filter{Status: job.Queuing}),
		"failed of an agent":  list(job.Filter{Agent: "web-3", Status: job.Failed}),
		"newest of a person":  list(job.Filter{Sender: "work-slack:ada"}),
		"newest of a token":   list(job.Filter{Sender: "token:ada"}),
		"newest of a nobody":  list(job.Filter{Sender: "work-slack:eve"}),
		"newest of no agent":  list(job.Filter{Agent: "web-9"}),
		"newest of no status": list(job.Filter{Status: job.Sent}),
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			execAll(t, db, `ANALYZE TABLE jobs, events, conversations, unpublished, outbox, untold`)
		}
		for name, ask := range asked {
			before := looked()
			if err := ask(ctx); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n := looked() - before - question; n > most {
				t.Errorf("%s (statistics up to date: %v): the server looked at %d rows, want at most %d", name, analyzed, n, most)
			} else {
				t.Logf("%s: %d", name, n)
			}
		}
	}
	jobs, err := s.Jobs(ctx, job.Filter{Space: "default", Limit: 1})
	if err != nil || len(jobs) != 1 || jobs[0].Num != 1_000_000+finished-1 {
		t.Fatalf("the jobs that are done are not there: %v, %v", jobs, err)
	}
}
