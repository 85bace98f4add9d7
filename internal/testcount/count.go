package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// count adds up events and prints what people want to see of them.
type count struct {
	out                     io.Writer
	passed, failed, skipped int
	failures, skips         []string

	pending map[string]map[string]*test // by package, then by test
	builds  map[string][]string         // what the compiler said
}

// test is one that has not ended, with what it printed.
type test struct{ output []string }

// reason is the last thing that a test said before it was skipped.
func (t *test) reason() string {
	if t == nil {
		return ""
	}
	for _, line := range slices.Backward(t.output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			return ": " + line
		}
	}
	return ""
}

func newCount(out io.Writer) *count {
	return &count{out: out, pending: map[string]map[string]*test{}, builds: map[string][]string{}}
}

// read counts the events of one run of go test. Lines that are no event are
// passed on.
func (c *count) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				c.add(e)
			} else {
				_, _ = c.out.Write(line)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the output of go test: %w", err)
		}
	}
}

func (c *count) add(e event) {
	if e.Action == "build-output" {
		c.builds[e.ImportPath] = append(c.builds[e.ImportPath], e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	tests := c.pending[e.Package]
	if tests == nil {
		tests = map[string]*test{}
		c.pending[e.Package] = tests
	}
	switch e.Action {
	case "run", "output":
		if tests[e.Test] == nil {
			tests[e.Test] = &test{}
		}
		if e.Output != "" {
			tests[e.Test].output = append(tests[e.Test].output, e.Output)
		}
	case "pass", "skip", "fail":
		if e.Test == "" {
			c.packageEnds(e)
		} else {
			c.testEnds(e, tests[e.Test])
			delete(tests, e.Test)
		}
	}
}

func (c *count) testEnds(e event, t *test) {
	switch e.Action {
	case "pass":
		c.passed++
	case "skip":
		c.skipped++
		c.skips = append(c.skips, e.Package+" "+e.Test+t.reason())
	case "fail":
		c.fail(e.Package, e.Test, t)
	}
}

// packageEnds prints the package's line. What still runs when its package
// fails was cut short, by a panic or a time-out, and counts as failed.
func (c *count) packageEnds(e event) {
	tests := c.pending[e.Package]
	delete(c.pending, e.Package)
	own := tests[""]
	delete(tests, "")
	if e.Action != "fail" {
		if e.Action == "pass" {
			fmt.Fprintf(c.out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
		}
		return
	}

	before := len(c.failures)
	for _, name := range sortedKeys(tests) {
		c.fail(e.Package, name, tests[name])
	}
	if e.FailedBuild != "" {
		own = &test{output: c.builds[e.FailedBuild]}
	}
	if !c.hasFailureIn(e.Package) {
		c.fail(e.Package, "", own)
	} else if own != nil && len(c.failures) > before {
		// The trace of a panic is printed by the package.
		c.print(own)
	}
	fmt.Fprintf(c.out, "FAIL  %s  %.1fs\n", e.Package, e.Elapsed)
}

func (c *count) hasFailureIn(pkg string) bool {
	return slices.ContainsFunc(c.failures, func(f string) bool {
		return f == pkg || strings.HasPrefix(f, pkg+" ")
	})
}

func (c *count) fail(pkg, name string, t *test) {
	c.failed++
	what := strings.TrimSpace(pkg + " " + name)
	c.failures = append(c.failures, what)
	fmt.Fprintf(c.out, "--- %s\n", what)
	if t != nil {
		c.print(t)
	}
}

func (c *count) print(t *test) {
	for _, line := range t.output {
		_, _ = io.WriteString(c.out, line)
	}
}

// broke counts a run of go test that failed without telling of what.
func (c *count) broke(dir string, err error) {
	c.failed++
	c.failures = append(c.failures, dir)
	fmt.Fprintf(c.out, "--- go test in %s: %v\n", dir, err)
}

// summary names what was skipped and what failed, and ends with the counting
// line.
func (c *count) summary() string {
	var b strings.Builder
	for _, list := range []struct {
		title string
		names []string
	}{{"skipped", c.skips}, {"failed", c.failures}} {
		if len(list.names) > 0 {
			b.WriteString("\n" + list.title + ":\n  " + strings.Join(list.names, "\n  ") + "\n")
		}
	}
	fmt.Fprintf(&b, "\n%d passed, %d failed", c.passed, c.failed)
	if c.skipped > 0 {
		fmt.Fprintf(&b, ", %d skipped", c.skipped)
	}
	return b.String()
}

func sortedKeys(m map[string]*test) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
