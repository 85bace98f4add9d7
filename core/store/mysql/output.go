package mysql

import (
	"context"
	"slices"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

// appendOp is one call of AppendOutput.
type appendOp struct {
	key     jobKey
	chunk   job.OutputChunk
	limit   int
	decide  job.Decide
	updated job.Updated
}

func (o *appendOp) Weight() int { return 4 }

func (o *appendOp) needs() []jobKey { return []jobKey{o.key} }

// AppendOutput implements job.Store. What is wrong with the job or the chunk
// is in Updated.Err.
func (s *Store) AppendOutput(ctx context.Context, space, id string, chunk job.OutputChunk, limit int, decide job.Decide) (job.Updated, error) {
	if chunk.Seq < 1 {
		return job.Updated{Err: &job.InvalidError{Field: "seq", Detail: "must be 1 or more"}}, nil
	}
	chunk.Text = valid(chunk.Text)
	o := &appendOp{key: jobKey{space, id}, chunk: chunk, limit: limit, decide: decide}
	if err := s.queue.Do(ctx, o); err != nil {
		return job.Updated{}, err
	}
	return o.updated, nil
}

// output is what a transaction knows of a job's live output. The job's lock
// guards it.
type output struct {
	row.Output
	changed bool
}

// readOutputs reads what is known of the output of the jobs that are to get
// more of it.
func (t *tx) readOutputs(named []*member) error {
	t.outputs = map[int64]*output{}
	var nums []int64
	for _, m := range named {
		o, ok := m.Op.(*appendOp)
		if !ok {
			continue
		}
		if h := t.jobs[o.key]; h != nil && t.outputs[h.is.Num] == nil {
			t.outputs[h.is.Num] = &output{}
			nums = append(nums, h.is.Num)
		}
	}
	if len(nums) == 0 {
		return nil
	}
	from, err := t.query(`SELECT job, `+row.OutputColumns+` FROM outputs WHERE job IN `+in(len(nums)), anys(nums)...)
	if err != nil {
		return err
	}
	var num int64
	var o row.Output
	return row.Each(from, append([]any{&num}, o.Dest()...), func() { t.outputs[num].Output = o })
}

func (o *appendOp) Apply(t *tx) error {
	h := t.jobs[o.key]
	if h == nil {
		o.updated = job.Updated{Err: job.ErrNotFound}
		return nil
	}
	st := t.outputs[h.is.Num]
	// First whether the job takes output at all, and then whether it is this.
	u, err := t.decide(h, false, func(v job.View) (*job.Change, error) {
		change, err := o.decide(v)
		if err == nil && o.chunk.Seq > st.Last+1 {
			return nil, &job.GapError{Expected: st.Last + 1}
		}
		return change, err
	})
	o.updated = u
	if err != nil || u.Err != nil {
		return err
	}
	if o.chunk.Seq <= st.Last {
		return nil // it is there already
	}
	return t.appendChunk(h.is.Num, st, o.chunk, int64(o.limit))
}

// appendChunk adds a chunk and drops from the middle what is over the limit.
func (t *tx) appendChunk(num int64, st *output, chunk job.OutputChunk, limit int64) error {
	text, excess := st.Add(chunk, limit)
	st.changed = true
	if excess > 0 {
		if err := t.dropChunks(num, st, excess); err != nil {
			return err
		}
	}
	if text != "" {
		t.chunks = append(t.chunks, num, chunk.Seq, row.Micros(chunk.At), text)
	}
	return nil
}

// dropLook is how many chunks are looked at together to find those to drop.
const dropLook = 64

// dropChunks drops the oldest chunks after the head, of that many bytes or
// just more.
func (t *tx) dropChunks(num int64, st *output, excess int64) error {
	// They may be among those that are not inserted yet.
	if err := t.insertChunks(); err != nil {
		return err
	}
	for excess > 0 {
		from, err := t.query(`SELECT seq, OCTET_LENGTH(text) FROM output_chunks WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?`,
			num, st.Head, int64(dropLook))
		if err != nil {
			return err
		}
		var seq, bytes, last int64
		err = row.Each(from, []any{&seq, &bytes}, func() {
			if excess > 0 {
				excess -= bytes
				last = seq
				st.Gone(bytes)
			}
		})
		if err != nil || last == 0 {
			return err
		}
		if _, err := t.exec(`DELETE FROM output_chunks WHERE job = ? AND seq > ? AND seq <= ?`, num, st.Head, last); err != nil {
			return err
		}
	}
	return nil
}

// writeOutputs writes what was appended.
func (t *tx) writeOutputs() error {
	if err := t.insertChunks(); err != nil {
		return err
	}
	nums := make([]int64, 0, len(t.outputs))
	for num, o := range t.outputs {
		if o.changed {
			nums = append(nums, num)
		}
	}
	slices.Sort(nums)
	args := make([]any, 0, 6*len(nums))
	for _, num := range nums {
		args = append(append(args, num), t.outputs[num].Args()...)
	}
	return t.insert(`REPLACE INTO outputs (job, `+row.OutputColumns+`) VALUES `, 6, args, "")
}

func (t *tx) insertChunks() error {
	args := t.chunks
	t.chunks = nil
	return t.insert(`INSERT INTO output_chunks (job, seq, at, text) VALUES `, 4, args, "")
}

// fillStreamed gives a job its streamed output, if it has any.
func (t *tx) fillStreamed(j *job.Job) error {
	if j.Result == nil || !j.Result.Streamed {
		return nil
	}
	var o row.Output
	found, err := t.row(`SELECT `+row.OutputColumns+` FROM outputs WHERE job = ?`, []any{j.Num}, o.Dest()...)
	if err != nil {
		return err
	}
	var chunks []job.OutputChunk
	if found {
		from, err := t.query(`SELECT seq, text, at FROM output_chunks WHERE job = ? ORDER BY seq`, j.Num)
		if err != nil {
			return err
		}
		if chunks, err = row.Chunks(from); err != nil {
			return err
		}
	}
	j.Result = row.Streamed(j.Result, &o, chunks)
	return nil
}
