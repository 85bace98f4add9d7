package cli

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters"
)

const (
	oneTeams = `public_url: https://skadi.example.com
store: {path: ./skadi.db}
adapters:
  - {name: work-teams, kind: teams, app_id: 2f6c9d1e-0f6b-4d0a-9a51-6f0b8a7c3d21, app_password: hunter2, tenant_id: 8c1b7a52-3f0e-4c55-b0d7-1d2e3f405162}
`
	anotherTeams = `  - {name: club-teams, kind: teams, app_id: 3f6c9d1e-0f6b-4d0a-9a51-6f0b8a7c3d21, app_password: hunter2, tenant_id: 8c1b7a52-3f0e-4c55-b0d7-1d2e3f405162}
`
)

func writePackage(t *testing.T, cfg string, args ...string) (code int, stdout, stderr, out string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "skadi.yaml")
	if err := os.WriteFile(file, []byte(cfg), 0o600); err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(dir, "app.zip")
	var o, e bytes.Buffer
	code = Main(adapters.Factories(), append([]string{"teams", "manifest", "-c", file, "-o", out}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String(), out
}

func TestTeamsManifest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  string
		args []string
		bot  string
		app  string
	}{
		"the only account": {oneTeams, nil, "2f6c9d1e-0f6b-4d0a-9a51-6f0b8a7c3d21", "Skadi 1.0.0"},
		"one of several": {
			oneTeams + anotherTeams,
			[]string{"--account", "club-teams", "--name", "Skadi (club)", "--app-version", "1.2.3"},
			"3f6c9d1e-0f6b-4d0a-9a51-6f0b8a7c3d21", "Skadi (club) 1.2.3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr, out := writePackage(t, c.cfg, c.args...)
			if code != exitOK || !strings.Contains(stdout, "is ready to be uploaded") {
				t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
			}
			z, err := zip.OpenReader(out)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = z.Close() }()
			f, err := z.Open("manifest.json")
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				ID      string
				Version string
				Name    struct{ Short string }
				Bots    []struct {
					ID string `json:"botId"`
				}
				ValidDomains []string
			}
			if err := json.NewDecoder(f).Decode(&m); err != nil {
				t.Fatal(err)
			}
			if m.ID != c.bot || m.Bots[0].ID != c.bot || m.Name.Short+" "+m.Version != c.app || m.ValidDomains[0] != "skadi.example.com" {
				t.Errorf("the manifest is %+v", m)
			}
			data, err := os.ReadFile(out)
			if err != nil || bytes.Contains(data, []byte("hunter2")) {
				t.Errorf("the secret is in it (%v)", err)
			}
		})
	}
}

func TestTeamsManifestRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  string
		args []string
		code int
		says string
	}{
		"no account":         {"store: {path: ./skadi.db}\n", nil, exitFailed, "has no adapter of the kind teams"},
		"several accounts":   {oneTeams + anotherTeams, nil, exitUsage, "choose one by --account: work-teams, club-teams"},
		"an unknown account": {oneTeams, []string{"--account", "x"}, exitUsage, `no adapter "x" of the kind teams; there is work-teams`},
		"a bad ID":           {strings.Replace(oneTeams, "2f6c9d1e-", "x-", 1), nil, exitFailed, "app_id: is"},
		"a typo":             {strings.Replace(oneTeams, "app_password", "app_pasword", 1), nil, exitFailed, "app_pasword"},
		"a long name":        {oneTeams, []string{"--name", strings.Repeat("x", 31)}, exitUsage, "1 to 30 characters"},
		"a bad version":      {oneTeams, []string{"--app-version", "2"}, exitUsage, "1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr, out := writePackage(t, c.cfg, c.args...)
			if code != c.code || !strings.Contains(stderr, c.says) {
				t.Errorf("exit code %d, want %d: %s%s", code, c.code, stdout, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was written")
			}
		})
	}
}
