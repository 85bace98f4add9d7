package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/letserverrun/skadi/core/store"
)

// Restored is what a restore did.
type Restored struct {
	// Schema is the backup's.
	Schema store.Schema
	// Kept is where the database that was there is now; empty if there was
	// none.
	Kept string
	// Tokens is what became of tokens that changed after the backup.
	Tokens TokensSince
}

// Restore puts a copy of a backup in the place of the database at path, and
// keeps what was there under another name. Tokens that were revoked meanwhile
// stay so. It refuses while a server works on
// the database, and a backup that is damaged or newer than this program;
// nothing has changed then. A process that dies half way leaves the one or the
// other, whole.
func Restore(ctx context.Context, backup, path string, now time.Time) (r Restored, err error) {
	if backup, err = existing(backup); err != nil {
		return r, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return r, err
	}
	unlock, err := refuseServer(path)
	if err != nil {
		return r, err
	}
	defer unlock()
	temp, err := copyBeside(backup, path)
	if err != nil {
		return r, fmt.Errorf("the backup cannot be copied: %w", err)
	}
	defer func() { _ = os.Remove(temp) }()
	if r.Schema, err = fitBackup(ctx, temp); err != nil {
		return r, fmt.Errorf("%s is not restored: %w", backup, err)
	}
	if r.Tokens, err = keepRevoked(ctx, path, temp); err != nil {
		return r, fmt.Errorf("what was revoked after the backup cannot be carried over: %w", err)
	}
	if _, err := syncFile(temp); err != nil {
		return r, err
	}
	if r.Kept, err = setAside(ctx, path, now); err != nil {
		return r, err
	}
	if err := os.Rename(temp, path); err != nil {
		return r, err
	}
	return r, syncFolder(filepath.Dir(path))
}

// refuseServer takes the lock of the process that works on the database.
func refuseServer(path string) (unlock func(), err error) {
	f, err := openOrMake(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("the folder of %s cannot be written to: %w", path, err)
	}
	if err := lockNow(f); errors.Is(err, errHeld) {
		return nil, errors.Join(fmt.Errorf("a server works on %s: stop it first", path), f.Close())
	}
	// Where there are no locks the operator has to know.
	return func() { _ = f.Close() }, nil
}

func copyBeside(from, path string) (temp string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer func() { _ = in.Close() }()
	out, err := newPartial(path)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, belong(out), out.Close()); err != nil {
		_ = os.Remove(out.Name())
		return "", err
	}
	return out.Name(), nil
}

// fitBackup refuses a file that is damaged, no database of Skadi's, or of a
// newer one.
func fitBackup(ctx context.Context, path string) (s store.Schema, err error) {
	if err := soundFile(ctx, path, `PRAGMA integrity_check(1)`); err != nil {
		return s, fmt.Errorf("it is damaged: %w", err)
	}
	db, err := sql.Open("sqlite", plainDSN(path))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if s.Version, err = schemaVersion(ctx, db); err != nil {
		return s, err
	}
	if s.Newest, err = newestSchema(db); err != nil {
		return s, err
	}
	switch {
	case s.Version == 0:
		return s, errors.New("it is no database of Skadi's")
	case s.Version > s.Newest:
		return s, s.Err()
	}
	return s, nil
}

// setAside keeps the database under another name, and sees to it that what is
// put in its place finds no write-ahead log of another.
func setAside(ctx context.Context, path string, now time.Time) (kept string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", leftovers(path)
	}
	kept = path + ".before-restore-" + now.UTC().Format("20060102T150405.000Z")
	switch err := foldLog(ctx, path); {
	case errors.Is(err, errInUse):
		return "", fmt.Errorf("another program has %s open: stop it first", path)
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		// It may be damaged, which is why it is replaced. Its log goes with it,
		// and after it, so that the two are together in one place or the other.
		if err := putAside(path, kept); err != nil {
			return "", err
		}
		if err := os.Rename(path+"-wal", kept+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return kept, leftovers(path)
	}
	if err := leftovers(path); err != nil {
		return "", err
	}
	return kept, putAside(path, kept)
}

// putAside gives the file another name, and leaves it its own where there are
// links.
func putAside(path, kept string) error {
	if err := os.Link(path, kept); err != nil {
		return os.Rename(path, kept)
	}
	return nil
}

var errInUse = errors.New("another program has it open")

// foldLog writes the write-ahead log into the file, so that the file is whole
// without it. The last who closes a database removes its log.
func foldLog(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, schemaBusy))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var busy, log, done int
	if err := db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &done); err != nil {
		return err
	}
	if busy != 0 {
		return errInUse
	}
	return nil
}

// leftovers removes an index without its log, and refuses a log.
func leftovers(path string) error {
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return fmt.Errorf("another program has %s open, or left %s-wal behind: stop it, or move that file away", path, path)
	}
	for _, end := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// plainDSN opens a file without a log beside it.
func plainDSN(path string) string {
	v := url.Values{"_pragma": []string{"trusted_schema(0)"}}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: v.Encode()}
	return u.String()
}
