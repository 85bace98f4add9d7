//go:build !windows

package service

func (u Unit) installSCM() error        { return errNoManager }
func (u Unit) uninstallSCM() error      { return errNoManager }
func (u Unit) stateSCM() (State, error) { return "", errNoManager }
