package mysql

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// createOp is one call of Create.
type createOp struct {
	entries []job.Entry
	drafts  int64
	created []job.Created
}

func (o *createOp) Weight() int { return 1 + 3*len(o.entries) }

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
	if err := s.queue.Do(ctx, o); err != nil {
		return nil, err
	}
	return o.created, nil
}

// Entered implements job.Store.
func (s *Store) Entered(ctx context.Context, d job.Dedupe) (bool, error) {
	var one int64
	return s.row(ctx, `SELECT 1 FROM dedupe WHERE space = ? AND scope = ? AND `+"`key`"+` = ?`,
		[]any{d.Space, d.Scope, keyText(d.Key)}, &one)
}

// dedupeRow is a row of dedupe, there or to be inserted.
type dedupeRow struct {
	dedupeKey
	digest string
	job    int64
}

type dedupeKey struct{ space, scope, key string }

func keyOf(d *job.Dedupe) dedupeKey { return dedupeKey{d.Space, d.Scope, keyText(d.Key)} }

// readDedupe reads which of the keys are there already.
func (t *tx) readDedupe(keys map[dedupeKey]struct{}) error {
	t.known = make(map[dedupeKey]*dedupeRow, len(keys))
	if len(keys) == 0 {
		return nil
	}
	args := make([]any, 0, 3*len(keys))
	for k := range keys {
		args = append(args, k.space, k.scope, k.key)
	}
	// Each by the primary key, which a list of rows after IN would not be in
	// MariaDB.
	const one = "(space = ? AND scope = ? AND `key` = ?)"
	from, err := t.query("SELECT space, scope, `key`, digest, job FROM dedupe WHERE "+one+strings.Repeat(" OR "+one, len(keys)-1), args...)
	if err != nil {
		return err
	}
	var r dedupeRow
	return row.Each(from, []any{&r.space, &r.scope, &r.key, &r.digest, &r.job}, func() {
		found := r
		t.known[r.dedupeKey] = &found
	})
}

// creation is the work of all Create calls of a transaction.
type creation struct {
	t *tx
	// repeated are the answers that need a job which was made before.
	repeated map[int64][]*job.Created
}

func (t *tx) create(members []*member) error {
	if len(members) == 0 {
		return nil
	}
	c := &creation{t: t}
	for _, m := range members {
		o := m.Op.(*createOp) //nolint:errcheck // apply has looked
		o.created = make([]job.Created, len(o.entries))
		for i := range o.entries {
			if err := c.enter(&o.entries[i], &o.created[i]); err != nil {
				return err
			}
		}
	}
	return c.answerRepeated()
}

