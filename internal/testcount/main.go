// Command testcount runs `go test` in one or more module folders and ends with
// one line that counts every test and subtest:
//
//	1234 passed, 0 failed, 2 skipped
//
// It prints the output of what failed and one line for each package, and
// fails if anything did: a test, a build, or go test itself.
//
//	testcount [DIR ...] -- [go test flags] PACKAGES
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
)

func main() {
	dirs, flags := split(os.Args[1:])
	if len(flags) == 0 {
		fmt.Fprintln(os.Stderr, "usage: testcount [DIR ...] -- [go test flags] PACKAGES")
		os.Exit(2)
	}
	// Ctrl-C reaches go test by itself; what ran until then is still counted.
	// Notify instead of Ignore, since a child would inherit the latter.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)

	c := newCount(os.Stdout)
	for _, dir := range dirs {
		if err := run(c, dir, flags); err != nil {
			c.broke(dir, err)
		}
	}
	fmt.Println(c.summary())
	if c.failed > 0 {
		os.Exit(1)
	}
}

// split parts the folders from the flags of go test.
func split(args []string) (dirs, flags []string) {
	i := slices.Index(args, "--")
	if i < 0 {
		return []string{"."}, args
	}
	if i == 0 {
		return []string{"."}, args[1:]
	}
	return args[:i], args[i+1:]
}

// run feeds c with the tests of one folder. A failure that go test has told
// as an event is no error here.
func run(c *count, dir string, flags []string) error {
	cmd := exec.Command("go", append([]string{"test", "-json"}, flags...)...) //nolint:noctx // ends with go test
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	before := c.failed
	readErr := c.read(out)
	if readErr != nil {
		_, _ = io.Copy(io.Discard, out)
	}
	if err := cmd.Wait(); err != nil && c.failed == before {
		return err
	}
	return readErr
}
