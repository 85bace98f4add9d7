package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

func TestLocalCommands(t *testing.T) {
	t.Parallel()
	seconds := 0
	commands := map[string]localCommand{}
	for _, c := range localCommands(func(context.Context) error { seconds++; return nil }) {
		commands[c.name] = c
	}
	tests := []struct {
		command, args string
		want          string // the output
		contains      string
		fails         string
	}{
		{command: "hello", args: "Ada", want: "Hello, Ada!\n"},
		{command: "hello", args: "Ada Lovelace", want: "Hello, Ada Lovelace!\n"},
		{command: "hello", contains: "Hello, "},
		{command: "uptime", contains: " has been up for "},
		{command: "uptime", args: "now", fails: "takes nothing"},
		{command: "disk", contains: " free of "},
		{command: "disk", args: "/", fails: "takes nothing"},
		{command: "countdown", args: "3", want: "3\n2\n1\ndone\n"},
		{command: "countdown", args: "0", fails: "from 1 to"},
		{command: "countdown", args: "601", fails: "from 1 to"},
		{command: "countdown", args: "five", fails: "how many seconds"},
		{command: "countdown", args: "", fails: "how many seconds"},
	}
	for _, tt := range tests {
		t.Run(tt.command+" "+tt.args, func(t *testing.T) {
			var out bytes.Buffer
			err := commands[tt.command].run(t.Context(), tt.args, &out)
			switch {
			case tt.fails != "":
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("error %v, want one with %q", err, tt.fails)
				}
			case err != nil:
				t.Fatal(err)
			case tt.want != "" && out.String() != tt.want, !strings.Contains(out.String(), tt.contains):
				t.Errorf("output %q", out.String())
			}
		})
	}
	if seconds != 3 {
		t.Errorf("the countdowns took %d seconds", seconds)
	}
}

func TestCountdownStops(t *testing.T) {
	t.Parallel()
	stop := errors.New("stopped")
	var out bytes.Buffer
	err := countdown(func(context.Context) error { return stop })(t.Context(), "5", &out)
	if !errors.Is(err, stop) || out.String() != "5\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1 << 63: "8.0 EiB",
	} {
		if got := byteSize(n); got != want {
			t.Errorf("byteSize(%d) = %q, want %q", n, got, want)
		}
	}
}
