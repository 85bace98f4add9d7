package service

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"text/template"

	"github.com/letserverrun/skadi/internal/throwaway"
)

var update = flag.Bool("update", false, "write what the units are as what they should be")

func units() map[string]Unit {
	return map[string]Unit{
		"skadi": {
			Name: "skadi", Description: "Skadi server", Program: "/usr/local/bin/skadi",
			Args: []string{"serve", "-c", "/etc/skadi/skadi.yaml"}, Reload: true, Alone: true, StopSeconds: 30,
		},
		"agentd": {
			Name: "agentd", Description: "Skadi agent", Program: "/opt/100 % \"mine\"/agentd",
			Args: []string{"run", "-c", "/etc/agent d/{{.Name}}$HOME.yaml"}, User: "deploy", Writable: []string{"/srv/www", "/srv/a b"}, StopSeconds: 300, Never: []int{3},
		},
		"unconfined": {
			Name: "agentd", Description: "Skadi agent", Program: "/usr/bin/agentd",
			Args: []string{"run", "-c", "/etc/skadi/agentd.yaml"}, User: "deploy", Unconfined: true, StopSeconds: 300, Never: []int{3},
		},
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for name, u := range units() {
		golden := filepath.Join("testdata", name+".service")
		got := u.Systemd()
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != got {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
		// What the library makes of it is the same.
		var b strings.Builder
		text := strings.ReplaceAll(got, "{{", `{{"{{"}}`)
		if err := template.Must(template.New("").Parse(text)).Execute(&b, nil); err != nil || b.String() != got {
			t.Errorf("%s as a template: %v\n%s", name, err, b.String())
		}
	}
}

func TestSystemdTakesTheUnits(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("systemd is of Linux")
	}
	verify := throwaway.Program(t, "systemd-analyze", "systemd")
	for name, u := range units() {
		u.Program = "/bin/true"
		file := filepath.Join(t.TempDir(), name+".service")
		if err := os.WriteFile(file, []byte(u.Systemd()), 0o600); err != nil {
			t.Fatal(err)
		}
		// What it does not know it names with the file's path, and ends with 0.
		out, err := exec.CommandContext(t.Context(), verify, "verify", file).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte(file)) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestPrintForOthers(t *testing.T) {
	t.Parallel()
	u := Unit{Name: "agentd", Program: "/usr/bin/agentd"}
	for system, ok := range map[string]bool{"linux": true, "freebsd": true, "windows": false, "darwin": false} {
		var out strings.Builder
		err := u.printFor(system, &out, io.Discard)
		if (err == nil) != ok || (out.String() == u.Systemd()) != ok {
			t.Errorf("%s: %v, %q", system, err, out.String())
		}
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "": `""`, "a b": `"a b"`, `a"b`: `"a\"b"`, "50%": "50%%", "$HOME": "$$HOME", `a\b`: `"a\\b"`, "a\nb": `"a\nb"`,
	} {
		if got := quoted(in); got != want && in != "a\nb" {
			t.Errorf("quoted(%q) = %s, want %s", in, got, want)
		}
		if strings.Contains(quoted(in), "\n") {
			t.Errorf("quoted(%q) breaks the line", in)
		}
	}
}
