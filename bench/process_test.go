package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMain lets the test's own program play roles.
func TestMain(m *testing.M) {
	roles["failing"] = func([]byte, func(any) error, <-chan struct{}) error { return errors.New("this role fails") }
	if name := os.Getenv(roleEnv); name != "" {
		if err := play(roles[name], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestRolesAnswer(t *testing.T) {
	t.Parallel()
	var at floorServer
	server, err := cast(t.Context(), "floor-server", struct{}{}, &at)
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	if _, err := ask(t.Context(), "floor-load", floorLoad{Addr: at.Addr, Jobs: 100, Conns: 4}, &o); err != nil {
		t.Error(err)
	}
	if o.Jobs != 100 || o.rate() <= 0 {
		t.Errorf("the load answered %+v", o)
	}
	if used, err := server.resident(); err == nil && used < 1<<20 {
		t.Errorf("the server takes %s", mib(used))
	}
	if err := server.stop(); err != nil {
		t.Error(err)
	}
}

func TestFailureTellsWhatTheProcessSaid(t *testing.T) {
	t.Parallel()
	_, err := ask(t.Context(), "failing", struct{}{}, &struct{}{})
	if err == nil || !strings.Contains(err.Error(), "this role fails") {
		t.Errorf("got %v; want what it said", err)
	}
}

func TestBookNotesEachJobOnce(t *testing.T) {
	t.Parallel()
	b := newBook(2)
	for i := range 2 {
		b.sent[i].Store(b.now())
		b.accepted[i].Store(b.now())
	}
	if b.start(-1) || b.start(0) {
		t.Error("not all jobs have started")
	}
	if err := b.check(); err == nil {
		t.Error("a job that did not start goes unnoticed")
	}
	if !b.start(1) {
		t.Error("all jobs have started")
	}
	if err := b.check(); err != nil {
		t.Error(err)
	}
	b.start(1)
	if err := b.check(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a job that ran twice: %v", err)
	}
}
