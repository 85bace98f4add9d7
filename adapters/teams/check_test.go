package teams

import (
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(f *microsoft, c *Config)
		want   []chat.Level
		text   string
	}{
		"all well":         {func(*microsoft, *Config) {}, []chat.Level{chat.Fine, chat.Fine}, ""},
		"a wrong password": {func(_ *microsoft, c *Config) { c.AppPassword = "wrong-hunter2" }, []chat.Level{chat.Fine, chat.Wrong}, "app_password"},
		"no keys":          {func(f *microsoft, _ *Config) { f.keysUnreadable = true }, []chat.Level{chat.Wrong, chat.Fine}, "keys"},
		"the playground":   {func(_ *microsoft, c *Config) { c.UnauthenticatedLoopback, c.AppPassword = true, "" }, []chat.Level{chat.Doubtful}, "anybody"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newMicrosoft(t, time.Now)
			cfg := f.config()
			tc.change(f, &cfg)
			a, err := New(cfg, chat.Env{Account: "work"})
			if err != nil {
				t.Fatal(err)
			}
			found := a.Check(t.Context())
			all := ""
			for i, finding := range found {
				all += finding.Text + "\n"
				if len(found) != len(tc.want) || finding.Level != tc.want[i] {
					t.Errorf("found %+v", found)
				}
			}
			if !strings.Contains(all, tc.text) || strings.Contains(all, "hunter2") || strings.Contains(all, farPassword) || strings.Contains(all, farToken) {
				t.Errorf("found:\n%s", all)
			}
		})
	}
}

// TestCheckTellsNoAnswerFromARefusal holds that nobody looks for a mistake in the
// credentials where Microsoft was not reached.
func TestCheckTellsNoAnswerFromARefusal(t *testing.T) {
	t.Parallel()
	for fix, change := range map[string]func(c *Config){
		"compare app_id, tenant_id and app_password": func(c *Config) { c.AppPassword = "wrong-hunter2" },
		"this machine finds and reaches localhost:1": func(c *Config) { c.TokenURL = "http://localhost:1/token" },
	} {
		f := newMicrosoft(t, time.Now)
		cfg := f.config()
		change(&cfg)
		a, err := New(cfg, chat.Env{Account: "work"})
		if err != nil {
			t.Fatal(err)
		}
		if found := a.Check(t.Context()); len(found) != 2 || found[1].Level != chat.Wrong || !strings.Contains(found[1].Fix, fix) {
			t.Errorf("%+v, want %q", found, fix)
		}
	}
}
