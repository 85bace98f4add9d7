package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kardianos/service"
)

// State is how a service does.
type State string

// The states. Failing is one that ends again and again, and is started again;
// Stopping is one that was told to stop, and may have jobs to end.
const (
	Running      State = "running"
	Starting     State = "starting"
	Stopping     State = "stopping"
	Stopped      State = "stopped"
	Failing      State = "failing"
	Failed       State = "failed"
	NotInstalled State = "not installed"
)

// unitFolder is where units go that no package brought.
const unitFolder = "/etc/systemd/system"

// errNoManager tells what to do where nothing starts services.
var errNoManager = errors.New("there is no systemd here, nor another service manager that is known: " +
	"start the program by whatever runs programs on this system; the unit that systemd would get is printed by service install --print")

// managed is never run: the manager starts the program itself.
type managed struct{}

func (managed) Start(service.Service) error { return nil }
func (managed) Stop(service.Service) error  { return nil }

// manager returns the system's, or an error that says what to do without.
func (u Unit) manager() (service.Service, error) {
	switch runtime.GOOS {
	case "linux":
		if service.Platform() != "linux-systemd" {
			return nil, errNoManager
		}
		if _, err := exec.LookPath("systemctl"); err != nil {
			return nil, errNoManager
		}
	case "darwin":
	default:
		return nil, errNoManager
	}
	return service.New(managed{}, &service.Config{
		Name: u.Name, DisplayName: u.Name, Description: u.Description,
		Executable: u.Program, Arguments: u.Args, UserName: u.User,
		// The library takes it for a template; the text has no actions.
		Option: service.KeyValue{"SystemdScript": strings.ReplaceAll(u.Systemd(), "{{", `{{"{{"}}`), "RunAtLoad": true},
	})
}

// Install has the system start the service from its next start on. One that is
// installed is left as it is, with an error.
func (u Unit) Install(ctx context.Context) error {
	if runtime.GOOS == "windows" {
		if err := u.fitWindows(); err != nil {
			return err
		}
		return u.installSCM()
	}
	if _, err := u.manager(); err != nil {
		return err
	}
	if err := u.fit(ctx); err != nil {
		return err
	}
	if runtime.GOOS == "linux" {
		if err := u.reach(); err != nil {
			return err
		}
	}
	m, err := u.manager() // with what fit has made of it
	if err != nil {
		return err
	}
	if file := u.file(); file != "" && exists(file) {
		return fmt.Errorf("%s is installed already, as %s: service uninstall takes it away and keeps the data", u.Name, file)
	}
	if err := m.Install(); err != nil {
		return fmt.Errorf("install the service %s (it takes root): %w", u.Name, err)
	}
	return nil
}

// fit refuses a unit that the system's manager would take, and never start.
func (u *Unit) fit(ctx context.Context) error {
	if u.Unconfined && u.User == "" {
		return errors.New("--unconfined needs --user: whom systemd makes is always confined")
	}
	if u.Unconfined && len(u.Writable) > 0 {
		return errors.New("--unconfined lets it write wherever its user may: leave out --writable")
	}
	if err := u.absolute(); err != nil {
		return err
	}
	for _, dir := range u.Writable {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("--writable: there is no folder %s, and the service would not start without it: make it first", dir)
		}
	}
	// The program id knows users that are in no file, of LDAP for example.
	if id, err := exec.LookPath("id"); err == nil && u.User != "" {
		if err := exec.CommandContext(ctx, id, "-u", "--", u.User).Run(); err != nil { //nolint:gosec // a name
			return fmt.Errorf("--user: there is no user %q here: make it first, with useradd --system for example", u.User)
		}
	}
	return nil
}

// Words are what the system says for what is to be done with a service.
type Words struct {
	Start string // the command that starts it
	Why   string // where its log is
	Data  string // the folder that stays when it is uninstalled
}

// Words returns those of this system.
func (u Unit) Words() Words { return u.wordsOf(runtime.GOOS) }

func (u Unit) wordsOf(system string) Words {
	if system == "windows" {
		return Words{Start: "net start " + u.Name, Why: "the Event Viewer, Windows Logs, Application, source " + u.Name, Data: "its state folder"}
	}
	if system == "darwin" {
		return Words{Start: "launchctl load /Library/LaunchDaemons/" + u.Name + ".plist", Why: "/var/log/" + u.Name + ".err.log", Data: "its state folder"}
	}
	return Words{Start: "systemctl start " + u.Name, Why: "journalctl -u " + u.Name, Data: u.stateFolder()}
}

// file is the unit's own, where there is systemd.
func (u Unit) file() string {
	if runtime.GOOS != "linux" {
		return ""
	}
	return filepath.Join(unitFolder, u.Name+".service")
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return !errors.Is(err, os.ErrNotExist)
}

// Uninstall stops the service and forgets it. Its state folder stays.
func (u Unit) Uninstall() error {
	if runtime.GOOS == "windows" {
		return u.uninstallSCM()
	}
	m, err := u.manager()
	if err != nil {
		return err
	}
	if file := u.file(); file != "" && !exists(file) {
		return fmt.Errorf("%s was not installed by service install, there is no %s; a package is removed by what installed it", u.Name, file)
	}
	_ = m.Stop() // it may not run
	if err := m.Uninstall(); err != nil {
		return fmt.Errorf("uninstall the service %s (it takes root): %w", u.Name, err)
	}
	return nil
}

// State tells how the service does.
func (u Unit) State(ctx context.Context) (State, error) {
	if runtime.GOOS == "windows" {
		return u.stateSCM()
	}
	m, err := u.manager()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "linux" {
		// The library takes one that fails at every start for one that runs, and
		// one that is stopping for one that is not there.
		out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState,ActiveState,SubState", u.Name+".service").Output() //nolint:gosec // a constant
		if err != nil {
			return "", fmt.Errorf("ask systemd for the service %s: %w", u.Name, err)
		}
		return stateOf(string(out)), nil
	}
	status, err := m.Status()
	switch {
	case errors.Is(err, service.ErrNotInstalled):
		return NotInstalled, nil
	case err != nil && strings.Contains(err.Error(), "failed state"):
		return Failed, nil
	case err != nil:
		return "", fmt.Errorf("ask for the service %s: %w", u.Name, err)
	case status == service.StatusRunning:
		return Running, nil
	}
	return Stopped, nil
}

// stateOf reads the properties of a unit as systemctl shows them.
func stateOf(shown string) State {
	is := make(map[string]string)
	for line := range strings.Lines(shown) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		is[key] = value
	}
	switch is["ActiveState"] {
	case "active", "reloading", "refreshing":
		return Running
	case "activating":
		if strings.HasPrefix(is["SubState"], "auto-restart") {
			return Failing
		}
		return Starting
	case "deactivating":
		return Stopping
	case "failed":
		return Failed
	}
	if is["LoadState"] == "not-found" {
		return NotInstalled
	}
	return Stopped
}
