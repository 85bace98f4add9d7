package journal

import (
	"errors"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// failing is a file that breaks when told to.
type failing struct {
	file
	write, truncate, sync error
	short                 int
}

func (f *failing) Write(p []byte) (int, error) {
	if f.write != nil {
		n, _ := f.file.Write(p[:min(f.short, len(p))])
		return n, f.write
	}
	return f.file.Write(p)
}

func (f *failing) Truncate(size int64) error {
	if f.truncate != nil {
		return f.truncate
	}
	return f.file.Truncate(size)
}

func (f *failing) Sync() error {
	if f.sync != nil {
		return f.sync
	}
	return f.file.Sync()
}

func TestFullDiskIsSurvived(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	must(t, j.Intend([]agentapi.Assignment{job(1)}))
	full := errors.New("no space left")
	f := &failing{file: j.file, write: full, short: 20}
	j.file = f
	if err := j.Intend([]agentapi.Assignment{job(2)}); !errors.Is(err, full) || errors.Is(err, ErrBroken) {
		t.Errorf("got %v", err)
	}
	f.write = nil
	must(t, j.Intend([]agentapi.Assignment{job(3)}))
	must(t, j.Close())
	if _, entries := open(t, dir); states(entries) != "1:intended 3:intended" {
		t.Errorf("found %q", states(entries))
	}
}

func TestFailedSyncBreaksTheJournal(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]failing{
		"sync":     {sync: errors.New("input/output error")},
		"cut back": {write: errors.New("no space left"), truncate: errors.New("input/output error")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, _ := open(t, t.TempDir())
			breaks.file = j.file
			j.file = &breaks
			if err := j.Intend([]agentapi.Assignment{job(1)}); !errors.Is(err, ErrBroken) {
				t.Errorf("got %v, want ErrBroken", err)
			}
			<-j.Broken()
			if err := j.Started([]agentapi.Hold{hold(1)}); !errors.Is(err, ErrBroken) {
				t.Errorf("afterwards: %v", err)
			}
			if err := j.Close(); !errors.Is(err, ErrBroken) {
				t.Errorf("Close: %v", err)
			}
		})
	}
}
