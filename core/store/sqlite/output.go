package sqlite

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/job"
)

// appendOp is one call of AppendOutput.
type appendOp struct {
	key     jobKey
	chunk   job.OutputChunk
	limit   int
	decide  job.Decide
	updated job.Updated
}

func (o *appendOp) weight() int { return 4 }

func (o *appendOp) needs() []jobKey { return []jobKey{o.key} }

// AppendOutput implements job.Store. What is wrong with the job or the chunk
// is in Updated.Err.
func (s *Store) AppendOutput(ctx context.Context, space, id string, chunk job.OutputChunk, limit int, decide job.Decide) (job.Updated, error) {
	if chunk.Seq < 1 {
		return job.Updated{Err: &job.InvalidError{Field: "seq", Detail: "must be 1 or more"}}, nil
	}
	o := &appendOp{key: jobKey{space, id}, chunk: chunk, limit: limit, decide: decide}
	if err := s.write.do(ctx, o); err != nil {
		return job.Updated{}, err
	}
	return o.updated, nil
}

var (
	outputQuery = newQuery(`SELECT last_seq, head_seq, head_bytes, tail_bytes, dropped_bytes FROM outputs WHERE job = ?`)

	putOutputQuery = newQuery(`INSERT INTO outputs (job, last_seq, head_seq, head_bytes, tail_bytes, dropped_bytes)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq, head_seq = excluded.head_seq,
			head_bytes = excluded.head_bytes, tail_bytes = excluded.tail_bytes, dropped_bytes = excluded.dropped_bytes`)

	insertChunkQuery = newQuery(`INSERT INTO output_chunks (job, seq, at, text) VALUES (?, ?, ?, ?)`)

	dropChunkQuery = newQuery(`DELETE FROM output_chunks WHERE job = ?1
		AND seq = (SELECT min(seq) FROM output_chunks WHERE job = ?1 AND seq > ?2) RETURNING octet_length(text)`)

	chunksQuery = newQuery(`SELECT c.seq, c.text, c.at FROM output_chunks c
		WHERE c.job = ? AND c.seq > ? ORDER BY c.seq LIMIT ?`)

	jobNumQuery = newQuery(`SELECT num FROM jobs INDEXED BY jobs_id WHERE id = ? AND space = ?`)
)

// outputState is a row of outputs.
type outputState struct {
	last, head                 int64 // sequence numbers
	headBytes, tailBytes, gone int64
}

func (o *outputState) dest() []any {
	return []any{&o.last, &o.head, &o.headBytes, &o.tailBytes, &o.gone}
}

func (o *appendOp) apply(t *tx) error {
	j := t.loaded[o.key]
	if j == nil {
		o.updated = job.Updated{Err: job.ErrNotFound}
		return nil
	}
	var st outputState
	if _, err := t.row(outputQuery, []any{j.Num}, st.dest()...); err != nil {
		return err
	}
	// First whether the job takes output at all, and then whether it is this.
	u, err := t.decide(j, false, func(v job.View) (*job.Change, error) {
		change, err := o.decide(v)
		if err == nil && o.chunk.Seq > st.last+1 {
			return nil, &job.GapError{Expected: st.last + 1}
		}
		return change, err
	})
	o.updated = u
	if err != nil || u.Err != nil {
		return err
	}
	if o.chunk.Seq <= st.last {
		return nil // it is there already
	}
	return t.appendChunk(j.Num, &st, o.chunk, int64(o.limit))
}

// appendChunk adds a chunk and drops from the middle what is over the limit:
// a quarter is for the head, the rest for the tail.
func (t *tx) appendChunk(num int64, st *outputState, chunk job.OutputChunk, limit int64) error {
	st.last = chunk.Seq
	size := int64(len(chunk.Text))
	switch {
	case size == 0:
	case st.head == chunk.Seq-1 && st.headBytes+size <= limit/4:
		st.headBytes += size
	default:
		if room := limit - st.headBytes; size > room {
			// One chunk that is larger than all the room: its own tail.
			chunk.Text = tailOf(chunk.Text, room)
			st.gone += size - int64(len(chunk.Text))
			size = int64(len(chunk.Text))
		}
		st.tailBytes += size
		for st.headBytes+st.tailBytes > limit {
			var dropped int64
			found, err := t.row(dropChunkQuery, []any{num, st.head}, &dropped)
			if err != nil {
				return err
			}
			if !found {
				break
			}
			st.tailBytes -= dropped
			st.gone += dropped
		}
	}
	if st.head == chunk.Seq-1 && st.tailBytes == 0 && st.gone == 0 {
		st.head = chunk.Seq
	}
	if chunk.Text != "" {
		if _, err := t.exec(insertChunkQuery, num, chunk.Seq, micros(chunk.At), chunk.Text); err != nil {
			return err
		}
	}
	_, err := t.exec(putOutputQuery, num, st.last, st.head, st.headBytes, st.tailBytes, st.gone)
	return err
}

// tailOf returns the last bytes of text, up to size, from a rune's border on.
func tailOf(text string, size int64) string {
	at := len(text) - int(max(size, 0))
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return text[at:]
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
	chunks, err := readChunks(rows)
	return chunks, s.read.explain(err)
}

func readChunks(from rows) (chunks []job.OutputChunk, err error) {
	var c job.OutputChunk
	var at int64
	err = eachRow(from, []any{&c.Seq, &c.Text, &at}, func() {
		c.At = timeOf(at)
		chunks = append(chunks, c)
	})
	return chunks, err
}

// asker is where streamed output is read from: the readers, or the writer
// within its transaction.
type asker interface {
	query(ctx context.Context, q *query, args ...any) (rows, error)
	row(ctx context.Context, q *query, args []any, dest ...any) (bool, error)
}

// inTx is the writer's transaction as an asker.
type inTx struct{ t *tx }

func (i inTx) query(_ context.Context, q *query, args ...any) (rows, error) {
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
	result := *j.Result
	result.Output = ""
	var st outputState
	if found, err := from.row(ctx, outputQuery, []any{j.Num}, st.dest()...); err != nil || !found {
		return &result, err
	}
	rows, err := from.query(ctx, chunksQuery, j.Num, int64(0), int64(-1))
	if err != nil {
		return nil, err
	}
	chunks, err := readChunks(rows)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	noted := st.gone == 0
	for _, c := range chunks {
		if !noted && c.Seq > st.head {
			noted = true
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "… %s bytes left out …\n", grouped(st.gone))
		}
		b.WriteString(c.Text)
	}
	result.Output = b.String()
	result.Truncated = result.Truncated || st.gone > 0
	return &result, nil
}

// grouped writes a number as people read it: 12,345.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
