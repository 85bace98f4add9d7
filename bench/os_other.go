//go:build !linux

package main

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }

func dieAs(_, _ uint32) *syscall.SysProcAttr { return nil }

func inMemory(string) bool { return false }
