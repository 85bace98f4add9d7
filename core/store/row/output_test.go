package row

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

func TestGrouped(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 12: "12", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %q, want %q", n, got, want)
		}
	}
}

func TestOutputKeepsHeadAndTail(t *testing.T) {
	t.Parallel()
	const limit = 40
	var o Output
	kept := map[int64]int64{}
	for seq := int64(1); seq <= 30; seq++ {
		text, excess := o.Add(job.OutputChunk{Seq: seq, Text: "12345"}, limit)
		for drop := o.Head + 1; excess > 0; drop++ {
			if kept[drop] > 0 {
				excess -= kept[drop]
				o.Gone(kept[drop])
				delete(kept, drop)
			}
		}
		kept[seq] = int64(len(text))
	}
	if o.Last != 30 || o.Head != 2 || o.HeadBytes != 10 || o.TailBytes != 30 || o.Dropped != 110 || len(kept) != 8 {
		t.Fatalf("%+v with %v", o, kept)
	}
	text, excess := o.Add(job.OutputChunk{Seq: 31, Text: strings.Repeat("é", 30)}, limit)
	if len(text) != 30 || excess != 30 || o.Dropped != 140 {
		t.Fatalf("of one chunk that is larger than the room %d bytes are kept: %+v", len(text), o)
	}
}
