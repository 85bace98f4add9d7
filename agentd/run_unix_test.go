//go:build unix

package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/letserverrun/skadi/agentd/agent/agenttest"
	"github.com/letserverrun/skadi/internal/service"
)

// TestSignalsAtOnceAreOne sends what GNU timeout does, and more of it. It is not
// parallel, since the signals would stop other tests too.
func TestSignalsAtOnceAreOne(t *testing.T) {
	sameSignal = time.Hour
	t.Cleanup(func() { sameSignal = service.SameSignal })
	f := agenttest.New()
	server := httptest.NewServer(f)
	defer server.Close()
	end := filepath.Join(t.TempDir(), "end")
	path := file(t, server.URL, "handler: {argv: [sh, -c, 'while [ ! -e "+end+" ]; do sleep 0.02; done']}\n")
	done := make(chan error, 1)
	go func() {
		_, _, err := execute(t.Context(), "run", "-c", path)
		done <- err
	}()
	id := f.Push("anything")
	f.Await(t, "the job runs", func(st *agenttest.State) bool { return st.Jobs[id].Status == "sent" })
	for range 50 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Millisecond) // or the system makes one of them itself
	}
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if j := f.Final(t, id); j.Report.Status != "succeeded" {
		t.Errorf("the job that ran is %s", j.Report.Status)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
