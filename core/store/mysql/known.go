package mysql

import (
	"sync"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/store/row"
)

const (
	// knownMax is how many jobs are remembered, twice over.
	knownMax = 4096
	// knownText is the longest message of a job that is remembered.
	knownText = 4096
)

// knownJobs remembers live jobs as this process wrote them last, so that they
// need not be read back for their next step. What a version of a job is never
// changes; whether it still is the job's version the database says, at the
// latest with the write that is guarded by it. For any number of goroutines.
type knownJobs struct {
	mu   sync.Mutex
	jobs row.Generations[string, *job.Job]
}

// put remembers a job that was committed, which nobody changes any more, if it
// will be read as it is.
func (k *knownJobs) put(j *job.Job) {
	keep := !j.Status.Final() && j.Conversation == nil && j.Result == nil && len(j.Late) == 0 &&
		len(j.Message) <= knownText && utf8.ValidString(j.Message) && utf8.ValidString(j.Sender.Name)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.jobs.Max = knownMax
	if keep {
		k.jobs.Put(j.ID, j)
	} else {
		k.jobs.Remove(j.ID)
	}
}

// get returns a job if it is remembered.
func (k *knownJobs) get(id string) (*job.Job, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.jobs.Get(id)
}

// handedOver returns a job if it is remembered as one that an agent has: then
// what the agent says of it comes next, most likely here.
func (k *knownJobs) handedOver(key jobKey) (*job.Job, bool) {
	j, ok := k.get(key.id)
	return j, ok && j.Space == key.space && j.Lease != ""
}

// clear forgets everything.
func (k *knownJobs) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.jobs.Clear()
}