// enter does one entry. What is wrong with it is left in its answer.
func (c *creation) enter(e *job.Entry, answer *job.Created) error {
	if e.Dedupe != nil {
		if r := c.t.known[keyOf(e.Dedupe)]; r != nil {
			c.repeat(e.Dedupe, r, answer)
			return nil
		}
	}
	made, told, err := c.admit(e)
	if err != nil {
		answer.Err = err
		return nil
	}
	if d := e.Dedupe; d != nil {
		r := &dedupeRow{dedupeKey: keyOf(d), digest: d.Digest, job: made.Num}
		c.t.known[r.dedupeKey] = r
		c.t.entered = append(c.t.entered, r)
	}
	if e.Draft != nil {
		row.InMicroseconds(&made)
		c.t.made = append(c.t.made, &made)
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
	d.Num = c.t.number
	c.t.number++
	if e.Admit == nil {
		return made, nil, &job.InvalidError{Field: "admit", Detail: "is missing: a draft needs it"}
	}
	agent := c.t.agents[agentKey{d.Space, d.Agent}]
	err = c.t.calm("admit", func() error {
		var err error
		made, told, err = e.Admit(c.t.now, d, row.CopyAgent(agent))
		return err
	})
	if err == nil {
		err = row.CheckAdmitted(&d, &made)
	}
	if err != nil {
		return job.Job{}, nil, err
	}
	return made, told, nil
}

// repeat answers an entry whose key was there before.
func (c *creation) repeat(d *job.Dedupe, r *dedupeRow, answer *job.Created) {
	if d.Digest != "" && d.Digest != r.digest {
		answer.Err = job.ErrKeyReused
		return
	}
	answer.Duplicate = true
	if r.job > 0 {
		if c.repeated == nil {
			c.repeated = map[int64][]*job.Created{}
		}
		c.repeated[r.job] = append(c.repeated[r.job], answer)
	}
}

// answerRepeated fills in the jobs of repetitions. One that was removed since
// stays zero.
func (c *creation) answerRepeated() error {
	give := func(j *job.Job) {
		for _, answer := range c.repeated[j.Num] {
			answer.Job = *j
		}
		delete(c.repeated, j.Num)
	}
	for _, j := range c.t.made {
		give(j)
	}
	if len(c.repeated) == 0 {
		return nil
	}
	nums := make([]int64, 0, len(c.repeated))
	for num := range c.repeated {
		nums = append(nums, num)
	}
	from, err := c.t.query(`SELECT `+row.JobColumns+` FROM jobs j WHERE j.num IN `+in(len(nums)), anys(nums)...)
	if err != nil {
		return err
	}
	jobs, err := row.Jobs(from, len(nums))
	if err != nil {
		return err
	}
	for i := range jobs {
		if err := c.t.fillStreamed(&jobs[i]); err != nil {
			return err
		}
		give(&jobs[i])
	}
	return nil
}

// insertDedupe inserts the keys of what was created. One that another
// transaction has entered since it was looked for makes the whole be done
// again, and then it is found.
func (t *tx) insertDedupe() error {
	slices.SortFunc(t.entered, func(a, b *dedupeRow) int {
		return cmp.Or(strings.Compare(a.space, b.space), strings.Compare(a.scope, b.scope), strings.Compare(a.key, b.key))
	})
	args := make([]any, 0, 6*len(t.entered))
	for _, r := range t.entered {
		args = append(args, r.space, r.scope, r.key, r.digest, r.job, row.Micros(t.now))
	}
	err := t.insert("INSERT INTO dedupe (space, scope, `key`, digest, job, created_at) VALUES ", 6, args, "")
	if number(err) == erDuplicate {
		return errors.Join(errAgain, err)
	}
	return err
}

const (
	// insertColumns are what a new job can have; otherColumns what one has
	// besides that does not begin its life here, in the order of reported.
	insertColumns = `num, id, space, agent, status, reason, approval, version, created_at, finished_at, due_at,
		sender_account, sender_workspace, sender_user, sender_name, callback_url, conversation, message, history`
	otherColumns = `lease, attempt, offered_until, sent_at, last_word_at, cancel_requested_at,
		result, exit_code, digest, output, late`

	insertWidth = 19
	otherWidth  = 11
)

func (t *tx) insertJobs() error {
	var plain, whole []any
	for _, j := range t.made {
		conversation, err := row.ConversationText(j.Conversation)
		if err != nil {
			return err
		}
		columns := []any{
			j.Num, j.ID, j.Space, j.Agent, string(j.Status), string(j.Reason), string(j.Approval), j.Version,
			row.Micros(j.CreatedAt), row.Micros(j.FinishedAt), row.Micros(j.DueAt),
			j.Sender.Account, j.Sender.Workspace, j.Sender.User, valid(j.Sender.Name), j.CallbackURL, conversation, valid(j.Message),
			valid(string(t.history[j.Num])),
		}
		if !isBeyondInsert(j) {
			plain = append(plain, columns...)
			continue
		}
		bits, exitCode, digest, output := row.ResultArgs(j.Result)
		late, err := row.LateText(j.Late)
		if err != nil {
			return err
		}
		whole = append(append(whole, columns...), j.Lease, int64(j.Attempt), row.Micros(j.OfferedUntil), row.Micros(j.SentAt),
			row.Micros(j.LastWordAt), row.Micros(j.CancelRequestedAt), bits, exitCode, digest, valid(output), late)
	}
	if err := t.insert(`INSERT INTO jobs (`+insertColumns+`) VALUES `, insertWidth, plain, ""); err != nil {
		return err
	}
	return t.insert(`INSERT INTO jobs (`+insertColumns+`, `+otherColumns+`) VALUES `, insertWidth+otherWidth, whole, "")
}

// isBeyondInsert reports whether a new job has what insertColumns lack.
func isBeyondInsert(j *job.Job) bool {
	return j.Lease != "" || j.Attempt != 0 || !j.OfferedUntil.IsZero() || !j.SentAt.IsZero() || !j.LastWordAt.IsZero() ||
		!j.CancelRequestedAt.IsZero() || j.Result != nil || len(j.Late) > 0
}

// valid is a text as the database takes it. What is not UTF-8 should have been
// refused long before.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
