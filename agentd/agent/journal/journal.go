// Package journal keeps what an agent must not forget across a crash: the
// jobs that it was offered, the ones that it started, and the results that
// it has not reported yet.
//
// The file is append-only. Everything that is written at once is one frame
// with a checksum, and a frame is fsynced before the next one is written; so
// a crash can only cut off the last frame, whose writer was never told that
// it was there. What is no longer open is dropped when the file has grown.
package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	fileName = "journal"
	// compactAt is the size in bytes from which the file is rewritten
	// without what is closed.
	compactAt = 8 << 20
	// lazyFor is how long a record that nobody waits for may stay in memory.
	lazyFor = time.Second
)

// State is how far a job got.
type State int

// The states. A job that is reported, or that the server refused, is closed
// and no longer in the journal.
const (
	// Intended: the agent was offered the job and may have asked to start it.
	Intended State = iota + 1
	// Started: the server confirmed the start; the job may have run.
	Started
	// Finished: there is a result, which the server may not have.
	Finished
)

// Entry is an open job.
type Entry struct {
	Job   agentapi.Assignment
	State State
	// Report is set when State is Finished.
	Report *agentapi.Report
	// Doubtful says that a part of the journal was damaged, so that the job
	// may have got further than State says. It must not be run.
	Doubtful bool
}

// Hold names the job and its lease; the journal tells entries apart by both.
func (e Entry) Hold() agentapi.Hold { return agentapi.Hold{ID: e.Job.ID, Lease: e.Job.Lease} }

var (
	// ErrBroken is returned once a failure has left it unknown what is on
	// disk. Nothing more is written; the process must end and open the
	// journal again.
	ErrBroken = errors.New("the journal is broken")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the journal is closed")
)

// Journal is open for writing. Its methods may be called concurrently;
// writes that come together share one fsync.
type Journal struct {
	path string
	log  *slog.Logger
	file file
	size int64
	// compactSize is the file size that triggers the next rewrite.
	compactSize int64

	live  map[agentapi.Hold]*Entry // the writer's alone
	order []agentapi.Hold          // by first record, with holes

	mu      sync.Mutex
	queue   []*write
	lazy    bool // the queue holds lazy writes alone and a timer runs
	closed  bool
	broken  error
	wake    chan struct{}
	done    chan struct{}
	brokenC chan struct{}
}

// file is what the journal needs of an *os.File; tests break it.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// write is one or more records that become durable together.
type write struct {
	records []record
	err     error
	done    chan struct{} // nil for a write that nobody waits for
}

// record is one line of a frame.
type record struct {
	Kind   string               `json:"kind"`
	Job    *agentapi.Assignment `json:"job,omitempty"` // of an intent
	ID     string               `json:"id,omitempty"`  // of all others
	Lease  string               `json:"lease,omitempty"`
	Report *agentapi.Report     `json:"report,omitempty"` // of a result
}

const (
	kindIntent  = "intent"
	kindStarted = "started"
	kindResult  = "result"
	kindClosed  = "closed"
)

// Open opens the journal in dir, which must be locked by the caller, and
// returns the entries that are open, oldest first. A frame that a crash cut
// off is dropped. If the file is damaged elsewhere, what can be read is used,
// every entry that might have got further is Doubtful, and the damaged file
// is kept beside the new one.
func Open(dir string, log *slog.Logger) (*Journal, []Entry, error) {
	j := &Journal{
		path: filepath.Join(dir, fileName), log: log,
		live: map[agentapi.Hold]*Entry{},
		wake: make(chan struct{}, 1), done: make(chan struct{}), brokenC: make(chan struct{}),
	}
	data, err := os.ReadFile(j.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("read the journal: %w", err)
	}
	content, err := parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %w", j.path, err)
	}
	for _, r := range content.records {
		j.apply(r)
	}
	if content.damaged {
		kept := j.path + ".damaged-" + time.Now().UTC().Format("20060102T150405.000")
		if err := writeDurably(kept, data); err != nil {
			return nil, nil, fmt.Errorf("keep a copy of the damaged journal: %w", err)
		}
		log.Error("the journal is damaged; jobs that may have run are reported as interrupted instead of run",
			"offset", content.badAt, "copy", kept, "open_jobs", len(j.live))
		for _, e := range j.live {
			e.Doubtful = e.State == Intended
		}
	} else if content.badAt > 0 {
		log.Warn("the journal's last record was cut off, as a crash does; it is dropped", "offset", content.badAt)
	}
	// Rewriting drops what is closed and any torn end, and shows at once
	// whether the folder can be written.
	if err := j.rewrite(); err != nil {
		return nil, nil, err
	}
	entries := j.entries()
	go j.run()
	return j, entries, nil
}

func (j *Journal) entries() []Entry {
	all := make([]Entry, 0, len(j.live))
	seen := make(map[agentapi.Hold]bool, len(j.live))
	for _, h := range j.order {
		if e := j.live[h]; e != nil && !seen[h] {
			seen[h] = true
			all = append(all, *e)
		}
	}
	return all
}

// Intend records jobs that the agent is about to start. It is durable when
// nil is returned. After an error that is not ErrBroken nothing was recorded.
func (j *Journal) Intend(jobs []agentapi.Assignment) error {
	w := &write{done: make(chan struct{})}
	for i := range jobs {
		w.records = append(w.records, record{Kind: kindIntent, Job: &jobs[i]})
	}
	return j.submit(w)
}

// Started records that the server confirmed the starts, durably.
func (j *Journal) Started(holds []agentapi.Hold) error {
	w := &write{done: make(chan struct{})}
	for _, h := range holds {
		w.records = append(w.records, record{Kind: kindStarted, ID: h.ID, Lease: h.Lease})
	}
	return j.submit(w)
}

// Finished records a result, durably.
func (j *Journal) Finished(h agentapi.Hold, r agentapi.Report) error {
	return j.submit(&write{
		records: []record{{Kind: kindResult, ID: h.ID, Lease: h.Lease, Report: &r}},
		done:    make(chan struct{}),
	})
}

// Forget closes entries: reported, or refused for good. It does not wait for
// the disk, since a repeated report does no harm.
func (j *Journal) Forget(holds ...agentapi.Hold) {
	w := &write{}
	for _, h := range holds {
		w.records = append(w.records, record{Kind: kindClosed, ID: h.ID, Lease: h.Lease})
	}
	_ = j.submit(w)
}

// Broken is closed when the journal breaks; Err then says why.
func (j *Journal) Broken() <-chan struct{} { return j.brokenC }

// Err returns why the journal is broken, an ErrBroken, or nil.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken
}

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

// Close writes what is queued and closes the file. The open entries stay in
// it. A second call does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	first := !j.closed
	j.closed = true
	j.mu.Unlock()
	j.signal()
	<-j.done
	if !first {
		return nil
	}
	return j.Err()
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
