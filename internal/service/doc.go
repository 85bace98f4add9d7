// Package service has the system's service manager start a program: systemd
// with hardened units, launchd on macOS, the Service Control Manager of Windows.
package service
