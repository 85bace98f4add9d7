package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// goneAdapter answers nowhere: its conversations are no more.
type goneAdapter struct{ fakeAdapter }

func (*goneAdapter) Send(context.Context, chat.Outbound) (chat.MessageRef, error) {
	return chat.MessageRef{}, &chat.SendError{Class: chat.Gone, Err: errors.New("channel_not_found")}
}

// TestUndelivered gives up a reply, and finds it in the metrics and the list.
func TestUndelivered(t *testing.T) {
	data := t.TempDir()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(data, databaseFile)
	n, err := newNode(t.Context(), cfg, "127.0.0.1:8080", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.addAccount("fake", "fake", &goneAdapter{}); err != nil {
		t.Fatal(err)
	}
	api := n.api(false, nil).Handler()
	metrics := func() string {
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return rec.Body.String()
	}
	if m := metrics(); !strings.Contains(m, "skadi_events_given_up_total 0\n") || !strings.Contains(m, "skadi_untold_events 0\n") {
		t.Errorf("the metrics before:\n%s", m)
	}
	n.start()
	err = n.jobs.Say(t.Context(), job.Event{
		Space: job.DefaultSpace, Kind: job.EventMessage, Text: "good\nbye",
		Conversation: &chat.ConversationRef{Account: "fake", Key: "C0123"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); !strings.Contains(metrics(), "skadi_events_given_up_total 1\n"); {
		if time.Now().After(end) {
			t.Fatalf("nothing is given up:\n%s", metrics())
		}
	}
	if err := n.close(t.Context()); err != nil {
		t.Fatal(err)
	}

	list := func(args ...string) string {
		var out, errs bytes.Buffer
		if code := Main(adapters.Factories(), append([]string{"undelivered", "--data", data}, args...), strings.NewReader(""), &out, &errs); code != 0 {
			t.Fatalf("exit code %d: %s", code, &errs)
		}
		return out.String()
	}
	head, row, _ := strings.Cut(list(), "\n")
	if !strings.HasPrefix(head, "GIVEN UP") || strings.Count(row, "\n") != 1 {
		t.Errorf("the table:\n%s\n%s", head, row)
	}
	for _, want := range []string{"fake", "C0123", "good bye", "channel_not_found"} {
		if !strings.Contains(row, want) {
			t.Errorf("the row lacks %q: %s", want, row)
		}
	}
	var u undelivered
	if err := json.Unmarshal([]byte(list("--json")), &u); err != nil {
		t.Fatal(err)
	}
	if u.Waiting != 0 || len(u.GivenUp) != 1 || u.GivenUp[0].Event.Text != "good\nbye" || u.GivenUp[0].Account != "fake" || u.GivenUp[0].Key != "C0123" {
		t.Errorf("%+v", u)
	}
	if code := Main(adapters.Factories(), []string{"undelivered", "--data", data, "--limit", "0"}, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
		t.Errorf("exit code %d for --limit 0", code)
	}
}
