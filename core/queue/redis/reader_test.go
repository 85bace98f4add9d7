package redis_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/queue"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// read is what the reader in JavaScript prints.
type read struct {
	Stream, ID, Space, Kind string
	Data                    map[string]any
}

// nodeReader is a service in another language, which reads with a group of its
// own as docs/events.md shows.
type nodeReader struct {
	dir, url string
	lines    chan read
}

// newNodeReader installs ioredis in a folder of the test's.
func newNodeReader(t *testing.T, url string) *nodeReader {
	t.Helper()
	npm := throwaway.Program(t, "npm", "npm")
	r := &nodeReader{dir: t.TempDir(), url: url, lines: make(chan read, 100)}
	for _, name := range []string{"package.json", "package-lock.json", "reader.js"} {
		text, err := os.ReadFile(filepath.Join("testdata/reader", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = r.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("SKADI_TEST_REQUIRE") == "1" {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
		t.Skipf("ioredis cannot be installed: npm ci: %v\n%s", err, out)
	}
	return r
}

// start runs the reader until stop kills it.
func (r *nodeReader) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, throwaway.Program(t, "node", "nodejs"), "reader.js")
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "REDIS_URL="+r.url, "PARTITIONS="+strconv.Itoa(partitions))
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var one read
			if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
				t.Errorf("the reader printed %q: %v", lines.Text(), err)
				return
			}
			r.lines <- one
		}
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
		_ = cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Logf("the reader said: %s", said.String())
		}
	}
	t.Cleanup(stop)
	return stop
}

// outbox has some events to relay, once.
type outbox struct{ rows []job.Event }

func (o *outbox) Unpublished(context.Context, int) ([]job.Event, error) { return o.rows, nil }
func (o *outbox) MarkPublished(context.Context, []job.Event) error      { o.rows = nil; return nil }

func TestServiceInAnotherLanguage(t *testing.T) {
	t.Parallel()
	redis := throwaway.Redis(t)
	reader := newNodeReader(t, "redis://"+redis.Addr)
	q := open(t, quick(redis.Addr))
	replies := newReader()
	consume(t, q, "replies", "one", replies)
	relay := func(rows ...job.Event) {
		t.Helper()
		r := events.NewRelay(events.RelayConfig{Outbox: &outbox{rows}, Queue: q, Waker: queue.NewWaker(), Partitions: partitions})
		if _, err := r.Pass(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	const id = "01961234-5678-7abc-8def-0123456789ab"
	where := &chat.ConversationRef{Account: "work-slack", Channel: "C0789", Key: "C0789/1712.55"}
	expired := job.Event{
		Subject: id, Version: 2, Space: "default", Kind: job.EventJobStatus, At: at, Conversation: where,
		Agent: "web-1", Num: 42, Status: job.Expired, Reason: job.NotTaken, By: "work-slack:T0123/U0456",
	}
	text := job.Event{
		Subject: "01961234-0000-7abc-8def-0123456789ab", Space: "ops", Kind: job.EventMessage, At: at,
		Conversation: where, Text: "Ünïcode \u202e & <tags>\nand a line",
	}

	stop := reader.start(t)
	until(t, "the reader's group", func() error {
		_, err := redis.Client(t).XInfoConsumers(t.Context(), "skadi:events:{"+strconv.Itoa(partitions-1)+"}", "audit").Result()
		return err
	})
	relay(expired, text)
	got := map[string]read{}
	for range 2 {
		one := wait(t, reader.lines, "the events")
		got[one.Kind] = one
	}
	stream := "skadi:events:{" + strconv.Itoa(events.PartitionOf("work-slack", where.Key, partitions)) + "}"
	checkFields(t, got["EventJobStatus"], read{Stream: stream, ID: id + ".2", Space: "default", Kind: "EventJobStatus", Data: map[string]any{
		"id": id + ".2", "kind": "EventJobStatus", "at": "2026-03-04T05:06:07Z", "job": id, "code": job.EncodeCode(42),
		"agent": "web-1", "status": "expired", "reason": "not_taken", "version": 2.0, "by": "work-slack:T0123/U0456", "v": 1.0,
		"conversation": map[string]any{"account": "work-slack", "channel": "C0789", "key": "C0789/1712.55"},
	}})
	checkFields(t, got["EventMessage"], read{Stream: stream, ID: text.ID(), Space: "ops", Kind: "EventMessage", Data: map[string]any{
		"id": text.ID(), "kind": "EventMessage", "at": "2026-03-04T05:06:07Z", "text": text.Text, "v": 1.0,
		"conversation": map[string]any{"account": "work-slack", "channel": "C0789", "key": "C0789/1712.55"},
	}})

	// It gets what came while it was stopped, and the replies' group all too.
	stop()
	expired.Version, expired.Conversation = 3, nil
	relay(expired)
	defer reader.start(t)()
	one := wait(t, reader.lines, "what came meanwhile")
	for one.ID == id+".2" || one.ID == text.ID() {
		one = wait(t, reader.lines, "what came meanwhile") // it was stopped before it acknowledged
	}
	if one.ID != id+".3" || one.Data["conversation"] != nil {
		t.Errorf("it got %+v", one)
	}
	drain(t, replies, id+".3")

	// Redis loses everything; both groups come back by themselves.
	redis.Do(t, "flushall")
	expired.Version = 4
	until(t, "the reader to come back", func() error {
		relay(expired)
		for {
			select {
			case one := <-reader.lines:
				if one.ID == id+".4" {
					return nil
				}
			case <-time.After(time.Second):
				return context.DeadlineExceeded
			}
		}
	})
}

func checkFields(t *testing.T, got, want read) {
	t.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		t.Errorf("the reader got\n%s, want\n%s", g, w)
	}
}

// The document shows the program that the test runs.
func TestTheDocumentHasTheReader(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("testdata/reader/reader.js")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "```js\n"+string(program)+"```\n") {
		t.Error("docs/events.md shows another program than testdata/reader/reader.js")
	}
}
