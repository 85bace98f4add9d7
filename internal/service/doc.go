// Package service has the system's service manager start a program: systemd
// with hardened units, launchd on macOS.
package service
