package packaging

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/letserverrun/skadi/config"
)

// TestDockerfile holds what keeps the image small and without rights. No image
// is built: that takes Docker and what it downloads.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(read(t, "../Dockerfile"), "\\\n", "")
	stages := regexp.MustCompile(`(?m)^FROM (.*)$`).FindAllStringSubmatchIndex(text, -1)
	if len(stages) != 2 {
		t.Fatalf("%d stages, want one that builds and one that runs", len(stages))
	}
	build, final := text[:stages[1][0]], text[stages[1][0]:]
	// It builds a static program, as for the packages, which a test runs.
	if !strings.Contains(build, "\nRUN packaging/build.sh skadi ") || !strings.Contains(read(t, "build.sh"), "CGO_ENABLED=0 ") {
		t.Error("the program is not built to be static")
	}
	for _, want := range []string{"VERSION", "COMMIT"} {
		if !strings.Contains(build, "\nARG "+want+"=\n") || !strings.Contains(read(t, "build.sh"), "${"+want+":+") {
			t.Errorf("the build takes no %s", want)
		}
	}
	if !strings.HasPrefix(final, "FROM gcr.io/distroless/static") {
		t.Error("the image has more in it than the program")
	}
	if strings.Contains("\n"+final, "\nRUN ") {
		t.Error("nothing can run in an image without a shell")
	}
	user := regexp.MustCompile(`(?m)^USER (\S+)$`).FindAllStringSubmatch(final, -1)
	if len(user) != 1 || !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user[0][1]) {
		t.Errorf("the user is %v, want a number that is not root's, which Kubernetes can check", user)
	}
	for _, want := range []string{
		`HEALTHCHECK .* CMD \["/usr/local/bin/skadi", "health", "-c", "/etc/skadi/skadi\.yaml"\]`,
		`ENTRYPOINT \["/usr/local/bin/skadi"\]`, `CMD \["serve", "-c", "/etc/skadi/skadi\.yaml"\]`, `VOLUME /var/lib/skadi`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(regexp.MustCompile(`[ \t]+`).ReplaceAllString(final, " ")) {
			t.Errorf("the image has no %s", want)
		}
	}
	ignored := strings.Fields(read(t, "../.dockerignore"))
	for _, want := range []string{".git", "*.token", "secrets", "etc", "skadi.yaml"} {
		if !slices.Contains(ignored, want) {
			t.Errorf(".dockerignore lets %s into the build", want)
		}
	}
	kept := strings.Fields(read(t, "../.gitignore"))
	for _, want := range []string{"*.token", "/secrets/", "/etc/", "/skadi.yaml"} {
		if !slices.Contains(kept, want) {
			t.Errorf(".gitignore lets %s into a commit", want)
		}
	}
}

// service is what the tests know of one in compose.yaml.
type service struct {
	Image       string
	Build       string
	Command     []string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Restart     string
	StopGrace   string `yaml:"stop_grace_period"`
	Ports       []string
	Volumes     []string
	Secrets     []string
	Tmpfs       []string
	Environment map[string]string
	Healthcheck struct {
		Test        []string
		Interval    string
		Timeout     string
		StartPeriod string `yaml:"start_period"`
		Retries     int
	}
	DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
}

// TestCompose holds compose.yaml against what Skadi needs of it. Nothing of it
// is started.
func TestCompose(t *testing.T) {
	t.Parallel()
	text := read(t, "../compose.yaml")
	var file struct {
		Services map[string]service
		Volumes  map[string]map[string]string
		Secrets  map[string]struct{ File string }
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), &file, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if len(file.Services) != 3 {
		t.Errorf("%d services, want skadi, mysql and redis", len(file.Services))
	}
	for name, s := range file.Services {
		if len(s.Healthcheck.Test) < 2 {
			t.Errorf("%s has no health check", name)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may get privileges", name)
		}
		for _, secret := range s.Secrets {
			if _, ok := file.Secrets[secret]; !ok {
				t.Errorf("%s takes the secret %s, which is nowhere", name, secret)
			}
		}
		for key, value := range s.Environment {
			if strings.Contains(key, "PASSWORD") && !strings.HasSuffix(key, "_FILE") && value != "yes" {
				t.Errorf("%s: %s stands in the file", name, key)
			}
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: the port %s is open to all", name, port)
			}
		}
	}
	for name, secret := range file.Secrets {
		if !strings.HasPrefix(secret.File, "./secrets/") {
			t.Errorf("the secret %s is in no file of ./secrets", name)
		}
	}
	skadi := file.Services["skadi"]
	if !skadi.ReadOnly || !slices.Equal(skadi.CapDrop, []string{"ALL"}) {
		t.Errorf("skadi: read_only %v, cap_drop %v", skadi.ReadOnly, skadi.CapDrop)
	}
	for _, name := range []string{"mysql", "redis"} {
		if skadi.DependsOn[name].Condition != "service_healthy" {
			t.Errorf("skadi does not wait for %s", name)
		}
	}
	if !slices.Equal(skadi.Healthcheck.Test[:3], []string{"CMD", "/usr/local/bin/skadi", "health"}) {
		t.Errorf("the health check is %q", skadi.Healthcheck.Test)
	}
	// Of a file the container would go on seeing the old one after an editor has
	// put a new one in its place, and a reload would change nothing.
	if !slices.Contains(skadi.Volumes, "./etc:/etc/skadi:ro") {
		t.Errorf("the config's folder is not mounted read-only: %q", skadi.Volumes)
	}
	// With SQLite it would be lost with the container otherwise.
	if _, kept := file.Volumes["skadi"]; !kept || !slices.Contains(skadi.Volumes, "skadi:/var/lib/skadi") {
		t.Errorf("the state folder is in no volume that is kept: %q", skadi.Volumes)
	}
	for _, line := range []string{"mkdir -m 700 secrets", "chown 65532 secrets/mysql_dsn", "docker compose up -d"} {
		if !strings.Contains(text, line) {
			t.Errorf("the head does not say: %s", line)
		}
	}
	checkMounted(t, text)
}

// checkMounted checks the config that the head of compose.yaml shows.
func checkMounted(t *testing.T, text string) {
	t.Helper()
	_, rest, _ := strings.Cut(text, "etc/skadi.yaml says, before the last of them:\n")
	var lines []string
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "#") {
			break
		}
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, "#"), "   "))
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dsn := write("mysql_dsn", "skadi:secret@tcp(mysql:3306)/skadi")
	shown := strings.ReplaceAll(strings.Join(lines, ""), "/run/secrets/mysql_dsn", dsn)
	cfg, err := config.Load(write("skadi.yaml", shown))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, shown)
	}
	if cfg.Store.Driver != "mysql" || cfg.Queue.Driver != "redis" || cfg.Listen != "0.0.0.0:8080" {
		t.Errorf("the config is for another setting:\n%s", shown)
	}
}
