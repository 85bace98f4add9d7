//go:build unix

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestStoreCopy outgrows SQLite in the middle of the work: jobs that wait, one
// that runs and one that is done go on, or stay, on MySQL, and then back on
// SQLite.
func TestStoreCopy(t *testing.T) {
	t.Parallel()
	dsn := throwaway.MariaDB(t).Database(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		writeText(t, file, text)
		return file
	}
	dsnFile := write("dsn", dsn+"\n")
	began := write("file.yaml", "listen: 127.0.0.1:0\nlog: {format: json}\nstore: {path: began.db}\n")
	grown := write("server.yaml", "listen: 127.0.0.1:0\nlog: {format: json}\nstore: {driver: mysql, dsn: \"${file:dsn}\"}\n")
	back := write("back.yaml", "listen: 127.0.0.1:0\nlog: {format: json}\nstore: {path: back.db}\n")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	p, url := serveFile(t, began)
	admin := token(t, "tokens", "create", "ops", "--role", "admin", "-c", began)
	agent := token(t, "agents", "create", "web-1", "-c", began)
	jobs := map[string]agentapi.Job{} // by message
	codes := map[string]string{}
	push := func(url, message string) agentapi.Job {
		t.Helper()
		j, err := clientOf(t, url, admin).Push(ctx, agentapi.Push{Agent: "web-1", Message: message}, agentapi.PushOptions{IdempotencyKey: message})
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := codes[j.Code]; taken && other != j.ID {
			t.Fatalf("the code %s is of two jobs", j.Code)
		}
		jobs[message], codes[j.Code] = j, j.ID
		return j
	}
	eventually(t, "the agent is there", func() bool { return poll(t, url, agent) == http.StatusOK })
	push(url, "first")
	push(url, "second")
	got, err := clientOf(t, url, agent).Poll(ctx, agentapi.PollRequest{WaitSeconds: 10, Max: new(2)})
	if err != nil || len(got.Jobs) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	report := func(url string, a agentapi.Assignment, output string) {
		t.Helper()
		if _, err := clientOf(t, url, agent).Result(ctx, a.ID, agentapi.Report{Lease: a.Lease, Status: "succeeded", Output: &output}); err != nil {
			t.Fatal(err)
		}
	}
	report(url, got.Jobs[0], "done on the file 🚀")
	running := got.Jobs[1]
	waiting := push(url, "third")

	refused := skadi(t, "store", "copy", "--from", "config:"+began, "--to", "mysql:@"+dsnFile).expect(t, 1)
	contains(t, refused.stderr, "stop it first")
	p.signal(syscall.SIGTERM)
	if code, log := p.ends(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, log)
	}
	r := skadi(t, "store", "copy", "--from", "config:"+began, "--to", "mysql:@"+dsnFile).expect(t, 0)
	contains(t, r.stdout, "copied", "rows of", began[:len(began)-len("file.yaml")]+"began.db")
	contains(t, r.stderr, "jobs", "3 of 3")
	if strings.Contains(r.stdout+r.stderr, secretOf(t, dsn)) {
		t.Error("the password is shown")
	}
	contains(t, skadi(t, "store", "copy", "--from", "config:"+began, "--to", "config:"+grown).expect(t, 1).stderr, "not empty")

	// What runs is reported there, what waits is taken, what is done is there.
	p, url = serveFile(t, grown)
	report(url, running, "done on the server")
	got, err = clientOf(t, url, agent).Poll(ctx, agentapi.PollRequest{WaitSeconds: 10})
	if err != nil || len(got.Jobs) != 1 || got.Jobs[0].ID != waiting.ID {
		t.Fatalf("%+v, %v", got, err)
	}
	report(url, got.Jobs[0], "late and well")
	expectOutputs(ctx, t, clientOf(t, url, admin), jobs, map[string]string{
		"first": "done on the file 🚀", "second": "done on the server", "third": "late and well",
	})
	for i := range 5 {
		push(url, fmt.Sprintf("more-%d", i))
	}
	// A key that was used before the copy finds its job.
	if again := push(url, "first"); again.Status != "succeeded" {
		t.Errorf("the same push again made %+v", again)
	}
	p.signal(syscall.SIGTERM)
	p.ends()

	skadi(t, "store", "copy", "--from", "config:"+grown, "--to", "config:"+back).expect(t, 0)
	p, url = serveFile(t, back)
	expectOutputs(ctx, t, clientOf(t, url, admin), jobs, map[string]string{"first": "done on the file 🚀", "third": "late and well"})
	push(url, "after-all")
	p.signal(syscall.SIGTERM)
	p.ends()
}

func expectOutputs(ctx context.Context, t *testing.T, c *agentapi.Client, jobs map[string]agentapi.Job, outputs map[string]string) {
	t.Helper()
	for message, output := range outputs {
		j, err := c.Job(ctx, jobs[message].ID, 10*time.Second)
		if err != nil || j.Code != jobs[message].Code || j.Status != "succeeded" || j.Result == nil || j.Result.Output != output {
			t.Errorf("%s: %+v, %v", message, j, err)
		}
	}
}
