package process_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/windows"

	"github.com/letserverrun/skadi/agentd/process"
)

// roleEnv has this test binary be a program that is run instead.
const roleEnv = "SKADI_PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		act(role, os.Args[1:])
	}
	goleak.VerifyTestMain(m)
}

func act(role string, args []string) {
	switch role {
	case "args":
		fmt.Printf("%q\n", args)
	case "exit":
		fmt.Println("one")
		fmt.Fprintln(os.Stderr, "two")
		fmt.Println("three")
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	case "read":
		data, _ := io.ReadAll(os.Stdin)
		dir, _ := os.Getwd()
		fmt.Printf("%d bytes in %s\n", len(data), filepath.Base(dir))
	case "tree": // of as many generations, each waiting for good
		if left, _ := strconv.Atoi(args[0]); left > 1 {
			child := exec.Command(os.Args[0], strconv.Itoa(left-1))
			child.Stdout = os.Stdout
			if err := child.Start(); err != nil {
				panic(err)
			}
		}
		fmt.Printf("pid %d ready\n", os.Getpid())
		<-time.After(time.Hour) // a bare select would count as a deadlock
	case "parent": // ends, and leaves a child that holds its output
		child := exec.Command(os.Args[0], "1")
		child.Env = append(os.Environ(), roleEnv+"=tree")
		child.Stdout = os.Stdout
		fmt.Println("started:", child.Start())
	case "polite":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, os.Interrupt)
		fmt.Println("ready")
		<-asked
		fmt.Println("bye")
		os.Exit(3)
	case "host": // is what agentd is
		s := program("tree", args...)
		s.Output = os.Stdout
		_, _ = process.Run(context.Background(), s)
	}
	os.Exit(0)
}

func program(role string, args ...string) process.Spec {
	return process.Spec{
		Argv: append([]string{os.Args[0]}, args...),
		Env:  []string{roleEnv + "=" + role, "SystemRoot=" + os.Getenv("SystemRoot"), "PATH=" + os.Getenv("PATH")},
	}
}

// handles opens the processes that the output names, so that their numbers
// cannot become those of others.
func handles(t *testing.T, output string) []windows.Handle {
	t.Helper()
	var all []windows.Handle
	for line := range strings.Lines(output) {
		var pid uint32
		if n, _ := fmt.Sscanf(line, "pid %d ready", &pid); n == 0 {
			continue
		}
		h, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_TERMINATE, false, pid)
		if err != nil {
			t.Fatalf("process %d: %v", pid, err)
		}
		t.Cleanup(func() {
			_ = windows.TerminateProcess(h, 1)
			_ = windows.CloseHandle(h)
		})
		all = append(all, h)
	}
	return all
}

// ended waits until all of them have.
func ended(t *testing.T, all []windows.Handle) {
	t.Helper()
	for i, h := range all {
		if state, err := windows.WaitForSingleObject(h, 30_000); err != nil || state != windows.WAIT_OBJECT_0 {
			t.Errorf("process %d of %d still runs (%d, %v)", i+1, len(all), state, err)
		}
	}
}

func run(t *testing.T, s process.Spec) (string, process.Outcome, error) {
	t.Helper()
	out := newScreen()
	s.Output = out
	o, err := process.Run(t.Context(), s)
	return out.String(), o, err
}

func TestRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		spec process.Spec
		out  string
		code int
	}{
		{program("exit", "7"), "one\ntwo\nthree\n", 7},
		{program("exit", "3221225477"), "one\ntwo\nthree\n", 0xC0000005}, // as of a crash
		{program("args", "a b", `back\slash\`, `"quoted" \"`, "%PATH%", "&calc", "größe", ""), `["a b" "back\\slash\\" "\"quoted\" \\\"" "%PATH%" "&calc" "größe" ""]` + "\n", 0},
	} {
		if out, o, err := run(t, tc.spec); out != tc.out || o != (process.Outcome{ExitCode: tc.code}) || err != nil {
			t.Errorf("got %q, %+v, %v, want %q, %d", out, o, err, tc.out, tc.code)
		}
	}
}

func TestStdinAndFolder(t *testing.T) {
	t.Parallel()
	s := program("read")
	s.Dir, s.Stdin = filepath.Join(t.TempDir(), "a folder"), strings.Repeat("x", 100_000)
	if err := os.Mkdir(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, _, err := run(t, s); out != "100000 bytes in a folder\n" || err != nil {
		t.Errorf("got %q, %v", out, err)
	}
	s.Stdin = ""
	if out, _, err := run(t, s); out != "0 bytes in a folder\n" || err != nil {
		t.Errorf("without input: %q, %v", out, err)
	}
}

func TestNotStarted(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain.txt")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		spec process.Spec
		code int
		want string
	}{
		{process.Spec{Argv: []string{`C:\no\such\program.exe`}}, 127, "no such program"},
		{process.Spec{Argv: []string{"no-such-program"}}, 127, "no such program"},
		{process.Spec{Argv: []string{os.Args[0]}, Dir: `C:\no\such\folder`}, 126, `its folder C:\no\such\folder`},
	} {
		_, _, err := run(t, tc.spec)
		var ns *process.NotStartedError
		if !errors.As(err, &ns) || ns.Code != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v (%+v), want %q with %d", err, ns, tc.want, tc.code)
		}
	}
	if _, err := process.FindUser("somebody"); err == nil || !strings.Contains(err.Error(), "on Windows") {
		t.Errorf("another user: %v", err)
	}
}

var errEnough = errors.New("enough")

// stopped runs a program until it has said ready that often, and stops it.
func stopped(t *testing.T, s process.Spec, ready int) (string, process.Outcome, []windows.Handle) {
	t.Helper()
	out := newScreen()
	s.Output = out
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	type end struct {
		o   process.Outcome
		err error
	}
	done := make(chan end, 1)
	go func() {
		o, err := process.Run(ctx, s)
		done <- end{o, err}
	}()
	out.await(t, "ready", ready)
	all := handles(t, out.String())
	cancel(errEnough)
	e := <-done
	if !errors.Is(e.err, errEnough) {
		t.Errorf("got %v, want the cause", e.err)
	}
	return out.String(), e.o, all
}

func TestStopReachesTheWholeTree(t *testing.T) {
	t.Parallel()
	s := program("tree", "4")
	s.Grace = time.Second
	_, o, all := stopped(t, s, 4)
	if len(all) != 4 || o.ExitCode == 0 {
		t.Errorf("%d processes, %+v", len(all), o)
	}
	ended(t, all)
}

// TestStopIsPolite needs a console, in which alone a program can be asked, and
// a Windows that does it: Wine does not.
func TestStopIsPolite(t *testing.T) {
	t.Parallel()
	if console, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetConsoleCP").Call(); console == 0 {
		t.Skip("this process has no console")
	}
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		t.Skip("Wine sends no CTRL_BREAK")
	}
	out, o, _ := stopped(t, program("polite"), 1)
	if !strings.HasSuffix(out, "bye\n") || o.ExitCode != 3 {
		t.Errorf("got %q, %+v", out, o)
	}
}

// TestTreeEndsWithItsHost: whoever runs a program and is killed leaves nothing.
func TestTreeEndsWithItsHost(t *testing.T) {
	t.Parallel()
	out := newScreen()
	host := exec.Command(os.Args[0], "3")
	host.Env = append(os.Environ(), roleEnv+"=host")
	host.Stdout, host.Stderr = out, out
	// What is left holds the output; it must not hold up the test.
	host.WaitDelay = 30 * time.Second
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "ready", 3)
	all := handles(t, out.String())
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	ended(t, all)
}

func TestDetachedChildRunsOn(t *testing.T) {
	t.Parallel()
	out, o, err := run(t, program("parent"))
	if err != nil || !o.Detached || o.ExitCode != 0 || !strings.Contains(out, "started: <nil>") {
		t.Fatalf("got %q, %+v, %v", out, o, err)
	}
	all := handles(t, out)
	if len(all) != 1 {
		t.Fatalf("%d processes in %q", len(all), out)
	}
	if state, err := windows.WaitForSingleObject(all[0], 100); err != nil || state != uint32(windows.WAIT_TIMEOUT) {
		t.Errorf("it does not run on: %d, %v", state, err)
	}
}

func TestBatchFileGetsNoSignsOfCmd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "deploy.bat")
	if err := os.WriteFile(file, []byte("@echo off\r\necho got %1\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := program("", "v1.2.3")
	s.Argv[0] = file
	if out, _, err := run(t, s); err != nil || out != "got v1.2.3\r\n" {
		t.Errorf("got %q, %v", out, err)
	}
	for _, as := range []string{file, strings.TrimSuffix(file, ".bat"), `.\deploy`} {
		s.Argv, s.Dir = []string{as, `"&echo injected`}, dir
		out, _, err := run(t, s)
		var ns *process.NotStartedError
		if !errors.As(err, &ns) || ns.Code != 126 || out != "" || !strings.Contains(err.Error(), "batch file") {
			t.Errorf("%s: %q, %v", as, out, err)
		}
	}
}
