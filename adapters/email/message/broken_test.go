package message_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// broken are mails of which none gives a command: those that cannot be read,
// and those that are unfit.
func broken(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../testdata/broken/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".eml")] = raw
	}
	return all
}

func TestBroken(t *testing.T) {
	t.Parallel()
	all := broken(t)
	if len(all) < 50 {
		t.Fatalf("%d broken mails", len(all))
	}
	for name, raw := range all {
		m, err := message.Parse(raw)
		switch {
		case strings.HasPrefix(name, "unreadable-"):
			if err == nil {
				t.Errorf("%s: it can be read", name)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case m.Check() == nil:
			t.Errorf("%s: nothing is wrong with it", name)
		}
	}
}
