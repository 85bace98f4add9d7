package chat_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	panics := 0
	e := chat.Env{Account: "work", Logger: slog.New(slog.NewTextHandler(&log, nil)), Panicked: func() { panics++ }}
	errOwn := errors.New("its own")
	for _, want := range []error{nil, errOwn} {
		if err := e.Guard(t.Context(), "testing", func() error { return want }); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if panics != 0 || log.Len() > 0 {
		t.Fatalf("%d panics, and the log has %s", panics, &log)
	}
	err := e.Guard(t.Context(), "reading a mail", func() error { panic("oh no") })
	if err == nil || err.Error() != "panic while reading a mail: oh no" {
		t.Errorf("got %v", err)
	}
	if panics != 1 {
		t.Errorf("%d panics were counted", panics)
	}
	for _, part := range []string{"reading a mail", "oh no", "account=work", "guard_test.go"} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log has no %q: %s", part, &log)
		}
	}
	e.Panicked = nil
	if err := e.Guard(t.Context(), "testing", func() error { panic(errOwn) }); err == nil {
		t.Error("no error without a count")
	}
}
