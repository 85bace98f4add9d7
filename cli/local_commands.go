package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/job"
)

// localAgent is the name of the agent that `up` brings along.
const localAgent = "local"

// maxCountdown keeps a countdown within the time that a job may run.
const maxCountdown = 600

// localCommand is something that the agent of `up` can do. run gets what
// followed the command's name and writes its output as it comes.
type localCommand struct {
	name, usage, help string
	run               func(ctx context.Context, args string, w io.Writer) error
}

// localCommands are made with every second of the countdown, so that a test
// need not wait for it.
func localCommands(second func(context.Context) error) []localCommand {
	return []localCommand{
		{"hello", "hello [name]", "says hello", hello},
		{"uptime", "uptime", "how long this machine has been up", uptime},
		{"disk", "disk", "how much room is left on this disk", disk},
		{"countdown", "countdown <seconds>", "counts down, one line a second", countdown(second)},
	}
}

func hello(_ context.Context, args string, w io.Writer) error {
	name := args
	if name == "" {
		name = userName()
	}
	_, err := fmt.Fprintf(w, "Hello, %s!\n", name)
	return err
}

func uptime(_ context.Context, args string, w io.Writer) error {
	if args != "" {
		return errors.New("uptime takes nothing more")
	}
	d, err := sinceBoot()
	if err != nil {
		return fmt.Errorf("this system does not say how long it has been up: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	_, err = fmt.Fprintf(w, "%s has been up for %s (%s/%s, %d CPUs)\n", host, job.Ago(d), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	return err
}

func disk(_ context.Context, args string, w io.Writer) error {
	if args != "" {
		return errors.New("disk takes nothing more")
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	size, free, err := diskSpace(dir)
	if err != nil {
		return fmt.Errorf("the disk of %s: %w", dir, err)
	}
	used := 0.0
	if size > 0 {
		used = 100 * float64(size-min(free, size)) / float64(size)
	}
	_, err = fmt.Fprintf(w, "%s free of %s on the disk of %s (%.0f %% used)\n", byteSize(free), byteSize(size), dir, used)
	return err
}

// byteSize writes a number of bytes as a person would: 3.4 GiB.
func byteSize(n uint64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v := float64(n) / 1024
	for v >= 1024 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

func countdown(second func(context.Context) error) func(context.Context, string, io.Writer) error {
	return func(ctx context.Context, args string, w io.Writer) error {
		n, err := strconv.Atoi(strings.TrimSpace(args))
		if err != nil || n < 1 || n > maxCountdown {
			return fmt.Errorf("say how many seconds, from 1 to %d: countdown 5", maxCountdown)
		}
		for ; n > 0; n-- {
			if _, err := fmt.Fprintf(w, "%d\n", n); err != nil {
				return err
			}
			if err := second(ctx); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(w, "done")
		return err
	}
}

// aSecond waits for a second, or for ctx to end.
func aSecond(ctx context.Context) error { return pause(ctx, time.Second) }
