//go:build !linux

package main

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }

func inMemory(string) bool { return false }
