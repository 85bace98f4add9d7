package cli

import (
	"os"
	"path/filepath"
	"testing"
)

// TestUpFindsItsDatabase holds which folder the database is in, and which flag
// has other commands find it there.
func TestUpFindsItsDatabase(t *testing.T) {
	here, state := elsewhere(t)
	data := filepath.Join(state, "data")
	silent, naming := filepath.Join(here, "silent.yaml"), filepath.Join(here, "naming.yaml")
	for path, text := range map[string]string{
		silent: "store: {migrate: true}\n",
		naming: "store: {path: own.db}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ name, config, data, path, flag string }{
		{"neither", "", "", filepath.Join(state, "skadi.db"), ""},
		{"a folder", "", data, filepath.Join(data, "skadi.db"), " --data " + data},
		{"a file", silent, "", filepath.Join(here, "skadi.db"), " -c " + silent},
		{"a file that names none, and a folder", silent, data, filepath.Join(data, "skadi.db"), " --data " + data},
		{"a file that names one", naming, "", filepath.Join(here, "own.db"), " -c " + naming},
		{"a file that names one, and a folder", naming, data, filepath.Join(here, "own.db"), " -c " + naming},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := &up{config: tt.config, data: tt.data}
			dir := state
			if tt.data != "" {
				dir = tt.data
			}
			cfg, err := u.settings(dir)
			if err != nil {
				t.Fatal(err)
			}
			if flag := u.flag(cfg, dir); cfg.Store.Path != tt.path || flag != tt.flag {
				t.Errorf("it is at %s, and other commands need %q", cfg.Store.Path, flag)
			}
		})
	}
}
