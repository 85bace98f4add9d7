package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
)

// A service that stops says so again and again, each time long before the system
// would take it for one that hangs. How long it takes is for its config to say.
const (
	stillStopping = 5 * time.Second
	stopHint      = 30_000 // milliseconds
)

// Main runs the program and returns its exit code. If the Service Control
// Manager started it, it runs as the service of that name: with the system's
// event log in place of stderr, and started again if it fails, unless with one
// of the codes never. If it crashed before, the log says how.
func Main(name string, never []int, stderr io.Writer, program Program) int {
	if !startedByManager() {
		return program(context.Background(), stderr)
	}
	console := stderr
	if m, err := service.New(managed{}, &service.Config{Name: name}); err == nil {
		if log, err := m.SystemLogger(nil); err == nil {
			stderr = eventLog{reporter(log)}
		}
	}
	earlier, err := keepCrash(filepath.Join(os.TempDir(), name+"-crash.txt"))
	if err != nil {
		fmt.Fprintf(stderr, "%s: a crash would leave no trace: %v\n", name, err)
	}
	if earlier != "" {
		fmt.Fprintf(stderr, "%s crashed when it ran last:\n%s", name, earlier)
	}
	h := &handler{never: never, program: program, stderr: stderr, exit: os.Exit}
	switch err := svc.Run(name, h); {
	case errors.Is(err, windows.ERROR_FAILED_SERVICE_CONTROLLER_CONNECT):
		return program(context.Background(), console) // something else of that name
	case err != nil:
		fmt.Fprintf(stderr, "%s: run as a service: %v\n", name, err)
		return 1
	}
	return h.code
}

// startedByManager tells whether the parent is called as the manager is. The
// library wants it to be in session 0, too, where it is not on all systems.
func startedByManager() bool {
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return !service.Interactive()
	}
	defer func() { _ = windows.CloseHandle(all) }()
	parent, names := uint32(0), map[uint32]string{}
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(all, &entry); err == nil; err = windows.Process32Next(all, &entry) {
		names[entry.ProcessID] = windows.UTF16ToString(entry.ExeFile[:])
		if entry.ProcessID == windows.GetCurrentProcessId() {
			parent = entry.ParentProcessID
		}
	}
	return strings.EqualFold(names[parent], "services.exe")
}

func reporter(log service.Logger) func(slog.Level, string) {
	return func(level slog.Level, text string) {
		switch {
		case level >= slog.LevelError:
			_ = log.Error(text)
		case level >= slog.LevelWarn:
			_ = log.Warning(text)
		default:
			_ = log.Info(text)
		}
	}
}

// handler answers the Service Control Manager for a program.
type handler struct {
	never   []int
	program Program
	stderr  io.Writer
	exit    func(int)
	code    int
}

// Execute implements svc.Handler.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, states chan<- svc.Status) (own bool, code uint32) {
	states <- svc.Status{State: svc.StartPending}
	ctx, stop := stoppable(context.Background())
	defer stop()
	done := make(chan int, 1)
	go func() { done <- h.program(ctx, h.stderr) }()
	now := svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown | svc.AcceptPreShutdown}
	states <- now
	still := time.NewTicker(stillStopping)
	defer still.Stop()
	for {
		select {
		case h.code = <-done:
			return h.ended(now.State == svc.StopPending)
		case <-still.C:
			if now.State == svc.StopPending {
				now.CheckPoint++
				states <- now
			}
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				states <- now
			case svc.Stop, svc.Shutdown, svc.PreShutdown:
				now = svc.Status{State: svc.StopPending, CheckPoint: now.CheckPoint + 1, WaitHint: stopHint}
				states <- now
				stop()
			}
		}
	}
}

// ended tells the manager with which code the program ended. One that is to be
// started again ends without telling: that is what counts as a failure.
func (h *handler) ended(told bool) (own bool, code uint32) {
	if h.code == 0 {
		return false, 0
	}
	if !told && !slices.Contains(h.never, h.code) {
		h.exit(h.code)
	}
	return true, uint32(h.code) //nolint:gosec // an exit code
}
