package row

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/job"
)

// OutputColumns are the columns of outputs in the order of Output.Dest.
const OutputColumns = `last_seq, head_seq, head_bytes, tail_bytes, dropped_bytes`

// Output is a row of outputs: what is known of a job's live output as a whole.
type Output struct {
	Last, Head                    int64 // sequence numbers
	HeadBytes, TailBytes, Dropped int64
}

// Dest returns where to scan a row to.
func (o *Output) Dest() []any {
	return []any{&o.Last, &o.Head, &o.HeadBytes, &o.TailBytes, &o.Dropped}
}

// Args returns the values of OutputColumns.
func (o *Output) Args() []any {
	return []any{o.Last, o.Head, o.HeadBytes, o.TailBytes, o.Dropped}
}

// Add counts the next chunk and returns what of its text is to be stored, and
// how many bytes must go from the oldest chunks after Head: a quarter of the
// limit is for the head, the rest for the tail. Call Gone for each chunk that
// was dropped for it.
func (o *Output) Add(chunk job.OutputChunk, limit int64) (text string, excess int64) {
	text = chunk.Text
	size := int64(len(text))
	switch {
	case size == 0:
	case o.Head == chunk.Seq-1 && o.HeadBytes+size <= limit/4:
		o.HeadBytes += size
	default:
		if room := limit - o.HeadBytes; size > room {
			// One chunk that is larger than all the room: its own tail.
			text = tailOf(text, room)
			o.Dropped += size - int64(len(text))
			size = int64(len(text))
		}
		o.TailBytes += size
	}
	if o.Head == chunk.Seq-1 && o.TailBytes == 0 && o.Dropped == 0 {
		o.Head = chunk.Seq
	}
	o.Last = chunk.Seq
	return text, o.HeadBytes + o.TailBytes - limit
}

// Gone counts bytes of the tail that were dropped.
func (o *Output) Gone(bytes int64) {
	o.TailBytes -= bytes
	o.Dropped += bytes
}

// tailOf returns the last bytes of text, up to size, from a rune's border on.
func tailOf(text string, size int64) string {
	at := len(text) - int(max(size, 0))
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return text[at:]
}

// Chunks reads and closes rows of the columns seq, text and at.
func Chunks(from Cursor) (chunks []job.OutputChunk, err error) {
	var c job.OutputChunk
	var at int64
	err = Each(from, []any{&c.Seq, &c.Text, &at}, func() {
		c.At = Time(at)
		chunks = append(chunks, c)
	})
	return chunks, err
}

// Streamed returns a copy of the result with what was streamed for it.
func Streamed(r *job.Result, o *Output, chunks []job.OutputChunk) *job.Result {
	result := *r
	var b strings.Builder
	noted := o.Dropped == 0
	for _, c := range chunks {
		if !noted && c.Seq > o.Head {
			noted = true
			if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "… %s bytes left out …\n", grouped(o.Dropped))
		}
		b.WriteString(c.Text)
	}
	result.Output = b.String()
	result.Truncated = result.Truncated || o.Dropped > 0
	return &result
}

// grouped writes a number as people read it: 12,345.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
