package sqlite

import (
	"context"

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
	o := &appendOp{key: jobKey{space, id}, chunk: chunk, limit: limit, decide: decide}
	if err := s.write.Do(ctx, o); err != nil {
		return job.Updated{}, err
	}
	return o.updated, nil
}

var (
	outputQuery = newQuery(`SELECT ` + row.OutputColumns + ` FROM outputs WHERE job = ?`)

	putOutputQuery = newQuery(`INSERT INTO outputs (job, ` + row.OutputColumns + `)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq, head_seq = excluded.head_seq,
			head_bytes = excluded.head_bytes, tail_bytes = excluded.tail_bytes, dropped_bytes = excluded.dropped_bytes`)

	insertChunkQuery = newQuery(`INSERT INTO output_chunks (job, seq, at, text) VALUES (?, ?, ?, ?)`)

	dropChunkQuery = newQuery(`DELETE FROM output_chunks WHERE job = ?1
		AND seq = (SELECT min(seq) FROM output_chunks WHERE job = ?1 AND seq > ?2) RETURNING octet_length(text)`)

	chunksQuery = newQuery(`SELECT c.seq, c.text, c.at FROM output_chunks c
		WHERE c.job = ? AND c.seq > ? ORDER BY c.seq LIMIT ?`)

	jobNumQuery = newQuery(`SELECT num FROM jobs INDEXED BY jobs_id WHERE id = ? AND space = ?`)
)

func (o *appendOp) Apply(t *tx) error {
	j := t.loaded[o.key]
	if j == nil {
		o.updated = job.Updated{Err: job.ErrNotFound}
		return nil
	}
	var st row.Output
	if _, err := t.row(outputQuery, []any{j.Num}, st.Dest()...); err != nil {
		return err
	}
	// First whether the job takes output at all, and then whether it is this.
	u, err := t.decide(j, false, func(v job.View) (*job.Change, error) {
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
	return t.appendChunk(j.Num, &st, o.chunk, int64(o.limit))
}

// appendChunk adds a chunk and drops from the middle what is over the limit.
func (t *tx) appendChunk(num int64, st *row.Output, chunk job.OutputChunk, limit int64) error {
	text, excess := st.Add(chunk, limit)
	for excess > 0 {
		var dropped int64
		found, err := t.row(dropChunkQuery, []any{num, st.Head}, &dropped)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		st.Gone(dropped)
		excess -= dropped
	}
	if text != "" {
		if _, err := t.exec(insertChunkQuery, num, chunk.Seq, row.Micros(chunk.At), text); err != nil {
			return err
		}
	}
	_, err := t.exec(putOutputQuery, append([]any{num}, st.Args()...)...)
	return err
}

// Output implements job.Store.
func (s *Store) Output(ctx context.Context, space, id string, after int64, max int) ([]job.OutputChunk, error) {
	var num int64
	if found, err := s.read.row(ctx, jobNumQuery, []any{id, space}, &num); err != nil {
		return nil, err
	} else if !found {
		return nil, job.ErrNotFound
	}
	rows, err := s.read.query(ctx, chunksQuery, num, after, int64(max))
	if err != nil {
		return nil, err
	}
	chunks, err := row.Chunks(rows)
	return chunks, s.read.explain(err)
}

// asker is where streamed output is read from: the readers, or the writer
// within its transaction.
type asker interface {
	query(ctx context.Context, q *query, args ...any) (row.Cursor, error)
	row(ctx context.Context, q *query, args []any, dest ...any) (bool, error)
}

// inTx is the writer's transaction as an asker.
type inTx struct{ t *tx }

func (i inTx) query(_ context.Context, q *query, args ...any) (row.Cursor, error) {
	return i.t.query(q, args...)
}

func (i inTx) row(_ context.Context, q *query, args []any, dest ...any) (bool, error) {
	return i.t.row(q, args, dest...)
}

// fillStreamed gives a job its streamed output, if it has any.
func (t *tx) fillStreamed(j *job.Job) (err error) {
	if j.Result != nil && j.Result.Streamed {
		j.Result, err = streamedResult(t.w.conn.ctx, inTx{t}, j)
	}
	return err
}

// streamedResult returns a copy of the job's result with what was streamed.
func streamedResult(ctx context.Context, from asker, j *job.Job) (*job.Result, error) {
	var st row.Output
	if found, err := from.row(ctx, outputQuery, []any{j.Num}, st.Dest()...); err != nil || !found {
		return row.Streamed(j.Result, &st, nil), err
	}
	rows, err := from.query(ctx, chunksQuery, j.Num, int64(0), int64(-1))
	if err != nil {
		return nil, err
	}
	chunks, err := row.Chunks(rows)
	if err != nil {
		return nil, err
	}
	return row.Streamed(j.Result, &st, chunks), nil
}
