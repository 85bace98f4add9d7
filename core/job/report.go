package job

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Report is what an agent says became of a job.
type Report struct {
	ID     string
	Lease  string
	Status Status // Succeeded, Failed or Canceled
	// Reason is a word of the agent's own, such as interrupted.
	Reason Reason
	// Output is nil to let what was streamed stand.
	Output    *string
	Truncated bool
	ExitCode  *int
}

var reasonPattern = regexp.MustCompile(`\A[a-z][a-z0-9_]{0,31}\z`)

// validate says what can never be taken, whatever the job's state.
func (r Report) validate() error {
	switch {
	case r.Lease == "":
		return invalid("lease", "is missing: repeat the lease that came with the job")
	case r.Status != Succeeded && r.Status != Failed && r.Status != Canceled:
		return invalid("status", "%q is none of succeeded, failed and canceled", r.Status)
	case r.Reason != "" && !reasonPattern.MatchString(string(r.Reason)):
		return invalid("reason", "must be one lower-case word of at most 32 characters")
	}
	return nil
}

// digest identifies the report, so that a repetition is known as one. Every
// field is preceded by its length or presence, so no two reports run into
// each other.
func (r Report) digest() string {
	h := sha256.New()
	field := func(present bool, s string) {
		var head [9]byte
		if present {
			head[0] = 1
		}
		binary.BigEndian.PutUint64(head[1:], uint64(len(s)))
		h.Write(head[:])
		h.Write([]byte(s))
	}
	field(true, string(r.Status))
	field(true, string(r.Reason))
	field(r.Truncated, "")
	if r.Output != nil {
		field(true, *r.Output)
	} else {
		field(false, "")
	}
	if r.ExitCode != nil {
		field(true, fmt.Sprint(*r.ExitCode))
	} else {
		field(false, "")
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil)[:18])
}

// report takes an agent's report. The first one of the lease's holder ends a
// sent job; an identical one again is no error; any other is kept as late.
func (r rules) report(agent string, rep Report) Decide {
	digest := rep.digest()
	return func(v View) (*Change, error) {
		j := v.Job
		switch {
		case j.Agent != agent:
			return nil, ErrNotFound
		case j.Lease == "" || j.Lease != rep.Lease:
			return nil, ErrLease
		case j.Status == Queuing:
			return nil, fmt.Errorf("%w: it was offered but never started", ErrConflict)
		case j.Status == Sent:
			return r.finish(v, rep, digest)
		}
		if j.counted(digest) {
			return nil, nil
		}
		return r.late(v, rep, digest)
	}
}

func (r rules) finish(v View, rep Report, digest string) (*Change, error) {
	if rep.Status == Canceled && v.Job.CancelRequestedAt.IsZero() {
		return nil, fmt.Errorf("%w: nobody asked to cancel it", ErrConflict)
	}
	c := &Change{Job: v.Job}
	res := &Result{ExitCode: rep.ExitCode, Truncated: rep.Truncated, Digest: digest, Streamed: rep.Output == nil}
	if rep.Output != nil {
		var cut bool
		res.Output, cut = Cut(*rep.Output, r.limits.OutputBytes)
		res.Truncated = res.Truncated || cut
	}
	c.Job.Result = res
	reason := rep.Reason
	if rep.Status == Canceled {
		reason = ""
	}
	return c, step(c, v.Now, rep.Status, reason, v.Job.Agent)
}

// late keeps a report that can no longer change the job. Whoever called sees
// from the result's digest that it was not this report that counted.
func (r rules) late(v View, rep Report, digest string) (*Change, error) {
	for _, l := range v.Job.Late {
		if l.Digest == digest {
			return nil, nil
		}
	}
	if len(v.Job.Late) >= r.limits.LateReports {
		return nil, nil
	}
	c := &Change{Job: touch(v.Job)}
	entry := LateReport{At: v.Now, Status: rep.Status, ExitCode: rep.ExitCode, Digest: digest}
	if rep.Output != nil {
		entry.Output, _ = Cut(*rep.Output, r.limits.OutputBytes/4)
	}
	c.Job.Late = append(append([]LateReport(nil), v.Job.Late...), entry)
	if len(v.Job.Late) == 0 {
		c.Events = append(c.Events, lateEvent(c.Job, v.Now, rep.Status))
	}
	return c, nil
}

// counted reports whether the report with this digest ended the job.
func (j Job) counted(digest string) bool {
	return j.Result != nil && j.Result.Digest == digest
}

// Cut shortens text to at most limit bytes, keeping its head and its tail and
// saying between them how much is left out. It makes invalid UTF-8 valid and
// reports whether anything was left out.
func Cut(text string, limit int) (short string, cut bool) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= limit {
		return text, false
	}
	const room = 64 // for the note
	keep := max(limit-room, 0)
	head := runeFloor(text, keep/2)
	tail := runeCeil(text, len(text)-(keep-head))
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", text[:head], tail-head, text[tail:]), true
}

// runeFloor returns the last rune border at or before i.
func runeFloor(s string, i int) int {
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// runeCeil returns the first rune border at or after i.
func runeCeil(s string, i int) int {
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return i
}

// leaseOf makes one job's lease of a claim's random seed: one of its own, and the
// same when a repeated transaction decides again. It ends in the job's number, so
// that a store can write those of a claim in one go.
func leaseOf(seed string, num int64) string {
	return seed + "." + strconv.FormatInt(num, 10)
}
