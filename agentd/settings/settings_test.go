package settings_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/agentd/settings"
)

var update = flag.Bool("update", false, "write the errors that the bad files give into testdata")

// lookup is an environment of one variable and no files.
func lookup() settings.Lookup {
	return settings.Lookup{
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"TOKEN": "skd_0123456789", "PASSWORD": "hunter2", "PIN": "12"}[name]
			return v, ok
		},
		File: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
	}
}

// TestBadFiles holds each file that is wrong in one way against the error
// beside it: where, what and how to mend it.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if name == "no_such_user" && runtime.GOOS == "windows" {
			continue // no user is looked for there
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = settings.Parse("agentd.yaml", data, lookup())
			if err == nil {
				t.Fatal("the file is taken")
			}
			golden := strings.TrimSuffix(path, ".yaml") + ".txt"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

const good = `
server: https://skadi.example.com
token: "${env:TOKEN}"
name: web-1
state_dir: /var/lib/skadi-agent
concurrency: 3
drain_timeout: 0s
kill_grace: 5s
timeout: 20m
output_limit: 64KiB
redact: ["${env:PASSWORD}"]
log: {level: debug, format: json}
commands:
  - name: deploy
    help: brings a version live
    args:
      - {name: version, pattern: 'v\d+\.\d+\.\d+'}
      - {name: count, int: {min: 1, max: 5}, optional: true}
    argv: ["/usr/local/bin/deploy", "--count={count}", "{version}"]
    env: {MODE: live}
    secret_env: {API_KEY: "a secret key"}
    pass_env: [HTTPS_PROXY]
    timeout: 5m
  - name: logs
    shell: true
    script: |
      tail -n "${1:-20}" /var/log/syslog
`

func TestGoodFile(t *testing.T) {
	t.Parallel()
	// What sh would expand must be told from a reference.
	text := strings.Replace(good, "${1:-20}", "$${1:-20}", 1)
	s, err := settings.Parse("agentd.yaml", []byte(text), lookup())
	if err != nil {
		t.Fatal(err)
	}
	if s.Token.Reveal() != "skd_0123456789" || s.Concurrency != 3 || s.DrainTimeout != 0 || s.OutputLimit != 64<<10 {
		t.Errorf("got %+v", s)
	}
	specs := s.Specs()
	if len(specs) != 2 {
		t.Fatalf("%d commands", len(specs))
	}
	deploy, logs := specs[0], specs[1]
	if deploy.Timeout != 5*time.Minute || deploy.Grace != 5*time.Second || deploy.Open() || deploy.Program() != "/usr/local/bin/deploy" {
		t.Errorf("deploy is %+v", deploy)
	}
	if logs.Timeout != 20*time.Minute || !logs.Open() || !strings.Contains(logs.Script, `"${1:-20}"`) {
		t.Errorf("logs is %+v", logs)
	}
	if got := deploy.String(); got != "deploy VERSION [COUNT] → /usr/local/bin/deploy" {
		t.Errorf("deploy is shown as %q", got)
	}
	secrets := s.Secrets()
	slices.Sort(secrets)
	if want := []string{"a secret key", "hunter2", "skd_0123456789"}; !slices.Equal(secrets, want) {
		t.Errorf("secrets are %q, want %q", secrets, want)
	}
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "secret_env.API_KEY") {
		t.Errorf("warnings are %q", w)
	}
}

// TestShortReferenceIsNotRedacted: what is as short as this would be found
// everywhere in the output.
func TestShortReferenceIsNotRedacted(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse("agentd.yaml", []byte(`
server: https://skadi.example.com
token: "${env:TOKEN}"
state_dir: state
handler: {argv: [/bin/cat], env: {PIN: "${env:PIN}"}}
`), lookup())
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(s.Secrets(), "12") {
		t.Error("12 is looked for")
	}
}

func TestLoadTakesRelativePathsFromTheFilesFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "agentd.yaml")
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	content := "server: http://localhost:8080\ntoken_file: token\nstate_dir: state\nredact: [\"${file:secret}\"]\n" +
		"handler: {argv: [./handle], dir: work}\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if s.TokenFile != filepath.Join(dir, "token") || s.StateDir != filepath.Join(dir, "state") || s.Specs()[0].Dir != filepath.Join(dir, "work") {
		t.Errorf("got %s, %s, %s", s.TokenFile, s.StateDir, s.Specs()[0].Dir)
	}
	if got := s.Redact[0].Reveal(); got != "hunter2" {
		t.Errorf("the secret is %q", got)
	}
	// With the file's line break it would join two lines of output.
	if got := s.Secrets(); !slices.Equal(got, []string{"hunter2"}) {
		t.Errorf("looked for is %q", got)
	}
	if _, err := settings.Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("commands: [{name: x, args: [{}]}]"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = settings.Parse("agentd.yaml", data, settings.Lookup{})
	})
}

// TestExample: the example is right, and shows every key that there is.
func TestExample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../agentd.yaml.example")
	if err != nil {
		t.Fatal(err)
	}
	l := lookup()
	l.File = func(path string) ([]byte, error) { return []byte("secret of " + path), nil }
	// The user may not be there, and cannot be switched to by everybody.
	text := regexp.MustCompile(`(?m)^    user: .*\n`).ReplaceAllString(string(data), "")
	s, err := settings.Parse("agentd.yaml.example", []byte(text), l)
	if err != nil {
		t.Fatal(err)
	}
	if w := s.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[settings.Settings](), reflect.TypeFor[settings.Log](), reflect.TypeFor[settings.Command](),
		reflect.TypeFor[settings.Arg](), reflect.TypeFor[settings.Int](), reflect.TypeFor[settings.Handler](),
	} {
		for i := range typ.NumField() {
			key := typ.Field(i).Tag.Get("yaml")
			if key != "" && !regexp.MustCompile(`(?m)(^|[ {#-])`+key+`:`).Match(data) {
				t.Errorf("%s of %s is not in the example", key, typ)
			}
		}
	}
}
