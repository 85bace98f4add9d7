package service

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// ownFolders are those of which systemd gives a confined program empty ones of
// its own.
var ownFolders = []string{"/tmp", "/var/tmp"}

// absolute makes the folders of --writable absolute: a unit has no folder that a
// relative one would begin at.
func (u *Unit) absolute() error {
	u.Writable = slices.Clone(u.Writable)
	for i, dir := range u.Writable {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		u.Writable[i] = abs
	}
	return nil
}

// reach refuses a unit that keeps its own program from what it needs, so that
// it would fail at each start.
func (u *Unit) reach() error {
	if u.Unconfined {
		return nil
	}
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if under(u.Program, ownFolders...) {
		refuse("the program %s would not be there: the service gets a %s of its own; put it elsewhere, as in /usr/local/bin", u.Program, top(u.Program))
	}
	if under(u.Config, ownFolders...) {
		refuse("the config %s would not be there: the service gets a %s of its own; put it elsewhere, as in /etc/skadi", u.Config, top(u.Config))
	}
	for _, dir := range u.Writable {
		if under(dir, ownFolders...) {
			refuse("--writable: %s would not be there: the service gets a %s of its own, to which it may write", dir, top(dir))
		}
	}
	state := u.stateFolder()
	for _, setting := range slices.Sorted(maps.Keys(u.Keeps)) {
		dir := u.Keeps[setting]
		if under(dir, append(u.Writable, state, "/var/lib/private/"+u.Name)...) {
			continue
		}
		hint := ", or let it write there with --writable " + dir
		switch {
		case under(dir, ownFolders...):
			hint = ""
		case u.User == "":
			hint += " and with --user, as somebody who may"
		}
		refuse("%s: the service may not write to %s: keep it below %s%s", setting, dir, state, hint)
	}
	return errors.Join(errs...)
}

// stateFolder is the folder that systemd makes for the service.
func (u *Unit) stateFolder() string { return "/var/lib/" + u.Name }

// under reports whether the path is one of the folders, or in one.
func under(path string, folders ...string) bool {
	path = filepath.ToSlash(filepath.Clean(path))
	return slices.ContainsFunc(folders, func(dir string) bool {
		dir = filepath.ToSlash(filepath.Clean(dir))
		return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
	})
}

// top is which of ownFolders the path is in.
func top(path string) string {
	return ownFolders[slices.IndexFunc(ownFolders, func(dir string) bool { return under(path, dir) })]
}
