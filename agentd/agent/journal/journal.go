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
