package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

const (
	// maxBatch is how many jobs one batch asks for at most.
	maxBatch = 1000
	// maxWait is how long a call for a job may wait at most.
	maxWait = 10 * time.Minute
	// maxKey is the longest Idempotency-Key.
	maxKey = 255
	// auditAtOnce is how many refusals of one batch are recorded at a time.
	auditAtOnce = 32
)

var (
	pushShape  = shapeOf(reflect.TypeFor[agentapi.Push]())
	batchShape = shapeOf(reflect.TypeFor[agentapi.Batch]())
)

// push makes one job, and waits for it if asked to.
func (c *call) push() error {
	wait, err := c.wait()
	if err != nil {
		return err
	}
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	var p agentapi.Push
	if err := c.decodeStrict(&p, pushShape); err != nil {
		return err
	}
	entry, err := c.entry(p, key)
	if err != nil {
		return err
	}
	created, err := c.api.cfg.Jobs.Create(c.arrived(), []job.Entry{entry})
	if err != nil {
		return err
	}
	if err := refusal(created[0]); err != nil {
		return unknownAgent(err, p.Agent)
	}
	status := http.StatusCreated
	if created[0].Duplicate {
		status = http.StatusOK
	}
	j := created[0].Job
	if wait > 0 && !j.Status.Final() {
		j = c.await(j, wait)
	}
	return c.json(status, wireJob(j))
}

// arrived is the context of making jobs, which tells when the call came and to
// which trace of the caller's it belongs.
func (c *call) arrived() context.Context {
	return c.api.cfg.Arrived(c.context(), c.begun, c.request().Header.Get("Traceparent"))
}

// refusal says why there is no job to show for a push.
func refusal(made job.Created) error {
	if made.Err == nil && made.Duplicate && made.Job.ID == "" {
		return fail(agentapi.ProblemJobGone, "the push was carried out before, and its job is past its retention")
	}
	return made.Err
}

// await waits until the job is final. It exists whatever happens meanwhile,
// so that the caller gets it as it was rather than an error.
func (c *call) await(j job.Job, wait time.Duration) job.Job {
	later, err := c.api.cfg.Jobs.Wait(c.waiting(wait), j.Space, j.ID, wait)
	if err != nil {
		if c.request().Context().Err() == nil {
			c.api.log.Warn("could not wait for a job", "job", j.ID, "request_id", c.id, "err", err)
		}
		return j
	}
	return later
}

// entry checks what is asked for against the rules and makes a draft of it.
// The key is empty or makes the entry happen once.
func (c *call) entry(p agentapi.Push, key string) (job.Entry, error) {
	if err := c.checkPush(p); err != nil {
		return job.Entry{}, err
	}
	q := access.Request{Action: access.Send, Agent: p.Agent, Message: p.Message}
	d := c.decide(q)
	if !d.Allowed {
		return job.Entry{}, c.refuse(q, d, refusedID(key, p))
	}
	e := job.Entry{Draft: &job.Draft{
		Space:         c.token.Space,
		Agent:         p.Agent,
		Message:       p.Message,
		Sender:        chat.Sender{Account: access.TokenAccount, User: c.token.Name},
		CallbackURL:   p.CallbackURL,
		NeedsApproval: d.NeedsApproval(),
	}}
	if key != "" {
		e.Dedupe = &job.Dedupe{Space: c.token.Space, Scope: c.principal(), Key: key, Digest: digest(p)}
	}
	return e, nil
}

// refusedID is the ID of a refusal in the audit log: the same for a repetition,
// and another for another push, so that no key hides what was tried.
func refusedID(key string, p agentapi.Push) string {
	if key == "" {
		return ""
	}
	return key + " " + digest(p)
}

// checkPush finds what is wrong with a push by itself, before the rules are
// asked: the mistake in it is the better answer.
func (c *call) checkPush(p agentapi.Push) error {
	if p.Agent == "" {
		return fail(agentapi.ProblemInvalidValue, "agent: is empty: name the agent that should do this").at("agent")
	}
	if err := job.ValidMessage(p.Message, c.api.limits().MessageBytes); err != nil {
		return err
	}
	return c.checkCallback(p)
}

// checkCallback says why the job's end may not be told to the callback_url.
// What was refused is put on record without the URL, which may hold a secret.
func (c *call) checkCallback(p agentapi.Push) error {
	if p.CallbackURL == "" {
		return nil
	}
	err := job.ErrCallbacksOff
	if c.api.cfg.Callback != nil {
		err = c.api.cfg.Callback(p.CallbackURL)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, job.ErrCallbacksOff):
		return fail(agentapi.ProblemCallbacksOff,
			"callbacks.secrets of the config has no secret to sign callbacks with; without them, use ?wait=, or read GET /v1/events").at("callback_url")
	}
	code := c.record(access.Record{Action: "callback", Target: p.Agent, Why: err.Error()})
	c.api.log.Warn("a callback_url was refused", "who", c.principal(), "agent", short(p.Agent), "err", err, "refusal", code)
	return fail(agentapi.ProblemInvalidValue, "callback_url: %s; the audit log has this as %s", err, code).at("callback_url")
}

