package process

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/windows"
)

// User is whom a program runs as.
type User struct {
	Name string
	Home string
}

// FindUser always fails: programs run as the user of the service.
func FindUser(name string) (*User, error) {
	return nil, fmt.Errorf("programs cannot run as %q: on Windows they run as the user of agentd's service", name)
}

func setGroup(cmd *exec.Cmd, _ *User) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// terminate asks console programs of the group to stop; others do not hear it
// and are killed later.
func terminate(cmd *exec.Cmd) {
	_ = windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, uint32(cmd.Process.Pid)) //nolint:gosec // a process ID
}

// kill ends the program and what it has started, as far as the system still
// knows what that is.
func kill(cmd *exec.Cmd) {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run() //nolint:gosec,noctx // a number
	_ = cmd.Process.Kill()
}

// groupGone is true once the program has ended: Windows does not tell what
// became of the rest.
func groupGone(*exec.Cmd) bool { return true }

func outcomeOf(cmd *exec.Cmd, err error) Outcome {
	var exit *exec.ExitError
	if cmd.ProcessState == nil || err != nil && !errors.As(err, &exit) {
		return Outcome{ExitCode: 1}
	}
	return Outcome{ExitCode: cmd.ProcessState.ExitCode()}
}
