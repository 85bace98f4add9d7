package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// partial is in the names of files that are not whole yet.
	partial = ".partial-"
	// abandonedAfter is how long nothing was written to a partial file of a
	// process that died.
	abandonedAfter = time.Hour
)

// Backup writes all of the database at path to a new file, as it is at one
// moment, while others read and write it. The file is there whole, and for
// good, or not at all; one that is there already is an error. It is one plain
// file that only its owner can read. It returns the file's size.
func Backup(ctx context.Context, path, to string) (size int64, err error) {
	if path, err = existing(path); err != nil {
		return 0, err
	}
	if to, err = filepath.Abs(to); err != nil {
		return 0, err
	}
	if _, err := os.Lstat(to); err == nil {
		return 0, takenError(to)
	}
	f, err := newPartial(to)
	if err != nil {
		return 0, fmt.Errorf("the backup cannot be written: %w", err)
	}
	temp := f.Name()
	defer func() { _ = os.Remove(temp) }()
	if err := f.Close(); err != nil {
		return 0, err
	}
	if err := vacuumInto(ctx, path, temp); err != nil {
		return 0, fmt.Errorf("back up %s: %w", path, explainOpen(path, err))
	}
	if err := soundFile(ctx, temp, `PRAGMA quick_check(1)`); err != nil {
		return 0, fmt.Errorf("the backup is damaged, and so may %s be: %w", path, err)
	}
	// SQLite does not wait for the disk here.
	if size, err = syncFile(temp); err != nil {
		return 0, fmt.Errorf("the backup cannot be kept: %w", err)
	}
	return size, placeNew(temp, to)
}

// existing refuses what is no database, before anything is made.
func existing(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no database at %s", path)
	}
	if err != nil {
		return "", err
	}
	return path, errors.Join(checkHeader(f, path), f.Close())
}

func takenError(path string) error {
	return fmt.Errorf("%s is there already, and is not overwritten: give another name, or remove it first", path)
}

// newPartial makes an empty file beside path that only its owner can read, and
// removes those that a killed process left behind.
func newPartial(path string) (*os.File, error) {
	dir, name := filepath.Split(path)
	if left, err := filepath.Glob(filepath.Join(escapeGlob(dir), escapeGlob(name)+partial+"*")); err == nil {
		for _, old := range left {
			if info, err := os.Stat(old); err == nil && time.Since(info.ModTime()) > abandonedAfter {
				_ = os.Remove(old)
			}
		}
	}
	return os.CreateTemp(dir, name+partial+"*") // with mode 0600
}

func escapeGlob(s string) string {
	if filepath.Separator == '\\' {
		return s // nothing can be escaped there
	}
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

func vacuumInto(ctx context.Context, path, to string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, schemaBusy))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, to)
	return err
}

// soundFile has SQLite check a file that nobody else uses. Nothing stays
// beside the file.
func soundFile(ctx context.Context, path, pragma string) (err error) {
	db, err := sql.Open("sqlite", plainDSN(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var says string
	if err := db.QueryRowContext(ctx, pragma).Scan(&says); err != nil {
		return err
	}
	if says != "ok" {
		return errors.New(says)
	}
	return nil
}

// syncFile waits until the file is on the disk.
func syncFile(path string) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Sync(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// placeNew gives a whole file its name, unless something has it by now.
func placeNew(temp, to string) error {
	err := os.Link(temp, to)
	switch {
	case errors.Is(err, fs.ErrExist):
		return takenError(to)
	case err != nil:
		// There are no links on this file system.
		if _, err := os.Lstat(to); err == nil {
			return takenError(to)
		}
		if err := os.Rename(temp, to); err != nil {
			return err
		}
	}
	return syncFolder(filepath.Dir(to))
}
