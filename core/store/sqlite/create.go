package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// createOp is one call of Create.
type createOp struct {
	entries []job.Entry
	drafts  int64
	created []job.Created
}

func (o *createOp) Weight() int { return 1 + len(o.entries) }

// Apply is never called: tx.create does the work of all of them together.
func (o *createOp) Apply(*tx) error { return errors.ErrUnsupported }

// Create implements job.Store.
func (s *Store) Create(ctx context.Context, entries []job.Entry) ([]job.Created, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	o := &createOp{entries: slices.Clone(entries)} // the caller may leave before it is done
	for _, e := range entries {
		if e.Draft != nil {
			o.drafts++
		}
	}
	if err := s.write.Do(ctx, o); err != nil {
		return nil, err
	}
	return o.created, nil
}

// Entered implements job.Store.
func (s *Store) Entered(ctx context.Context, d job.Dedupe) (bool, error) {
	var num int64
	var digest string
	return s.read.row(ctx, dedupeQuery, []any{d.Space, d.Scope, d.Key}, &num, &digest)
}

var (
	dedupeQuery = newQuery(`SELECT job, digest FROM dedupe WHERE space = ? AND scope = ? AND key = ?`)

	enterQuery = newQuery(`INSERT INTO dedupe (space, scope, key, digest, job, created_at)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`)

	jobsByNumQuery = newQuery(`SELECT ` + row.JobColumns + ` FROM jobs j
		WHERE j.num IN (SELECT value FROM json_each(?))`)
)

// creation is the work of all Create calls of a transaction.
type creation struct {
	t    *tx
	now  time.Time
	jobs []*job.Job
	// repeated are the answers that need a job which was made before.
	repeated map[int64][]*job.Created
}

func (t *tx) create(members []*member) error {
	if len(members) == 0 {
		return nil
	}
	c := &creation{t: t, now: t.w.store.now()}
	for _, m := range members {
		o := m.Op.(*createOp)
		o.created = make([]job.Created, len(o.entries))
		for i := range o.entries {
			if err := c.enter(&o.entries[i], &o.created[i]); err != nil {
				return err
			}
		}
	}
	if err := t.insertJobs(c.jobs); err != nil {
		return err
	}
	return c.answerRepeated()
}

// enter does one entry. What is wrong with it is left in its answer.
func (c *creation) enter(e *job.Entry, answer *job.Created) error {
	made, told, err := c.admit(e)
	if err != nil {
		// It may yet be a repetition of one that went well.
		if e.Dedupe != nil {
			if known, lookErr := c.known(e.Dedupe, answer); known || lookErr != nil {
				return lookErr
			}
		}
		answer.Err = err
		return nil
	}
	if d := e.Dedupe; d != nil {
		n, err := c.t.exec(enterQuery, d.Space, d.Scope, d.Key, d.Digest, made.Num, row.Micros(c.now))
		if err != nil {
			return err
		}
		if n == 0 {
			_, err := c.known(d, answer)
			return err
		}
	}
	if e.Draft != nil {
		row.InMicroseconds(&made)
		c.jobs = append(c.jobs, &made)
		answer.Job = made
		if err := c.t.tell(&made, told); err != nil {
			return err
		}
	}
	return c.t.tell(nil, e.Messages)
}

// admit makes the entry's job, if it is to have one.
func (c *creation) admit(e *job.Entry) (made job.Job, told []job.Event, err error) {
	if e.Draft == nil {
		return made, nil, nil
	}
	d := *e.Draft
	d.Num = c.t.w.state.number()
	if e.Admit == nil {
		return made, nil, &job.InvalidError{Field: "admit", Detail: "is missing: a draft needs it"}
	}
	agent, err := c.t.agent(d.Space, d.Agent)
	if err != nil {
		return made, nil, err
	}
	err = c.t.calm("admit", func() error {
		var err error
		made, told, err = e.Admit(c.now, d, row.CopyAgent(agent))
		return err
	})
	if err != nil {
		return job.Job{}, nil, err
	}
	if err := row.CheckAdmitted(&d, &made); err != nil {
		return job.Job{}, nil, err
	}
	return made, told, nil
}

// known answers an entry whose key was there before, and reports whether it was.
func (c *creation) known(d *job.Dedupe, answer *job.Created) (bool, error) {
	var num int64
	var digest string
	found, err := c.t.row(dedupeQuery, []any{d.Space, d.Scope, d.Key}, &num, &digest)
	if err != nil || !found {
		return false, err
	}
	if d.Digest != "" && d.Digest != digest {
		answer.Err = job.ErrKeyReused
		return true, nil
	}
	answer.Duplicate = true
	if num > 0 {
		if c.repeated == nil {
			c.repeated = map[int64][]*job.Created{}
		}
		c.repeated[num] = append(c.repeated[num], answer)
	}
	return true, nil
}

// answerRepeated fills in the jobs of repetitions. One that was removed since
// stays zero.
func (c *creation) answerRepeated() error {
	if len(c.repeated) == 0 {
		return nil
	}
	nums := make([]int64, 0, len(c.repeated))
	for num := range c.repeated {
		nums = append(nums, num)
	}
	rows, err := c.t.query(jobsByNumQuery, jsonList(nums))
	if err != nil {
		return err
	}
	jobs, err := row.Jobs(rows, len(nums))
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if err := c.t.fillStreamed(&j); err != nil {
			return err
		}
		for _, answer := range c.repeated[j.Num] {
			answer.Job = j
		}
	}
	return nil
}

// insertColumns are what a new job can have; a job that has more is updated
// after it was inserted.
const insertColumns = `num, id, space, agent, status, reason, approval, version, created_at, finished_at, due_at,
	sender_account, sender_workspace, sender_user, sender_name, callback_url, conversation, message`

var insertJobQueries = newChunks(`INSERT INTO jobs (`+insertColumns+`) VALUES `, 18)

func (t *tx) insertJobs(jobs []*job.Job) error {
	args := t.args[:0]
	for _, j := range jobs {
		conversation, err := row.ConversationText(j.Conversation)
		if err != nil {
			return err
		}
		args = append(args, j.Num, j.ID, j.Space, j.Agent, string(j.Status), string(j.Reason), string(j.Approval), j.Version,
			row.Micros(j.CreatedAt), row.Micros(j.FinishedAt), row.Micros(j.DueAt),
			j.Sender.Account, j.Sender.Workspace, j.Sender.User, j.Sender.Name, j.CallbackURL, conversation, j.Message)
	}
	t.args = args
	if err := insertJobQueries.exec(t, args); err != nil {
		return err
	}
	for _, j := range jobs {
		if isBeyondInsert(j) {
			if err := t.updates.add(t, j, j, updateFinish); err != nil {
				return err
			}
		}
		t.w.state.know(j)
	}
	return t.updates.flush(t)
}

// isBeyondInsert reports whether a new job has what insertColumns lack.
func isBeyondInsert(j *job.Job) bool {
	return j.Lease != "" || j.Attempt != 0 || !j.OfferedUntil.IsZero() || !j.SentAt.IsZero() || !j.LastWordAt.IsZero() ||
		!j.CancelRequestedAt.IsZero() || j.Result != nil || len(j.Late) > 0
}
