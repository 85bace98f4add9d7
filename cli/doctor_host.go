package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
)

const (
	// inMemory and overNetwork are kinds of file system; see fragile.
	inMemory    = "memory"
	overNetwork = "network"

	// littleSpace is worth a warning, and noSpace an error, in bytes.
	littleSpace = 1 << 30
	noSpace     = 64 << 20
	// slowSync is how long a disk should not take to keep a few bytes.
	slowSync = 200 * time.Millisecond
	// clockOff is what clocks may differ by; see core/job.
	clockOff = 5 * time.Second
)

// findClock compares the clock with the database's, and looks for signs that
// it was set back.
func (d *doctor) findClock(ctx context.Context) []chat.Finding {
	p := placeOf(d.cfg)
	if !p.exists() {
		return []chat.Finding{found(chat.Fine, "", "%s, with no database yet to compare it with", d.now().UTC().Format(time.RFC3339))}
	}
	o, err := d.openAsItIs(ctx)
	if err != nil {
		return []chat.Finding{found(chat.Doubtful, "see what is said of the database", "not compared: the database cannot be used")}
	}
	defer func() { _ = o.store.Close() }()
	return d.compareClocks(ctx, o)
}

func (d *doctor) compareClocks(ctx context.Context, o *opened) []chat.Finding {
	before := d.now()
	at, err := o.store.Now(ctx)
	if err != nil {
		return []chat.Finding{found(chat.Doubtful, "see what is said of the database", "not compared: %v", err)}
	}
	took := d.now().Sub(before)
	const fix = "have both machines keep their clocks by NTP (timedatectl shows whether this one does); agents count as offline by the database's clock"
	if off := at.Sub(before.Add(took / 2)); off.Abs() > clockOff+took {
		return []chat.Finding{found(chat.Doubtful, fix, "this machine's clock and the database's are %s apart", off.Abs().Round(time.Second))}
	}
	all, err := o.store.Nodes(ctx)
	if err == nil {
		for _, n := range all {
			if ahead := n.SeenAt.Sub(at); ahead > clockOff {
				return []chat.Finding{found(chat.Doubtful, "find out what set the clock back; nothing is lost by that, and deadlines come later by as much",
					"the clock was set back: the server %s was seen %s from now", n.ID, ahead.Round(time.Second))}
			}
		}
	}
	return []chat.Finding{found(chat.Fine, "", "it agrees with the database's")}
}

// findDisk looks at where the database of one file is.
func (d *doctor) findDisk(context.Context) []chat.Finding {
	if d.cfg.Store.Driver != config.SQLite {
		return []chat.Finding{found(chat.Fine, "", "nothing of the database is on this machine")}
	}
	dir := filepath.Dir(d.cfg.Store.Path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return []chat.Finding{found(chat.Wrong, "make it, as a folder of the server's user", "the folder %s of store.path is not there", dir)}
	}
	list := []chat.Finding{spaceIn(dir)}
	switch fragile(dir) {
	case inMemory:
		list = append(list, found(chat.Wrong, "put store.path on a disk", "%s is kept in memory: everything is lost when the machine stops", dir))
	case overNetwork:
		list = append(list, found(chat.Doubtful, "put store.path on a disk of this machine, or use MySQL", "%s is on a network file system, which may not keep SQLite's locks", dir))
	}
	took, err := tryDisk(dir)
	switch {
	case err != nil:
		list = append(list, found(chat.Wrong, "run this as the server's user, and let that user write there", "%s cannot be written to: %v", dir, err))
	case took > slowSync:
		list = append(list, found(chat.Doubtful, "each commit waits for that; put store.path on a faster disk", "%s takes %s to keep a few bytes for good", dir, took.Round(time.Millisecond)))
	default:
		list = append(list, found(chat.Fine, "", "%s can be written to, and keeps what is written", dir))
	}
	return list
}

func spaceIn(dir string) chat.Finding {
	size, free, err := diskSpace(dir)
	const fix = "make room, or shorten retention.jobs"
	switch {
	case err != nil:
		return found(chat.Doubtful, "", "it is not known how much room is left in %s: %v", dir, err)
	case free < noSpace:
		return found(chat.Wrong, fix, "%s has %s left of %s", dir, byteSize(free), byteSize(size))
	case free < littleSpace:
		return found(chat.Doubtful, fix, "%s has %s left of %s", dir, byteSize(free), byteSize(size))
	}
	return found(chat.Fine, "", "%s has %s left of %s", dir, byteSize(free), byteSize(size))
}

// tryDisk writes a little file for good, and removes it.
func tryDisk(dir string) (took time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".skadi-doctor-*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString("it works\n"); err != nil {
		return 0, err
	}
	began := time.Now()
	err = f.Sync()
	return time.Since(began), err
}

// findSecrets looks at who may read the files that hold secrets.
func (d *doctor) findSecrets(context.Context) []chat.Finding {
	if runtime.GOOS == "windows" {
		return []chat.Finding{found(chat.Fine, "", "who may read the files is not looked at on Windows")}
	}
	files := d.cfg.SecretFiles()
	if d.cfg.TLS.Key != "" {
		files = append(files, d.cfg.TLS.Key)
	}
	if d.cfg.Store.Driver == config.SQLite && placeOf(d.cfg).exists() {
		files = append(files, d.cfg.Store.Path)
	}
	var list []chat.Finding
	for _, file := range files {
		info, err := os.Stat(file)
		switch {
		case err != nil:
			list = append(list, found(chat.Wrong, "see that the file is there and this user may read it", "%v", err))
		case info.Mode().Perm()&0o007 != 0:
			list = append(list, found(chat.Doubtful, fmt.Sprintf("chmod o= %s", file), "everybody on this machine may use %s (%v)", file, info.Mode().Perm()))
		}
	}
	if len(list) == 0 {
		list = append(list, found(chat.Fine, "", "%d files are kept from others", len(files)))
	}
	return list
}
