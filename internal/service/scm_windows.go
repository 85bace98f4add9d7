package service

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// restartDelay is how long a service that failed is left alone.
const restartDelay = 5 * time.Second

// installSCM has Windows start the service with the system, and again after it
// ended without saying that it has stopped: see handler.
func (u Unit) installSCM() error {
	state, err := u.stateSCM()
	if err != nil {
		return err
	}
	if state != NotInstalled {
		return fmt.Errorf("%s is installed already: service uninstall takes it away and keeps the data", u.Name)
	}
	m, err := service.New(managed{}, &service.Config{
		Name: u.Name, DisplayName: u.Name, Description: u.Description,
		Executable: u.Program, Arguments: u.Args, UserName: account(u.User),
		Option: service.KeyValue{service.OnFailure: service.OnFailureRestart, service.OnFailureDelayDuration: restartDelay.String()},
	})
	if err != nil {
		return err
	}
	if err := m.Install(); err != nil {
		return fmt.Errorf("install the service %s: %w%s", u.Name, err, mend(err))
	}
	if err := u.waitAtShutdown(); err != nil {
		return fmt.Errorf("%s is installed, but the system would not wait for it when it shuts down: %w", u.Name, err)
	}
	return nil
}

// waitAtShutdown has the system wait for the service before it shuts down;
// without that a service has few seconds.
func (u Unit) waitAtShutdown() error {
	s, done, err := u.open(windows.SERVICE_CHANGE_CONFIG)
	if err != nil {
		return err
	}
	defer done()
	timeout := uint32(u.StopSeconds) * 1000                                                                                   //nolint:gosec // seconds of a config: a day at most
	return windows.ChangeServiceConfig2(s.Handle, windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, (*byte)(unsafe.Pointer(&timeout))) //nolint:gosec // the call takes it so
}

// uninstallSCM stops the service, which may let its jobs end, and forgets it.
func (u Unit) uninstallSCM() error {
	state, err := u.stateSCM()
	if err != nil {
		return err
	}
	if state == NotInstalled {
		return fmt.Errorf("there is no service %s here", u.Name)
	}
	m, err := service.New(managed{}, &service.Config{Name: u.Name})
	if err != nil {
		return err
	}
	if err := u.stopSCM(); err != nil {
		return fmt.Errorf("stop the service %s: %w%s", u.Name, err, mend(err))
	}
	if err := m.Uninstall(); err != nil {
		return fmt.Errorf("uninstall the service %s: %w%s", u.Name, err, mend(err))
	}
	return nil
}

// stopSCM returns when the service has stopped, be it that it was stopping
// already. The library waits only for one that it has stopped itself.
func (u Unit) stopSCM() error {
	s, done, err := u.open(windows.SERVICE_STOP | windows.SERVICE_QUERY_STATUS)
	if err != nil {
		return err
	}
	defer done()
	_, refused := s.Control(svc.Stop) // it may not run
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for ; ; <-again.C {
		status, err := s.Query()
		if err != nil || status.State == svc.Stopped || refused != nil && status.State != svc.StopPending {
			return err
		}
	}
}

// stateSCM asks itself: the library takes one that starts for one that runs, and
// does not tell one that failed.
func (u Unit) stateSCM() (State, error) {
	s, done, err := u.open(windows.SERVICE_QUERY_STATUS)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return NotInstalled, nil
	}
	if err != nil {
		return "", fmt.Errorf("ask for the service %s: %w%s", u.Name, err, mend(err))
	}
	defer done()
	status, err := s.Query()
	if err != nil {
		return "", fmt.Errorf("ask for the service %s: %w", u.Name, err)
	}
	return windowsState(uint32(status.State), status.Win32ExitCode), nil
}

// open opens the service with that right alone; nobody else's is needed to look.
func (u Unit) open(right uint32) (*mgr.Service, func(), error) {
	all, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return nil, nil, err
	}
	name, err := windows.UTF16PtrFromString(u.Name)
	if err == nil {
		var h windows.Handle
		if h, err = windows.OpenService(all, name, right); err == nil {
			return &mgr.Service{Name: u.Name, Handle: h}, func() {
				_ = windows.CloseServiceHandle(h)
				_ = windows.CloseServiceHandle(all)
			}, nil
		}
	}
	_ = windows.CloseServiceHandle(all)
	return nil, nil, err
}

// mend says what to do about err, where that is known.
func mend(err error) string {
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return " It takes an administrator: open the console with \"Run as administrator\"."
	case errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE):
		return " The one before is being taken away: close the window of Services, and try again."
	case errors.Is(err, windows.ERROR_INVALID_SERVICE_ACCOUNT):
		return ` --user names nobody here: it takes NAME, DOMAIN\NAME, LocalService or NetworkService.`
	}
	return ""
}
