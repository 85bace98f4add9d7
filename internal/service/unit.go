package service

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
)

// Unit is what a program needs of the system.
type Unit struct {
	// Name is the service's, and that of its state folder.
	Name string
	// Description says what it is, in one line.
	Description string
	// Program and Args are run.
	Program string
	Args    []string
	// Config is the file that it reads, and Keeps the folders that this has it
	// write to, by the setting that names each.
	Config string
	Keeps  map[string]string
	// User runs it; without one systemd makes a user for it alone, and Windows
	// takes LocalSystem.
	User string
	// Reload: SIGHUP has it read its config again.
	Reload bool
	// Writable are folders that it may write to besides its state folder.
	Writable []string
	// Alone: it starts no programs, so that it can be forbidden more.
	Alone bool
	// Unconfined: what its user may do, it may do, as with sudo. It takes a User,
	// since one that systemd makes is always confined.
	Unconfined bool
	// StopSeconds is how long it may take to stop.
	StopSeconds int
	// Never are exit codes after which it is not started again.
	Never []int
}

// confined gives a program, and all that it starts, no privileges and no way to
// get any. Netlink is how ip, ss and resolvers look at the network; to change it
// takes a privilege.
var confined = []string{
	"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "PrivateTmp=yes", "PrivateDevices=yes",
	"ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
	"ProtectClock=yes", "ProtectHostname=yes", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", "RestrictNamespaces=yes",
	"RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "SystemCallArchitectures=native",
	"CapabilityBoundingSet=", "AmbientCapabilities=",
}

// alone is what a program that starts no others does not miss. Its files are
// for nobody else; those that an agent's commands write often are. The calls of
// @resources stay: with setrlimit it makes room for more connections.
var alone = []string{
	"UMask=0077", "ProtectProc=invisible", "RemoveIPC=yes", "MemoryDenyWriteExecute=yes",
	"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged", "SystemCallErrorNumber=EPERM",
}

// Print writes the unit for systemd, on systems that may have it, and to
// warnings why it would not start here, which Install would refuse: it may be
// for another machine.
func (u Unit) Print(w, warnings io.Writer) error { return u.printFor(runtime.GOOS, w, warnings) }

func (u Unit) printFor(system string, w, warnings io.Writer) error {
	if system == "windows" || system == "darwin" {
		return errors.New("--print writes a unit for systemd, which this system does not have: leave it out to install the service")
	}
	if err := u.absolute(); err != nil {
		return err
	}
	if err := u.reach(); err != nil {
		fmt.Fprintf(warnings, "warning: a service of this unit would not start here: %v\n", err)
	}
	_, err := io.WriteString(w, u.Systemd())
	return err
}

// Systemd returns the text of the unit for systemd. Unless it is Unconfined, the
// program may write to its state folder and little else, and gets no privileges.
func (u Unit) Systemd() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("[Unit]")
	line("Description=%s", strings.ReplaceAll(u.Description, "%", "%%"))
	line("After=network-online.target")
	line("Wants=network-online.target")
	line("")
	line("[Service]")
	words := []string{quoted(u.Program)}
	for _, a := range u.Args {
		words = append(words, quoted(a))
	}
	line("ExecStart=%s", strings.Join(words, " "))
	if u.Reload {
		line("ExecReload=/bin/kill -HUP $MAINPID")
	}
	line("Restart=always")
	line("RestartSec=2")
	for _, code := range u.Never {
		line("RestartPreventExitStatus=%d", code)
	}
	// The program ends what it has begun itself.
	line("KillMode=mixed")
	line("TimeoutStopSec=%d", u.StopSeconds)
	line("")
	if u.User == "" {
		line("DynamicUser=yes")
	} else {
		line("User=%s", u.User)
	}
	// What ${env:…} of a config stands for; the user need not be able to read it.
	line("EnvironmentFile=-/etc/default/%s", u.Name)
	line("StateDirectory=%s", u.Name)
	line("StateDirectoryMode=0700")
	line("WorkingDirectory=%s", u.stateFolder())
	if !u.Unconfined {
		for _, dir := range u.Writable {
			line("ReadWritePaths=%s", quoted(dir))
		}
		line("")
		for _, hard := range confined {
			line("%s", hard)
		}
	}
	if u.Alone {
		for _, hard := range alone {
			line("%s", hard)
		}
	}
	line("")
	line("[Install]")
	line("WantedBy=multi-user.target")
	return b.String()
}

// quoted is a word as systemd reads it in a command or a list.
func quoted(word string) string {
	word = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`).Replace(word)
	if word == "" || strings.ContainsAny(word, " \t\\\"';") {
		return `"` + word + `"`
	}
	return word
}
