package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// asService is the argument with which this program is a service itself.
const asService = "as-a-service"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asService {
		os.Exit(Main(os.Args[2], []int{3}, os.Stderr, func(ctx context.Context, _ io.Writer) int {
			if !Managed(ctx) {
				return 1
			}
			<-ctx.Done()
			return 3
		}))
	}
	os.Exit(m.Run())
}

// fakeManager runs a handler as the system would, and sees what it says.
type fakeManager struct {
	requests chan svc.ChangeRequest
	states   chan svc.Status
	exited   chan int
	ended    chan [2]uint32 // whether the code is its own, and the code
}

func run(t *testing.T, never []int, program Program) *fakeManager {
	t.Helper()
	m := &fakeManager{make(chan svc.ChangeRequest), make(chan svc.Status), make(chan int, 1), make(chan [2]uint32, 1)}
	h := &handler{never: never, program: program, stderr: io.Discard, exit: func(code int) { m.exited <- code }}
	go func() {
		own, code := h.Execute(nil, m.requests, m.states)
		ended := [2]uint32{0, code}
		if own {
			ended[0] = 1
		}
		m.ended <- ended
	}()
	if s := <-m.states; s.State != svc.StartPending {
		t.Errorf("it begins with %v", s)
	}
	if s := <-m.states; s.State != svc.Running || s.Accepts != svc.AcceptStop|svc.AcceptShutdown|svc.AcceptPreShutdown {
		t.Errorf("it goes on with %v", s)
	}
	return m
}

func TestServiceStops(t *testing.T) {
	t.Parallel()
	for _, cmd := range []svc.Cmd{svc.Stop, svc.Shutdown, svc.PreShutdown} {
		drained := make(chan struct{})
		m := run(t, nil, func(ctx context.Context, _ io.Writer) int {
			<-ctx.Done()
			<-drained
			return 0
		})
		m.requests <- svc.ChangeRequest{Cmd: svc.Interrogate}
		if s := <-m.states; s.State != svc.Running {
			t.Errorf("asked, it is %v", s)
		}
		m.requests <- svc.ChangeRequest{Cmd: cmd}
		first := <-m.states
		if first.State != svc.StopPending || first.WaitHint < 10_000 || first.Accepts != 0 {
			t.Errorf("told to stop, it is %v", first)
		}
		m.requests <- svc.ChangeRequest{Cmd: cmd} // shutdown follows preshutdown
		if again := <-m.states; again.State != svc.StopPending || again.CheckPoint <= first.CheckPoint {
			t.Errorf("told again, it is %v", again)
		}
		close(drained)
		if ended := <-m.ended; ended != [2]uint32{0, 0} {
			t.Errorf("it ended with %v", ended)
		}
	}
}

func TestServiceFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code   int
		stop   bool
		exited bool
		ended  [2]uint32
	}{
		"fails, and is started again":      {code: 1, exited: true, ended: [2]uint32{1, 1}},
		"fails for ever":                   {code: 3, ended: [2]uint32{1, 3}},
		"fails when it was told to stop":   {code: 1, stop: true, ended: [2]uint32{1, 1}},
		"ends by itself, as it should not": {code: 0, ended: [2]uint32{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := make(chan struct{})
			m := run(t, []int{3}, func(context.Context, io.Writer) int {
				<-end
				return tc.code
			})
			if tc.stop {
				m.requests <- svc.ChangeRequest{Cmd: svc.Stop}
				<-m.states
			}
			close(end)
			if ended := <-m.ended; ended != tc.ended || len(m.exited) == 1 != tc.exited {
				t.Errorf("it ended with %v, exited: %d", ended, len(m.exited))
			}
		})
	}
}

func TestServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	u := Unit{Name: "skadi-test-none"}
	if state, err := u.State(t.Context()); state != NotInstalled || err != nil {
		t.Errorf("%q, %v", state, err)
	}
	if err := u.Uninstall(); err == nil || err.Error() != "there is no service skadi-test-none here" {
		t.Errorf("uninstall: %v", err)
	}
}

// TestServiceOfTheSystem installs this program and has the system run it.
func TestServiceOfTheSystem(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	u := Unit{Name: fmt.Sprintf("skadi-test-%d", os.Getpid()), Description: "Skadi's test", Program: program, StopSeconds: 300}
	u.Args = []string{asService, u.Name}
	err = u.Install(t.Context())
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		t.Skip("services are for administrators to install")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Uninstall() })
	if err := u.Install(t.Context()); err == nil {
		t.Error("it was installed twice")
	}
	until(t, u, Stopped)

	s, done, err := u.open(windows.SERVICE_ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	// Wine cannot be asked for either.
	if c, err := s.Config(); !errors.Is(err, windows.ERROR_INVALID_LEVEL) && (err != nil || c.StartType != mgr.StartAutomatic || c.Description != u.Description) {
		t.Errorf("%+v, %v", c, err)
	}
	if a, err := s.RecoveryActions(); !errors.Is(err, windows.ERROR_INVALID_LEVEL) && (err != nil || len(a) != 1 || a[0] != (mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: restartDelay})) {
		t.Errorf("%+v, %v", a, err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, u, Running)
	if _, err := s.Control(svc.Stop); err != nil {
		t.Error(err)
	}
	until(t, u, Failed) // with 3
	if status, err := s.Query(); err != nil || status.ServiceSpecificExitCode != 3 {
		t.Errorf("%+v, %v", status, err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, u, Running)
	if err := u.Uninstall(); err != nil {
		t.Error(err)
	}
	// It is there until the last has closed it, whoever that is.
	if state, err := u.State(t.Context()); err == nil && state != NotInstalled && state != Failed {
		t.Errorf("uninstalled, it is %s", state)
	}
}

func until(t *testing.T, u Unit, want State) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	limit := time.After(time.Minute)
	for {
		state, err := u.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if state == want {
			return
		}
		select {
		case <-again.C:
		case <-limit:
			t.Fatalf("the service is %s, want %s", state, want)
		}
	}
}
