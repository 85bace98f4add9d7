package process

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"unsafe"

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

// setGroup has the program start suspended, so that it is in its job object
// before it can start anything.
func setGroup(cmd *exec.Cmd, _ *User) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_SUSPENDED,
		HideWindow:    true,
	}
}

// group is the job object that holds the program and all that it starts;
// none of them can leave it.
type group struct {
	pid uint32
	job windows.Handle
}

// groupOf puts a program that is suspended into a job object and lets it run.
// Should this process die, the object's last handle closes and the system ends
// all that is in it.
func groupOf(cmd *exec.Cmd) (*group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return nil, fmt.Errorf("make a job object: %w", err)
	}
	g := &group{pid: uint32(cmd.Process.Pid), job: job} //nolint:gosec // a process ID
	if err := g.hold(cmd); err != nil {
		_ = windows.CloseHandle(job)
		return nil, err
	}
	return g, nil
}

func (g *group) hold(cmd *exec.Cmd) error {
	if err := g.limit(windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE); err != nil {
		return fmt.Errorf("set up a job object: %w", err)
	}
	var assigned error
	err := cmd.Process.WithHandle(func(process uintptr) {
		assigned = windows.AssignProcessToJobObject(g.job, windows.Handle(process))
	})
	if err = errors.Join(err, assigned); err != nil {
		return fmt.Errorf("put it into a job object: %w", err)
	}
	if err := resume(g.pid); err != nil {
		return fmt.Errorf("let it run: %w", err)
	}
	return nil
}

// limit sets the flags of the job object, and clears all others.
func (g *group) limit(flags uint32) error {
	info := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{LimitFlags: flags},
	}
	_, err := windows.SetInformationJobObject(g.job, windows.JobObjectExtendedLimitInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info))) //nolint:gosec // the call takes it so
	return err
}

// resume lets the threads of a suspended process run. It has one: nobody tells
// its handle, so it is looked for.
func resume(pid uint32) error {
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPTHREAD, 0)
	if err != nil {
		return err
	}
	defer func() { _ = windows.CloseHandle(all) }()
	resumed := false
	entry := windows.ThreadEntry32{Size: uint32(unsafe.Sizeof(windows.ThreadEntry32{}))}
	for err = windows.Thread32First(all, &entry); err == nil; err = windows.Thread32Next(all, &entry) {
		if entry.OwnerProcessID != pid {
			continue
		}
		if err := resumeThread(entry.ThreadID); err != nil {
			return err
		}
		resumed = true
	}
	if !resumed {
		return errors.New("it has no thread")
	}
	return nil
}

func resumeThread(id uint32) error {
	thread, err := windows.OpenThread(windows.THREAD_SUSPEND_RESUME, false, id)
	if err != nil {
		return err
	}
	_, err = windows.ResumeThread(thread)
	return errors.Join(err, windows.CloseHandle(thread))
}

// terminate asks console programs of the group to stop; others do not hear it
// and are killed later. Nobody can be asked where this process has no console,
// as in a service.
func (g *group) terminate() bool {
	return windows.GenerateConsoleCtrlEvent(windows.CTRL_BREAK_EVENT, g.pid) == nil
}

// kill ends the program and everything that it has started.
func (g *group) kill() { _ = windows.TerminateJobObject(g.job, 1) }

// accounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION.
type accounting struct {
	_               [4]int64 // times
	_               [2]uint32
	activeProcesses uint32
	_               uint32
}

// gone is true once nothing of the group runs.
func (g *group) gone() bool {
	var info accounting
	err := windows.QueryInformationJobObject(g.job, windows.JobObjectBasicAccountingInformation,
		uintptr(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), nil) //nolint:gosec // the call takes it so
	return err == nil && info.activeProcesses == 0
}

// release gives the job object up. What still runs in it runs on.
func (g *group) release() {
	_ = g.limit(0)
	_ = windows.CloseHandle(g.job)
}

func outcomeOf(cmd *exec.Cmd, err error) Outcome {
	var exit *exec.ExitError
	if cmd.ProcessState == nil || err != nil && !errors.As(err, &exit) {
		return Outcome{ExitCode: 1}
	}
	return Outcome{ExitCode: cmd.ProcessState.ExitCode()}
}
