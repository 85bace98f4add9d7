package service

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"github.com/kardianos/service"
)

// State is how a service does.
type State string

// The states.
const (
	Running      State = "running"
	Stopped      State = "stopped"
	Failed       State = "failed"
	NotInstalled State = "not installed"
)

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

// Install has the system start the service from its next start on.
func (u Unit) Install() error {
	m, err := u.manager()
	if err != nil {
		return err
	}
	if err := m.Install(); err != nil {
		return fmt.Errorf("install the service %s (it takes root): %w", u.Name, err)
	}
	return nil
}

// Uninstall stops the service and forgets it. Its state folder stays.
func (u Unit) Uninstall() error {
	m, err := u.manager()
	if err != nil {
		return err
	}
	_ = m.Stop() // it may not run
	if err := m.Uninstall(); err != nil {
		return fmt.Errorf("uninstall the service %s (it takes root): %w", u.Name, err)
	}
	return nil
}

// State tells how the service does.
func (u Unit) State() (State, error) {
	m, err := u.manager()
	if err != nil {
		return "", err
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
