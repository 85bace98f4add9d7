package events_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/events"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/core/node"
	"github.com/letserverrun/skadi/core/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a database in memory: an outbox and its jobs.
type world struct {
	*queue.Waker

	mu     sync.Mutex
	rows   []*row
	jobs   map[string]*job.Job
	chunks map[string][]job.OutputChunk
	parked map[events.Conversation]parking // Tries is 0 in the key
	refs   map[string]chat.MessageRef
	dead   []events.DeadLetter
	told   []events.Delivery
	num    int64
	leases map[string]*leaseRow
	nodes  map[string]node.Node

	// fail makes a method fail; nil means that none does.
	fail func(method string) error
	// calls counts the calls of each method.
	calls map[string]int
}

type row struct {
	event           job.Event
	published, told bool
}

type parking struct {
	until  time.Time
	tries  int
	reason string
}

func newWorld() *world {
	return &world{
		Waker: queue.NewWaker(),
		jobs:  make(map[string]*job.Job), chunks: make(map[string][]job.OutputChunk),
		parked: make(map[events.Conversation]parking), refs: make(map[string]chat.MessageRef),
		calls: make(map[string]int), leases: make(map[string]*leaseRow), nodes: make(map[string]node.Node),
	}
}

// enter counts a call; it is called with w.mu held.
func (w *world) enter(ctx context.Context, method string) error {
	w.calls[method]++
	if w.fail != nil {
		if err := w.fail(method); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func conversation(key string) *chat.ConversationRef {
	return &chat.ConversationRef{Account: "work", Channel: "C1", Key: key, Data: []byte(`{"thread":"` + key + `"}`)}
}

// create makes a queuing job in the conversation; an empty key means that it
// came over the API.
func (w *world) create(key, message string) job.Job {
	if key == "" {
		return w.createIn(nil, message)
	}
	return w.createIn(conversation(key), message)
}

// createIn makes a queuing job that is told there.
func (w *world) createIn(c *chat.ConversationRef, message string) job.Job {
	w.mu.Lock()
	w.num++
	j := job.Job{
		ID: fmt.Sprintf("job-%d", w.num), Num: w.num, Space: job.DefaultSpace, Agent: "web-1", Message: message,
		Sender: chat.Sender{Account: "work", User: "U1", Name: "Ada"}, CreatedAt: time.Now(), Conversation: c,
	}
	w.jobs[j.ID] = &j
	w.mu.Unlock()
	return w.move(j.ID, job.Queuing, "", nil)
}

// move takes an arrow.
func (w *world) move(id string, to job.Status, reason job.Reason, result *job.Result) job.Job {
	w.mu.Lock()
	j := w.jobs[id]
	j.Status, j.Reason, j.Result = to, reason, result
	j.Version++
	switch {
	case to == job.Sent:
		j.SentAt = time.Now()
	case to.Final():
		j.FinishedAt = time.Now()
	}
	w.rows = append(w.rows, &row{event: job.Event{
		Subject: id, Version: j.Version, Space: j.Space, Kind: job.EventJobStatus, At: time.Now(),
		Conversation: j.Conversation, Agent: j.Agent, Num: j.Num, Status: to, Reason: reason,
	}})
	moved := *j
	w.mu.Unlock()
	w.Wake(job.WakeEvents, job.WakeJob(id))
	return moved
}

// succeed ends a job with an output of its own.
func (w *world) succeed(id, output string) job.Job {
	return w.move(id, job.Succeeded, "", &job.Result{Output: output})
}

// say adds a text.
func (w *world) say(key, id, text string) {
	w.add(job.Event{Subject: id, Conversation: conversation(key), Text: text})
}

// show adds a message that shows a page of a job's output.
func (w *world) show(key, id string, num int64, page int) {
	w.add(job.Event{Subject: id, Conversation: conversation(key), Text: "its output", Num: num, Output: page})
}

// add adds a message.
func (w *world) add(e job.Event) {
	e.Space, e.Kind, e.At = job.DefaultSpace, job.EventMessage, time.Now()
	w.mu.Lock()
	w.rows = append(w.rows, &row{event: e})
	w.mu.Unlock()
	w.Wake(job.WakeEvents)
}

// output adds live output.
func (w *world) output(id, text string) {
	w.mu.Lock()
	w.chunks[id] = append(w.chunks[id], job.OutputChunk{Seq: int64(len(w.chunks[id]) + 1), Text: text, At: time.Now()})
	w.mu.Unlock()
	w.Wake(job.WakeJob(id))
}

func (w *world) Unpublished(ctx context.Context, limit int) (found []job.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "Unpublished"); err != nil {
		return nil, err
	}
	for _, r := range w.rows {
		if !r.published && len(found) < limit {
			found = append(found, r.event)
		}
	}
	return found, nil
}

func (w *world) MarkPublished(ctx context.Context, list []job.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "MarkPublished"); err != nil {
		return err
	}
	marked := make(map[string]bool, len(list))
	for _, e := range list {
		marked[e.ID()] = true
	}
	for _, r := range w.rows {
		if !r.published && marked[r.event.ID()] {
			r.published = true
		}
	}
	return nil
}

