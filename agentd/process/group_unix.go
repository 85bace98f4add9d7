//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is whom a program runs as.
type User struct {
	Name string
	Home string
	cred *syscall.Credential // nil if it is who we are
}

// FindUser looks a user up. An error says why programs cannot run as them:
// only root can run programs as somebody else.
func FindUser(name string) (*User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("there is no user %q on this server", name)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the user %q has no numeric ID", name)
	}
	found := &User{Name: name, Home: u.HomeDir}
	if me := os.Geteuid(); me != 0 {
		if uint64(me) == uid { //nolint:gosec // not negative on unix
			return found, nil
		}
		return nil, fmt.Errorf("running as %q needs agentd to run as root", name)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("the user %q has no numeric group", name)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("the groups of %q: %w", name, err)
	}
	found.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			found.cred.Groups = append(found.cred.Groups, uint32(n))
		}
	}
	return found, nil
}

func setGroup(cmd *exec.Cmd, u *User) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if u != nil {
		cmd.SysProcAttr.Credential = u.cred
	}
}

// group is the program's process group, which it leads, so that the group's ID
// is its own.
type group struct{ id int }

func groupOf(cmd *exec.Cmd) (group, error) { return group{cmd.Process.Pid}, nil }

func (g group) terminate() bool {
	_ = unix.Kill(-g.id, unix.SIGTERM) // one that is gone needs none
	return true
}

func (g group) kill() { _ = unix.Kill(-g.id, unix.SIGKILL) }

// gone is true once nothing of the group runs.
func (g group) gone() bool { return errors.Is(unix.Kill(-g.id, 0), unix.ESRCH) }

func (group) release() {}

func outcomeOf(cmd *exec.Cmd, _ error) Outcome {
	if cmd.ProcessState == nil {
		return Outcome{ExitCode: 1}
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		name := unix.SignalName(ws.Signal())
		if name == "" {
			name = "signal " + strconv.Itoa(int(ws.Signal()))
		}
		return Outcome{ExitCode: 128 + int(ws.Signal()), Signal: name}
	}
	return Outcome{ExitCode: cmd.ProcessState.ExitCode()}
}
