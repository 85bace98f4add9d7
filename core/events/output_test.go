package events

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

func TestRenderOutput(t *testing.T) {
	t.Parallel()
	all := looks()
	running := all["long"]
	running.job.Status, running.job.Result = job.Sent, nil
	cut := all["long"]
	cut.job.Result = &job.Result{Truncated: true}
	silent := all["succeeded"]
	silent.output = "\n"
	never := all["offline"]
	begun := all["running"]
	var b strings.Builder
	show := func(name string, s shown, page int, caps chat.Capabilities) {
		m := renderOutput(s.job, s.output, page, caps)
		_, _ = fmt.Fprintf(&b, "== %s (%d bytes, refused %v)\n%s\n", name, len(m.Text), m.Refused, m.Text)
		for _, f := range m.Files {
			_, _ = fmt.Fprintf(&b, "-- %s (%d bytes)\n", f.Name, len(f.Text))
		}
		b.WriteString("\n")
	}
	paged, files := chat.Capabilities{MaxBytes: 1600}, chat.Capabilities{MaxBytes: 1600, Files: true}
	show("all of it", all["succeeded"], 1, paged)
	show("the first page", all["long"], 1, paged)
	show("the last page", all["long"], 4, paged)
	show("a page that is not there", all["long"], 5, paged)
	show("a page of a running job", running, 2, paged)
	show("the last page of a running job", running, 4, paged)
	show("the last page of what was cut", cut, 4, paged)
	show("a file", all["long"], 1, files)
	show("a file of a running job", running, 2, files)
	show("no output", silent, 1, files)
	show("no output yet", begun, 1, files)
	show("it waits", all["waiting"], 1, paged)
	show("it never ran", never, 3, paged)
	golden(t, "output.txt", b.String())
}

// The pages of an output are all of it, whatever it is, and each keeps to the
// channel's limit.
func TestPagesAreAllOfTheOutput(t *testing.T) {
	t.Parallel()
	s := looks()["awkward"]
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for range rapid.IntRange(1, 30).Draw(t, "lines") {
			b.WriteString(strings.Repeat(rapid.String().Draw(t, "word"), rapid.IntRange(1, 30).Draw(t, "times")) + "x\n")
		}
		output, caps := chat.Readable(b.String()), chat.Capabilities{MaxBytes: rapid.IntRange(200, 3000).Draw(t, "limit")}
		s.job.Status = rapid.SampledFrom([]job.Status{job.Sent, job.Succeeded}).Draw(t, "status")
		var shown strings.Builder
		for page := 1; ; page++ {
			m := renderOutput(s.job, output, page, caps)
			if len(m.Text) > caps.MaxBytes {
				t.Fatalf("page %d has %d bytes where %d are taken", page, len(m.Text), caps.MaxBytes)
			}
			if m.Refused && page > 1 {
				break
			}
			head, body, _ := strings.Cut(m.Text, "\n")
			if !strings.HasPrefix(head, s.job.Status.Mark().Symbol()) {
				t.Fatalf("page %d begins with %q", page, head)
			}
			if i := strings.LastIndex(body, "\nPage "); i >= 0 {
				body = body[:i]
			}
			shown.WriteString(strings.TrimSuffix(body, "\n"+extent(s.job)))
		}
		// Pages are cut at the ends of lines.
		lines := strings.NewReplacer("\n", "")
		if got, want := lines.Replace(shown.String()), lines.Replace(output); got != want {
			t.Fatalf("the pages show %q of %q", got, want)
		}
	})
}

// What was on a page stays there while the job goes on.
func TestPagesStay(t *testing.T) {
	t.Parallel()
	s := looks()["running"]
	caps := chat.Capabilities{MaxBytes: 600}
	var b strings.Builder
	var before []string
	for i := range 300 {
		_, _ = fmt.Fprintf(&b, "line %d %s\n", i, strings.Repeat("x", i%50))
		now := pieces(strings.TrimRight(b.String(), "\n"), pageRoom(caps.MaxBytes), b.Len())
		for p := range max(len(before)-1, 0) {
			if now[p] != before[p] {
				t.Fatalf("page %d was %q and is %q", p+1, before[p], now[p])
			}
		}
		before = now
	}
	first, _, _ := strings.Cut(renderOutput(s.job, b.String(), 1, caps).Text, "\nPage ")
	if !strings.HasSuffix(first, before[0]) {
		t.Errorf("the first page is %q, want %q at its end", first, before[0])
	}
}