func name(c *chat.ConversationRef) events.Conversation {
	return events.Conversation{Account: c.Account, Key: c.Key}
}

func (w *world) OpenConversations(ctx context.Context, partitions []int, limit int) (found []events.Conversation, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "OpenConversations"); err != nil {
		return nil, err
	}
	seen := make(map[events.Conversation]bool)
	for _, r := range w.rows {
		if r.told || r.event.Conversation == nil || len(found) == limit {
			continue
		}
		c := name(r.event.Conversation)
		if seen[c] || w.parked[c].until.After(time.Now()) || !inPartition(partitions, c) {
			continue
		}
		seen[c] = true
		c.Tries = w.parked[c].tries
		c.Partition = partitionOf(c)
		found = append(found, c)
	}
	return found, nil
}

func partitionOf(c events.Conversation) int {
	return events.PartitionOf(c.Account, c.Key, events.DefaultPartitions)
}

func inPartition(partitions []int, c events.Conversation) bool {
	return partitions == nil || slices.Contains(partitions, partitionOf(c))
}

func (w *world) Open(ctx context.Context, c events.Conversation, limit int) (open []job.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "Open"); err != nil {
		return nil, err
	}
	for _, r := range w.rows {
		if to := r.event.Conversation; !r.told && to != nil && to.Account == c.Account && to.Key == c.Key && len(open) < limit {
			open = append(open, r.event)
		}
	}
	return open, nil
}

func (w *world) Record(ctx context.Context, d events.Delivery) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "Record"); err != nil {
		return err
	}
	if !w.passes(d.Guard) {
		return events.ErrNotHolder
	}
	w.told = append(w.told, d)
	for _, e := range d.Events {
		for _, r := range w.rows {
			if r.event.ID() == e.ID() {
				r.told = true
			}
		}
		if d.Dead != "" {
			w.dead = append(w.dead, events.DeadLetter{Event: e, Reason: d.Dead, At: time.Now()})
		}
	}
	if d.Ref != nil {
		w.refs[d.JobID] = *d.Ref
	}
	delete(w.parked, events.Conversation{Account: d.Conversation.Account, Key: d.Conversation.Key})
	return nil
}

func (w *world) Park(ctx context.Context, c events.Conversation, until time.Time, tries int, reason string, guard events.Guard) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "Park"); err != nil {
		return err
	}
	if !w.passes(guard) {
		return events.ErrNotHolder
	}
	w.parked[events.Conversation{Account: c.Account, Key: c.Key}] = parking{until, tries, reason}
	return nil
}

func (w *world) MessageRef(ctx context.Context, id string) (chat.MessageRef, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "MessageRef"); err != nil {
		return chat.MessageRef{}, false, err
	}
	ref, ok := w.refs[id]
	return ref, ok, nil
}

func (w *world) Shown(ctx context.Context, partitions []int, limit int) (found []events.ShownJob, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "Shown"); err != nil {
		return nil, err
	}
	for id, j := range w.jobs {
		if _, ok := w.refs[id]; ok && j.Status == job.Sent && len(found) < limit && inPartition(partitions, name(j.Conversation)) {
			found = append(found, events.ShownJob{Space: j.Space, ID: id})
		}
	}
	return found, nil
}

func (w *world) DeadLetters(context.Context, string, int) ([]events.DeadLetter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dead), nil
}

func (w *world) Backlog(context.Context) (int64, time.Duration, error) {
	return int64(w.open()), 0, nil
}

func (w *world) Job(ctx context.Context, space, id string) (job.Job, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "Job"); err != nil {
		return job.Job{}, err
	}
	j, ok := w.jobs[id]
	if !ok || j.Space != space {
		return job.Job{}, job.ErrNotFound
	}
	found := *j
	if found.Result != nil && found.Result.Streamed {
		res := *found.Result
		for _, c := range w.chunks[id] {
			res.Output += c.Text
		}
		found.Result = &res
	}
	return found, nil
}

func (w *world) JobByCode(ctx context.Context, space, code string) (job.Job, error) {
	num, _ := job.ParseCode(code)
	return w.Job(ctx, space, fmt.Sprintf("job-%d", num))
}

func (w *world) History(ctx context.Context, _, id string) (history []job.Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "History"); err != nil {
		return nil, err
	}
	for _, r := range w.rows {
		if r.event.Subject == id {
			history = append(history, r.event)
		}
	}
	return history, nil
}

func (w *world) LiveOutput(ctx context.Context, _, id string, after int64, limit int) (found []job.OutputChunk, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.enter(ctx, "LiveOutput"); err != nil {
		return nil, err
	}
	for _, c := range w.chunks[id] {
		if c.Seq > after && len(found) < limit {
			found = append(found, c)
		}
	}
	return found, nil
}

// open counts the events that are to be told.
func (w *world) open() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rows {
		if !r.told && r.event.Conversation != nil {
			n++
		}
	}
	return n
}

// given returns what was given up.
func (w *world) given() []events.DeadLetter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dead)
}

// ref returns the message that shows a job.
func (w *world) ref(id string) chat.MessageRef {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refs[id]
}

func (w *world) count(method string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[method]
}

func (w *world) breaking(fail func(method string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = fail
}
