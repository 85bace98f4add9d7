package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// submit queues a write and waits for it, unless nobody is to wait.
func (j *Journal) submit(w *write) error {
	j.mu.Lock()
	if err := j.refuse(); err != nil {
		j.mu.Unlock()
		return err
	}
	j.queue = append(j.queue, w)
	if w.done == nil {
		if len(j.queue) == 1 && !j.lazy {
			j.lazy = true
			time.AfterFunc(lazyFor, j.signal)
		}
		j.mu.Unlock()
		return nil
	}
	j.mu.Unlock()
	j.signal()
	<-w.done
	return w.err
}

func (j *Journal) refuse() error {
	switch {
	case j.broken != nil:
		return j.broken
	case j.closed:
		return ErrClosed
	}
	return nil
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// run is the one writer: it writes whatever was queued during the last write.
func (j *Journal) run() {
	defer close(j.done)
	for range j.wake {
		j.mu.Lock()
		batch, closed, broken := j.queue, j.closed, j.broken
		j.queue, j.lazy = nil, false
		j.mu.Unlock()
		if len(batch) > 0 {
			err := broken
			if err == nil {
				err = j.write(batch)
			}
			for _, w := range batch {
				if w.err = err; w.done != nil {
					close(w.done)
				}
			}
		}
		if closed {
			_ = j.file.Close()
			return
		}
	}
}

// write appends one frame with the records of all writes and syncs it.
func (j *Journal) write(batch []*write) error {
	var records []record
	for _, w := range batch {
		records = append(records, w.records...)
	}
	frame, err := encode(records)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(frame); err != nil {
		if terr := j.file.Truncate(j.size); terr != nil {
			return j.breakDown(fmt.Errorf("after a failed write (%w) it could not be cut back: %w", err, terr))
		}
		return fmt.Errorf("write the journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		// What a failed fsync leaves on disk is unknown, and the next one
		// may succeed without having written it.
		return j.breakDown(fmt.Errorf("sync it: %w", err))
	}
	j.size += int64(len(frame))
	for _, r := range records {
		j.apply(r)
	}
	if j.size >= j.compactSize {
		if err := j.rewrite(); err != nil && j.Err() == nil {
			j.compactSize = j.size + compactAt
			j.log.Warn("could not compact the journal; it goes on growing", "err", err)
		}
	}
	return nil
}

// breakDown marks the journal broken.
func (j *Journal) breakDown(cause error) error {
	err := fmt.Errorf("%w: %w", ErrBroken, cause)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == nil {
		j.broken = err
		close(j.brokenC)
	}
	return err
}

// apply brings the open entries up to a record.
func (j *Journal) apply(r record) {
	h := agentapi.Hold{ID: r.ID, Lease: r.Lease}
	if r.Kind == kindIntent {
		h = agentapi.Hold{ID: r.Job.ID, Lease: r.Job.Lease}
	}
	e := j.live[h]
	if r.Kind == kindClosed {
		delete(j.live, h)
		return
	}
	if e == nil {
		// Without its intent the job's message is unknown, but the entry can
		// still be reported.
		e = &Entry{Job: agentapi.Assignment{ID: h.ID, Lease: h.Lease}}
		j.live[h] = e
		j.remember(h)
	}
	switch r.Kind {
	case kindIntent:
		if e.State == 0 {
			e.State = Intended
		}
		e.Job = *r.Job
	case kindStarted:
		e.State = max(e.State, Started)
	case kindResult:
		e.State, e.Report = Finished, r.Report
	}
}

// remember keeps the order of entries, and forgets closed ones now and then.
func (j *Journal) remember(h agentapi.Hold) {
	if len(j.order) > 2*len(j.live)+1024 {
		kept := j.order[:0]
		for _, o := range j.order {
			if j.live[o] != nil && o != h {
				kept = append(kept, o)
			}
		}
		j.order = kept
	}
	j.order = append(j.order, h)
}

// rewrite replaces the file by one with the open entries alone.
func (j *Journal) rewrite() error {
	data := []byte(header)
	for _, e := range j.entries() {
		frame, err := encode(e.records())
		if err != nil {
			return err
		}
		data = append(data, frame...)
	}
	fresh := j.path + ".new"
	if err := writeDurably(fresh, data); err != nil {
		return fmt.Errorf("rewrite the journal: %w", err)
	}
	// Windows replaces no file that is open.
	if j.file != nil {
		_ = j.file.Close()
	}
	if err := os.Rename(fresh, j.path); err != nil {
		return j.breakDown(err)
	}
	if err := syncDir(filepath.Dir(j.path)); err != nil {
		return j.breakDown(err)
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return j.breakDown(err)
	}
	j.file, j.size = f, int64(len(data))
	j.compactSize = max(compactAt, 2*j.size)
	return nil
}

// records returns what brings back the entry.
func (e Entry) records() []record {
	h := e.Hold()
	rs := []record{{Kind: kindIntent, Job: &e.Job}}
	switch {
	case e.State == Finished:
		rs = append(rs, record{Kind: kindResult, ID: h.ID, Lease: h.Lease, Report: e.Report})
	case e.State == Started, e.Doubtful:
		// Doubt must outlive the rewrite, and started without a result is
		// what a doubtful entry is treated as.
		rs = append(rs, record{Kind: kindStarted, ID: h.ID, Lease: h.Lease})
	}
	return rs
}

// writeDurably writes a new file and syncs it.
func writeDurably(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}
