package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// plainInstance is what an instance ID looks like.
var plainInstance = regexp.MustCompile(`\A[0-9A-Za-z-]{16,64}\z`)

// instanceID returns the ID by which the server tells two processes with one
// token apart. It is kept in the state folder, so that a restart is the same
// instance.
func instanceID(dir string) (string, error) {
	path := filepath.Join(dir, "instance")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the instance ID: %w", err)
	}
	if id := strings.TrimSpace(string(data)); plainInstance.MatchString(id) {
		return id, nil
	}
	id := rand.Text()
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the instance ID: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return "", fmt.Errorf("write the instance ID: %w", err)
	}
	return id, nil
}
