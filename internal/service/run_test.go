package service

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
)

func TestManaged(t *testing.T) {
	t.Parallel()
	if ctx := t.Context(); Managed(ctx) || Beyond(ctx) != ctx {
		t.Error("a plain context is taken for a service's")
	}
	ctx, stop := stoppable(t.Context())
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	stop()
	if !Managed(within) || within.Err() == nil || Beyond(within).Err() != nil {
		t.Errorf("managed %t, ended with %v, and beyond with %v", Managed(within), within.Err(), Beyond(within).Err())
	}
}

func TestMainIsThePlainProgramWithoutAManager(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	code := Main("agentd", []int{3}, &b, func(ctx context.Context, stderr io.Writer) int {
		fmt.Fprintf(stderr, "managed: %t", Managed(ctx))
		return 3
	})
	if code != 3 || b.String() != "managed: false" {
		t.Errorf("%d, %q", code, b.String())
	}
}

// timeless leaves out the time, in which every line differs.
var timeless = &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}}

func TestEventLog(t *testing.T) {
	t.Parallel()
	var got []string
	w := eventLog{func(level slog.Level, text string) { got = append(got, level.String()+" | "+text) }}
	log := slog.New(Handler(w, false, timeless)).With("agent", "web-1")
	log.Debug("not logged")
	log.Info("starts")
	log.WithGroup("job").Warn("slow", "code", "a b")
	log.Error("two\nlines")
	fmt.Fprintln(w, "agentd: it has\x00failed")
	want := []string{
		`INFO | level=INFO msg=starts agent=web-1`,
		`WARN | level=WARN msg=slow agent=web-1 job.code="a b"`,
		`ERROR | level=ERROR msg="two\nlines" agent=web-1`,
		"ERROR | agentd: it has�failed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	got = nil
	if n, err := io.WriteString(w, strings.Repeat("é", maxEvent)); n != 2*maxEvent || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if len(got[0]) > maxEvent+20 || !strings.HasSuffix(got[0], "é …") {
		t.Errorf("an event of %d bytes, which ends with %q", len(got[0]), got[0][len(got[0])-10:])
	}

	var plain bytes.Buffer
	slog.New(Handler(&plain, false, timeless)).Info("hi")
	slog.New(Handler(&plain, true, timeless)).Info("hi")
	if plain.String() != "level=INFO msg=hi\n"+`{"level":"INFO","msg":"hi"}`+"\n" {
		t.Errorf("got %q", plain.String())
	}
}
