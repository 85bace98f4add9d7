package jobtest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

func (s *suite) append(j job.Job, seq int64, text string, limit int) job.Updated {
	s.Helper()
	u, err := s.Store.AppendOutput(s.ctx, j.Space, j.ID, job.OutputChunk{Seq: seq, Text: text, At: s.now()}, limit, leave)
	s.must(err)
	return u
}

func (s *suite) output(j job.Job, after int64, max int) []job.OutputChunk {
	s.Helper()
	chunks, err := s.Store.Output(s.ctx, j.Space, j.ID, after, max)
	s.must(err)
	return chunks
}

func seqs(chunks []job.OutputChunk) []int64 {
	all := []int64{}
	for _, c := range chunks {
		all = append(all, c.Seq)
	}
	return all
}

func (s *suite) sentJob() job.Job {
	s.Helper()
	s.addAgent(space, "web-1")
	return s.move(s.create(draft(space, "web-1", nil)), job.Sent, nil)
}

const roomy = 1 << 20

var outputTests = map[string]func(*suite){
	"in order, twice and with a gap": func(s *suite) {
		j := s.sentJob()
		s.must(s.append(j, 1, "one\n", roomy).Err)
		s.Advance(1234 * time.Microsecond)
		s.must(s.append(j, 2, "two\n", roomy).Err)
		s.must(s.append(j, 1, "not one\n", roomy).Err)
		s.must(s.append(j, 2, "not two\n", roomy).Err)
		var gap *job.GapError
		if u := s.append(j, 4, "four\n", roomy); !errors.As(u.Err, &gap) || gap.Expected != 3 || !errors.Is(u.Err, job.ErrConflict) {
			s.Fatalf("a gap is answered with %v", u.Err)
		}
		s.must(s.append(j, 3, "", roomy).Err)
		s.must(s.append(j, 4, "four", roomy).Err)
		chunks := s.output(j, 0, 100)
		equal(s, chunks[:2], []job.OutputChunk{
			{Seq: 1, Text: "one\n", At: s.now().Add(-1234 * time.Microsecond)}, {Seq: 2, Text: "two\n", At: s.now()},
		})
		last := chunks[len(chunks)-1]
		equal(s, last, job.OutputChunk{Seq: 4, Text: "four", At: s.now()})
		equal(s, seqs(s.output(j, 1, 1)), []int64{2})
		equal(s, seqs(s.output(j, 4, 10)), []int64{})
		for _, seq := range []int64{0, -1} {
			var invalid *job.InvalidError
			if u := s.append(j, seq, "x", roomy); !errors.As(u.Err, &invalid) {
				s.Fatalf("sequence number %d is answered with %v", seq, u.Err)
			}
		}
	},
	"decide goes first": func(s *suite) {
		j := s.sentJob()
		u, err := s.Store.AppendOutput(s.ctx, space, j.ID, job.OutputChunk{Seq: 7, Text: "x"}, roomy,
			func(job.View) (*job.Change, error) { return nil, job.ErrLease })
		s.must(err)
		if !errors.Is(u.Err, job.ErrLease) {
			s.Fatalf("answered %v", u.Err)
		}
		equal(s, u.Job, j)
		extend := func(v job.View) (*job.Change, error) {
			after := v.Job
			after.Version++
			after.LastWordAt, after.DueAt = v.Now, v.Now.Add(time.Hour)
			return &job.Change{Job: after}, nil
		}
		s.Advance(time.Minute)
		// A gap changes nothing either.
		u, err = s.Store.AppendOutput(s.ctx, space, j.ID, job.OutputChunk{Seq: 2, Text: "x"}, roomy, extend)
		s.must(err)
		if u.Err == nil || u.Changed {
			s.Fatalf("a gap is answered with %+v", u)
		}
		u, err = s.Store.AppendOutput(s.ctx, space, j.ID, job.OutputChunk{Seq: 1, Text: "x"}, roomy, extend)
		s.must(err)
		if u.Err != nil || !u.Changed || !u.Job.LastWordAt.Equal(s.now()) {
			s.Fatalf("answered %+v", u)
		}
		equal(s, s.job(space, j.ID), u.Job)
		u, err = s.Store.AppendOutput(s.ctx, space, newID(), job.OutputChunk{Seq: 1, Text: "x"}, roomy, leave)
		s.must(err)
		if !errors.Is(u.Err, job.ErrNotFound) {
			s.Fatalf("a job that is not there: %v", u.Err)
		}
		if _, err := s.Store.Output(s.ctx, space, newID(), 0, 10); !errors.Is(err, job.ErrNotFound) {
			s.Fatalf("output of a job that is not there: %v", err)
		}
	},
	"a streamed result": func(s *suite) {
		j := s.sentJob()
		s.must(s.append(j, 1, "Grüße, ", roomy).Err)
		s.must(s.append(j, 2, "Ada\n", roomy).Err)
		report := func(v job.View) (*job.Change, error) {
			if v.Job.Status.Final() {
				return nil, nil
			}
			return to(job.Succeeded, func(j *job.Job) {
				j.Result = &job.Result{Streamed: true, Digest: "d", ExitCode: pointer(0)}
			})(v)
		}
		want := job.Result{Output: "Grüße, Ada\n", Streamed: true, Digest: "d", ExitCode: pointer(0)}
		for range 2 { // also when it is reported again
			us, err := s.Store.Update(s.ctx, job.ByID(space, j.ID), report)
			s.must(err)
			equal(s, *us[0].Job.Result, want)
		}
		equal(s, *s.job(space, j.ID).Result, want)
		// A late change does not lose it.
		s.move(s.job(space, j.ID), job.Succeeded, func(j *job.Job) { j.Late = []job.LateReport{{Status: job.Failed}} })
		equal(s, *s.job(space, j.ID).Result, want)
	},
	"a streamed result of nothing": func(s *suite) {
		j := s.sentJob()
		done := s.move(j, job.Succeeded, func(j *job.Job) { j.Result = &job.Result{Streamed: true, Digest: "d"} })
		equal(s, *s.job(space, done.ID).Result, job.Result{Streamed: true, Digest: "d"})
	},
	"head and tail are kept": func(s *suite) {
		j := s.sentJob()
		const limit, n = 1000, 200
		var whole strings.Builder
		for i := int64(1); i <= n; i++ {
			line := fmt.Sprintf("line %03d: 0123456789\n", i) // 21 bytes
			whole.WriteString(line)
			s.must(s.append(j, i, line, limit).Err)
		}
		chunks := s.output(j, 0, 1000)
		kept, jumps := 0, 0
		for i, c := range chunks {
			kept += len(c.Text)
			if i > 0 && c.Seq != chunks[i-1].Seq+1 {
				jumps++
			}
		}
		head := 0
		for head < len(chunks) && chunks[head].Seq == int64(head+1) {
			head++
		}
		if kept > limit || kept < limit-2*21 || jumps != 1 || head*21 > limit/4 || head < 2 || chunks[len(chunks)-1].Seq != n {
			s.Fatalf("%d bytes are kept in %d chunks, %d at the head, with %d jumps", kept, len(chunks), head, jumps)
		}
		// The next number is still the next one.
		var gap *job.GapError
		if u := s.append(j, n+2, "x", limit); !errors.As(u.Err, &gap) || gap.Expected != n+1 {
			s.Fatalf("a gap is answered with %v", u.Err)
		}
		s.move(j, job.Failed, func(j *job.Job) { j.Result = &job.Result{Streamed: true} })
		r := s.job(space, j.ID).Result
		note := fmt.Sprintf("… %s bytes left out …\n", "3,213")
		if n*21-kept != 3213 {
			s.Fatalf("%d bytes are left out, the test reckons with 3,213", n*21-kept)
		}
		if !r.Truncated || !strings.Contains(r.Output, note) || !strings.HasPrefix(r.Output, whole.String()[:head*21]) ||
			!strings.HasSuffix(whole.String(), r.Output[strings.Index(r.Output, note)+len(note):]) {
			s.Fatalf("the result is %+v", r)
		}
	},
	"a chunk larger than the room": func(s *suite) {
		j := s.sentJob()
		s.must(s.append(j, 1, "head\n", 100).Err)
		s.must(s.append(j, 2, strings.Repeat("é", 500)+"tail", 100).Err)
		s.must(s.append(j, 3, ".", 100).Err)
		s.move(j, job.Failed, func(j *job.Job) { j.Result = &job.Result{Streamed: true} })
		r := s.job(space, j.ID).Result
		if !r.Truncated || len(r.Output) > 160 || !strings.HasPrefix(r.Output, "head\n… ") || !strings.HasSuffix(r.Output, ".") ||
			strings.ContainsRune(r.Output, '\uFFFD') {
			s.Fatalf("the result is %+v", r)
		}
	},
}