// unknownAgent says which agent there is none of.
func unknownAgent(err error, name string) error {
	f := failureOf(err)
	if f.problem.Type == agentapi.ProblemUnknownAgent {
		f.problem.Detail = "there is no agent " + strconv.Quote(short(name))
		f.problem.Field = "agent"
	}
	return f
}

// digest identifies what a push asks for. Each field is preceded by its
// length, so that no two pushes run into each other.
func digest(p agentapi.Push) string { return digestOf(p.Agent, p.Message, p.CallbackURL) }

func digestOf(fields ...string) string {
	h := sha256.New()
	for _, s := range fields {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(s)))
		h.Write(length[:])
		h.Write([]byte(s))
	}
	return base64.RawStdEncoding.EncodeToString(h.Sum(nil))
}

// pushBatch makes many jobs at once. Each is answered for itself.
func (c *call) pushBatch() error {
	key, err := c.idempotencyKey()
	if err != nil {
		return err
	}
	var b agentapi.Batch
	if err := c.decodeStrict(&b, batchShape); err != nil {
		return err
	}
	if len(b.Jobs) == 0 || len(b.Jobs) > maxBatch {
		return fail(agentapi.ProblemInvalidValue, "jobs: has %d entries and must have 1 to %d", len(b.Jobs), maxBatch).at("jobs")
	}
	answers := make([]agentapi.JobOrProblem, len(b.Jobs))
	entries, index := c.entries(b.Jobs, key, answers)
	created, err := c.api.cfg.Jobs.Create(c.arrived(), entries)
	if err != nil {
		return err
	}
	for i, made := range created {
		at := index[i]
		if err := refusal(made); err != nil {
			answers[at].Problem = c.itemProblem(unknownAgent(err, b.Jobs[at].Agent))
			continue
		}
		w := wireJob(made.Job)
		answers[at].Job = &w
	}
	return c.json(http.StatusOK, agentapi.BatchAnswer{Jobs: answers})
}

// entries checks the pushes of a batch, several at a time since refusals are
// written to the audit log. It fills the answers of those refused and returns
// the entries of the others with their places.
func (c *call) entries(pushes []agentapi.Push, key string, answers []agentapi.JobOrProblem) (entries []job.Entry, index []int) {
	all := make([]job.Entry, len(pushes))
	var wg sync.WaitGroup
	for begin := 0; begin < len(pushes); begin += auditAtOnce {
		for i := begin; i < min(begin+auditAtOnce, len(pushes)); i++ {
			wg.Go(func() {
				entry, err := c.entry(pushes[i], itemKey(key, i))
				if err != nil {
					answers[i].Problem = c.itemProblem(err)
				}
				all[i] = entry
			})
		}
		wg.Wait()
	}
	for i, e := range all {
		if e.Draft != nil {
			entries, index = append(entries, e), append(index, i)
		}
	}
	return entries, index
}

// itemKey is the key of one push of a batch. Keys that callers choose have no
// spaces, so none is the same.
func itemKey(key string, i int) string {
	if key == "" {
		return ""
	}
	return key + " " + strconv.Itoa(i)
}

// itemProblem is what is wrong with one item of a batch.
func (c *call) itemProblem(err error) *agentapi.Problem {
	f := failureOf(err)
	if f.problem.Status >= 500 {
		c.api.log.Error("an item of a batch failed", "path", c.request().URL.Path, "request_id", c.id, "err", err)
	}
	return &f.problem
}

// idempotencyKey returns the Idempotency-Key of the call; empty without one.
func (c *call) idempotencyKey() (string, error) {
	values := c.request().Header["Idempotency-Key"]
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", badParameter("Idempotency-Key", "comes more than once")
	case values[0] == "" || len(values[0]) > maxKey:
		return "", badParameter("Idempotency-Key", "must have 1 to %d characters", maxKey)
	}
	for _, b := range []byte(values[0]) {
		if b <= ' ' || b > '~' {
			return "", badParameter("Idempotency-Key", "must be printable ASCII without spaces")
		}
	}
	return values[0], nil
}

// wait returns how long the call may wait: ?wait=30s; 0 without it.
func (c *call) wait() (time.Duration, error) {
	raw := c.request().URL.RawQuery
	if raw == "" {
		return 0, nil
	}
	text, err := c.parameter("wait")
	if err != nil || text == "" {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, badParameter("wait", "%q must be a duration such as 30s or 2m, from 0s to %s", short(text), maxWait)
	}
	return d, nil
}

// parameter returns a query parameter; empty without it.
func (c *call) parameter(name string) (string, error) {
	values := c.echo.QueryParams()[name]
	switch {
	case len(values) > 1:
		return "", badParameter(name, "comes more than once")
	case len(values) == 1 && values[0] == "":
		return "", badParameter(name, "is empty")
	case len(values) == 1:
		return values[0], nil
	}
	return "", nil
}

func badParameter(name, format string, args ...any) *failure {
	f := fail(agentapi.ProblemBadParameter, format, args...).at(name)
	f.problem.Detail = name + ": " + f.problem.Detail
	return f
}
