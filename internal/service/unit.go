package service

import (
	"fmt"
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
	// User runs it; without one systemd makes a user for it alone.
	User string
	// Reload: SIGHUP has it read its config again.
	Reload bool
	// Writable are folders that it may write to besides its state folder.
	Writable []string
	// StopSeconds is how long it may take to stop.
	StopSeconds int
	// Never are exit codes after which it is not started again.
	Never []int
}

// Systemd returns the text of the unit for systemd: the program may write to
// its state folder and little else, and gets no privileges.
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
	line("StateDirectory=%s", u.Name)
	line("StateDirectoryMode=0700")
	line("WorkingDirectory=/var/lib/%s", u.Name)
	line("UMask=0077")
	for _, dir := range u.Writable {
		line("ReadWritePaths=%s", quoted(dir))
	}
	line("")
	for _, hard := range []string{
		"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=read-only", "PrivateTmp=yes", "PrivateDevices=yes",
		"ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes",
		"ProtectClock=yes", "ProtectHostname=yes", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "RestrictNamespaces=yes",
		"RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "SystemCallArchitectures=native",
		"CapabilityBoundingSet=", "AmbientCapabilities=",
	} {
		line("%s", hard)
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
