package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// instanceID returns the ID by which the server tells two processes with one
// token apart. It is kept in the state folder, so that a restart is the same
// instance.
func instanceID(dir string) (string, error) {
	path := filepath.Join(dir, "instance")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the instance ID: %w", err)
	}
	if id, err := uuid.Parse(strings.TrimSpace(string(data))); err == nil {
		return id.String(), nil
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make an instance ID: %w", err)
	}
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(id.String()+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the instance ID: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return "", fmt.Errorf("write the instance ID: %w", err)
	}
	return id.String(), nil
}
