// Package packaging holds what makes packages and images of the programs, and
// the tests of it.
package packaging

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// run runs a program to its end, and returns what it says.
func run(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDebianPackages builds the packages, looks into them, and runs what is in
// them. Nothing is installed.
func TestDebianPackages(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("what is in the packages runs on Linux")
	}
	dpkg := throwaway.Program(t, "dpkg-deb", "dpkg")
	for _, tc := range []struct {
		program, pkg string
		files        []string
		// check has the unpacked program read the config of the package.
		check func(t *testing.T, program, config string)
	}{
		{"skadi", "skadi", []string{"skadi.yaml.example", "README.md", "docs/operations.md"}, checkServer},
		{"agentd", "skadi-agentd", []string{"agentd.yaml.example", "agents.md"}, checkAgent},
	} {
		t.Run(tc.program, func(t *testing.T) {
			t.Parallel()
			// Without the profile the build cache of the other tests serves here too.
			env := []string{"VERSION=v1.2.3-rc.1", "COMMIT=0123456789ab", "GOFLAGS=-pgo=off -buildvcs=false", "SOURCE_DATE_EPOCH=1767225600"}
			deb := strings.TrimSpace(run(t, env, "./deb.sh", tc.program, runtime.GOARCH, t.TempDir()))
			if want := tc.pkg + "_1.2.3~rc.1_" + runtime.GOARCH + ".deb"; filepath.Base(deb) != want {
				t.Errorf("the package is %s, want %s", deb, want)
			}
			control := t.TempDir()
			run(t, nil, dpkg, "-e", deb, control)
			lookAtControl(t, control, tc.program, tc.pkg)

			list := run(t, []string{"TZ=UTC"}, dpkg, "-c", deb)
			expectFiles(t, list, map[string]string{
				"usr/bin/" + tc.program:                                       "-rwxr-xr-x",
				"etc/skadi/" + tc.program + ".yaml":                           "-rw-r-----",
				"usr/lib/systemd/system/" + tc.program + ".service":           "-rw-r--r--",
				"usr/share/bash-completion/completions/" + tc.program:         "-rw-r--r--",
				"usr/share/zsh/vendor-completions/_" + tc.program:             "-rw-r--r--",
				"usr/share/fish/vendor_completions.d/" + tc.program + ".fish": "-rw-r--r--",
				"usr/share/doc/" + tc.pkg + "/copyright":                      "-rw-r--r--",
			})
			for line := range strings.Lines(list) {
				if !strings.Contains(line, " 2026-01-01 00:00 ") {
					t.Errorf("its time is not that of the source, so that the package is never the same again: %s", line)
				}
				if strings.HasPrefix(line, "d") && !strings.HasPrefix(line, "drwxr-xr-x ") {
					t.Errorf("a folder that not everybody can enter, or others can write: %s", line)
				}
			}
			for _, f := range tc.files {
				expectFiles(t, list, map[string]string{"usr/share/doc/" + tc.pkg + "/" + f: "-rw-r--r--"})
			}

			root := t.TempDir()
			run(t, nil, dpkg, "-x", deb, root)
			program := filepath.Join(root, "usr/bin", tc.program)
			if said := run(t, nil, program, "--version"); !strings.HasPrefix(said, tc.program+" v1.2.3-rc.1") {
				t.Errorf("--version says %q", said)
			}
			tc.check(t, program, filepath.Join(root, "etc/skadi", tc.program+".yaml"))
			unit := read(t, filepath.Join(root, "usr/lib/systemd/system", tc.program+".service"))
			for _, want := range []string{
				"ExecStart=/usr/bin/" + tc.program + " ", " -c /etc/skadi/" + tc.program + ".yaml\n",
				"User=" + tc.program + "\n", "NoNewPrivileges=yes\n", "ProtectSystem=strict\n",
			} {
				if !strings.Contains(unit, want) {
					t.Errorf("the unit has no %q:\n%s", want, unit)
				}
			}
		})
	}
}

// expectFiles holds a list of dpkg-deb against the modes of files, all root's.
func expectFiles(t *testing.T, list string, modes map[string]string) {
	t.Helper()
	for file, mode := range modes {
		line := regexp.MustCompile(`(?m)^(\S+) (\S+) .* \.?/` + regexp.QuoteMeta(file) + `$`).FindStringSubmatch(list)
		if line == nil {
			t.Errorf("the package has no /%s:\n%s", file, list)
		} else if line[1] != mode || line[2] != "root/root" {
			t.Errorf("/%s is %s of %s, want %s of root/root", file, line[1], line[2], mode)
		}
	}
}

func lookAtControl(t *testing.T, dir, program, pkg string) {
	t.Helper()
	fields := read(t, filepath.Join(dir, "control"))
	for _, want := range []string{
		"Package: " + pkg, "Version: 1.2.3~rc.1", "Architecture: " + runtime.GOARCH, "Section: admin", "Priority: optional",
		"Depends: passwd", "Homepage: https://github.com/letserverrun/skadi", "Maintainer: The Skadi authors <",
	} {
		if !strings.Contains("\n"+fields, "\n"+want) {
			t.Errorf("control has no %q:\n%s", want, fields)
		}
	}
	if conf := read(t, filepath.Join(dir, "conffiles")); strings.TrimSpace(conf) != "/etc/skadi/"+program+".yaml" {
		t.Errorf("conffiles: %q", conf)
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		script := filepath.Join(dir, name)
		run(t, nil, "sh", "-n", script)
		text := read(t, script)
		if regexp.MustCompile(`@\w+@`).MatchString(text) || strings.Contains(text, "systemctl start") || strings.Contains(text, "enable --now") {
			t.Errorf("%s:\n%s", name, text)
		}
		// What root calls before the first start finds the folder; and a purge
		// leaves no secret.
		for in, want := range map[string]string{
			"postinst": "install -d -m 700 -o " + program + " -g " + program + " /var/lib/" + program + "\n",
			"postrm":   "rm -f /etc/skadi/" + program + ".token\n",
		} {
			if name == in && !strings.Contains(text, want) {
				t.Errorf("%s does not: %s", name, want)
			}
		}
		if info, err := os.Stat(script); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func checkServer(t *testing.T, program, config string) {
	t.Helper()
	run(t, nil, program, "config", "check", "-c", config)
	if said := run(t, nil, program, "--version"); !strings.Contains(said, "0123456789ab") {
		t.Errorf("--version names no commit: %q", said)
	}
}

// checkAgent gives the agent the token and the program that its config names.
func checkAgent(t *testing.T, program, config string) {
	t.Helper()
	dir := t.TempDir()
	token := filepath.Join(dir, "agentd.token")
	if err := os.WriteFile(token, []byte("skd_none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("/etc/skadi/agentd.token", token, "/var/lib/agentd", dir, "/usr/bin/uptime", program).Replace(read(t, config))
	file := filepath.Join(dir, "agentd.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := run(t, nil, program, "check", "-c", file); !strings.Contains(said, "uptime") {
		t.Errorf("check says %q", said)
	}
}
