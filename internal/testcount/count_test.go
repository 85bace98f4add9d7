package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module of one package and returns its folder.
func module(t *testing.T, testFile string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.com/x\n\ngo 1.26\n",
		"x_test.go": "package x\n\nimport \"testing\"\n\n" + testFile,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		file    string
		summary string
		output  []string
	}{
		{
			name:    "counts subtests and skips",
			file:    `func TestA(t *testing.T) { t.Run("b", func(*testing.T) {}); t.Run("c", func(t *testing.T) { t.Skip("no moon") }) }`,
			summary: "2 passed, 0 failed, 1 skipped",
			output:  []string{"ok    example.com/x", "example.com/x TestA/c: x_test.go:5: no moon"},
		},
		{
			name:    "shows what failed",
			file:    `func TestA(t *testing.T) { t.Error("because") }` + "\nfunc TestB(*testing.T) {}",
			summary: "1 passed, 1 failed",
			output:  []string{"because", "FAIL  example.com/x", "--- example.com/x TestA"},
		},
		{
			name:    "a build that fails is a failure",
			file:    `func TestA(t *testing.T) { undefined() }`,
			summary: "0 passed, 1 failed",
			output:  []string{"undefined: undefined"},
		},
		{
			name:    "a panic is a failure of the test that was running",
			file:    `func TestA(*testing.T) { panic("oh no") }` + "\nfunc TestB(*testing.T) {}",
			summary: "0 passed, 1 failed",
			output:  []string{"oh no", "--- example.com/x TestA"},
		},
		{
			name:    "an exit is a failure",
			file:    `func TestMain(*testing.M) { panic("before any test") }`,
			summary: "0 passed, 1 failed",
			output:  []string{"before any test"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c := newCount(&out)
			if err := run(c, module(t, tt.file), []string{"./..."}); err != nil {
				t.Fatal(err)
			}
			out.WriteString(c.summary())
			lines := strings.Split(c.summary(), "\n")
			if last := lines[len(lines)-1]; last != tt.summary {
				t.Errorf("summary %q, want %q\n%s", last, tt.summary, out.String())
			}
			for _, want := range tt.output {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
		})
	}
}

func TestRunInNoModule(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := newCount(&out)
	if err := run(c, t.TempDir(), []string{"./..."}); err == nil && c.failed == 0 {
		t.Errorf("no failure: %s", out.String())
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, dirs, flags string }{
		{"./...", ".", "./..."},
		{"-- -race ./...", ".", "-race ./..."},
		{". bench -- ./...", ". bench", "./..."},
	} {
		dirs, flags := split(strings.Fields(tt.args))
		if strings.Join(dirs, " ") != tt.dirs || strings.Join(flags, " ") != tt.flags {
			t.Errorf("split(%q) = %q, %q", tt.args, dirs, flags)
		}
	}
}
