package job

import (
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// Arrow is one transition that a job may make.
type Arrow struct {
	From   Status
	To     Status
	Reason Reason // empty where the arrow has none of its own
}

// arrows are all the transitions there are. The functions below decide when
// one is taken, and step refuses any other.
var arrows = map[Arrow]bool{
	{"", Queuing, ""}: true, // accepted and allowed

	{Queuing, Sent, ""}:                 true,
	{Queuing, Expired, AgentOffline}:    true,
	{Queuing, Expired, NotTaken}:        true,
	{Queuing, Expired, ApprovalTimeout}: true,
	{Queuing, Canceled, ""}:             true,
	{Queuing, Canceled, AgentRemoved}:   true,
	{Queuing, Canceled, Denied}:         true,

	{Sent, Succeeded, ""}:     true,
	{Sent, Failed, ""}:        true,
	{Sent, Canceled, ""}:      true,
	{Sent, Expired, NoResult}: true,
	{Sent, Expired, MaxRun}:   true,
}

// Arrows returns every transition of the lifecycle, in no particular order.
func Arrows() []Arrow {
	all := make([]Arrow, 0, len(arrows))
	for a := range arrows {
		all = append(all, a)
	}
	return all
}

// rules are the lifecycle's decisions. They are pure: the same view gives the
// same answer, and nothing is kept between calls.
type rules struct {
	times  Times
	limits Limits
}

// step moves c along an arrow and adds the event that tells of it. A
// transition that is no arrow is a mistake in this package, and is refused
// with ErrConflict rather than written.
func step(c *Change, now time.Time, to Status, reason Reason, by string) error {
	j := &c.Job
	arrow := Arrow{From: j.Status, To: to, Reason: reason}
	if j.Status == Sent && (to == Succeeded || to == Failed) {
		arrow.Reason = "" // the agent may name a reason of its own
	}
	if !arrows[arrow] {
		return ErrConflict
	}
	j.Status, j.Reason = to, reason
	j.Version++
	if to.Final() {
		j.FinishedAt = now
		j.OfferedUntil = time.Time{}
	}
	e := Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: EventJobStatus,
		At: now, Conversation: j.Conversation, Agent: j.Agent, Num: j.Num,
		Status: to, Reason: reason, By: by,
	}
	c.Events = append(append(c.Events, e), copies(j, e)...)
	return nil
}

// note adds a line to the job's history that nobody is told, since whoever
// caused it has an answer already.
func note(c *Change, now time.Time, by, text string) {
	j := c.Job
	c.Events = append(c.Events, Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: EventMessage,
		At: now, Agent: j.Agent, Num: j.Num, By: by, Text: text,
	})
}

// touch counts a change that is no transition and tells nobody.
func touch(j Job) Job {
	j.Version++
	return j
}

// online reports whether the agent checked in within the offline period.
// One that was seen far in the future was seen before the clock was set back,
// which says nothing of today.
func (r rules) online(a *Agent, now time.Time) bool {
	return !a.LastSeenAt.IsZero() && now.Sub(a.LastSeenAt).Abs() < r.times.Offline
}

// admit makes a job of a draft. holdExpiry keeps a job for an agent that fell
// silent, since the silence may have been ours.
func (r rules) admit(now time.Time, d Draft, agent *Agent, holdExpiry bool) (Job, []Event, error) {
	if agent == nil || !agent.RemovedAt.IsZero() {
		return Job{}, nil, ErrUnknownAgent
	}
	c := Change{Job: Job{
		ID: d.ID, Space: d.Space, Num: d.Num, Agent: agent.Name, Message: d.Message,
		Sender: d.Sender, Conversation: d.Conversation, CallbackURL: d.CallbackURL,
		CreatedAt: now, DueAt: now.Add(r.times.NotTaken),
	}}
	if err := step(&c, now, Queuing, "", d.Sender.Principal()); err != nil {
		return Job{}, nil, err
	}
	if d.NeedsApproval {
		c.Job.Approval = ApprovalWaiting
		c.Job.DueAt = now.Add(r.times.Approval)
		return c.Job, c.Events, nil
	}
	if !r.online(agent, now) && (agent.LastSeenAt.IsZero() || !holdExpiry) {
		if err := r.expireOffline(&c, now, agent); err != nil {
			return Job{}, nil, err
		}
	}
	return c.Job, c.Events, nil
}

// expireOffline takes the arrow to expired (agent_offline) and notes since
// when the agent is away.
func (r rules) expireOffline(c *Change, now time.Time, agent *Agent) error {
	before := len(c.Events)
	if err := step(c, now, Expired, AgentOffline, ""); err != nil {
		return err
	}
	for i := range c.Events[before:] {
		c.Events[before+i].AgentSeenAt = agent.LastSeenAt
	}
	return nil
}

// send hands a queuing job to its agent under a new lease. With confirm it
// only offers it: the job stays queuing until start.
func (r rules) send(lease string, confirm bool) Decide {
	return func(v View) (*Change, error) {
		j := v.Job
		if j.Status != Queuing || j.Approval == ApprovalWaiting || v.Now.Before(j.OfferedUntil) {
			return nil, ErrConflict
		}
		j.Lease = leaseOf(lease, j.Num)
		j.Attempt++
		if confirm {
			j.OfferedUntil = v.Now.Add(r.times.Offer)
			return &Change{Job: touch(j)}, nil
		}
		c := &Change{Job: j}
		return c, r.started(c, v.Now)
	}
}

// start confirms an offer. The same lease again is no error.
func (r rules) start(agent, lease string) Decide {
	return func(v View) (*Change, error) {
		j := v.Job
		switch {
		case j.Agent != agent:
			return nil, ErrNotFound
		case j.Status == Sent && j.Lease == lease:
			return nil, nil
		case j.Status.Final():
			return nil, ErrFinal
		case j.Status != Queuing, j.Lease == "", j.Lease != lease:
			return nil, ErrLease
		case !v.Now.Before(j.OfferedUntil):
			return nil, ErrLease
		}
		c := &Change{Job: j}
		return c, r.started(c, v.Now)
	}
}

func (r rules) started(c *Change, now time.Time) error {
	if err := step(c, now, Sent, "", c.Job.Agent); err != nil {
		return err
	}
	j := &c.Job
	j.OfferedUntil = time.Time{}
	j.SentAt, j.LastWordAt = now, now
	j.DueAt = r.sentDue(*j)
	return nil
}

// sentDue is when a sent job must be looked at: the earlier of too long
// without a word and too long in all.
func (r rules) sentDue(j Job) time.Time {
	word, run := j.LastWordAt.Add(r.times.NoResult), j.SentAt.Add(r.times.MaxRun)
	if run.Before(word) {
		return run
	}
	return word
}

// running takes the agent's word that it still runs the job. It is written
// only now and then.
func (r rules) running(agent, lease string) Decide {
	return func(v View) (*Change, error) {
		j := v.Job
		switch {
		case j.Agent != agent:
			return nil, ErrNotFound
		case j.Status.Final():
			return nil, ErrFinal
		case j.Status != Sent, j.Lease != lease:
			return nil, ErrLease
		case v.Now.Sub(j.LastWordAt) < r.times.Extend:
			return nil, nil
		}
		j.LastWordAt = v.Now
		j.DueAt = r.sentDue(j)
		return &Change{Job: touch(j)}, nil
	}
}

// cancel asks for a job to be canceled: at once while it is queuing, by its
// agent once it was sent.
func (r rules) cancel(by string) Decide {
	return func(v View) (*Change, error) {
		j := v.Job
		switch {
		case j.Status.Final():
			return nil, ErrFinal
		case j.Status == Queuing:
			c := &Change{Job: j}
			return c, step(c, v.Now, Canceled, "", by)
		case !j.CancelRequestedAt.IsZero():
			return nil, nil
		}
		j.CancelRequestedAt = v.Now
		c := &Change{Job: touch(j)}
		note(c, v.Now, by, by+" asked to cancel it; "+j.Agent+" is told to stop it.")
		return c, nil
	}
}

// approve grants or denies a job that waits for it. Granting checks the agent
// again, since it may have gone in the meantime.
func (r rules) approve(by string, grant, holdExpiry bool) Decide {
	return func(v View) (*Change, error) {
		j := v.Job
		switch {
		case j.Status.Final():
			return nil, ErrFinal
		case j.Approval != ApprovalWaiting:
			return nil, ErrConflict
		}
		c := &Change{Job: j}
		if !grant {
			c.Job.Approval = ApprovalDenied
			return c, step(c, v.Now, Canceled, Denied, by)
		}
		if v.Agent == nil {
			return c, step(c, v.Now, Canceled, AgentRemoved, "")
		}
		c.Job.Approval = ApprovalGranted
		c.Job.DueAt = v.Now.Add(r.times.NotTaken)
		if !r.online(v.Agent, v.Now) && (v.Agent.LastSeenAt.IsZero() || !holdExpiry) {
			return c, r.expireOffline(c, v.Now, v.Agent)
		}
		c.Job = touch(c.Job)
		note(c, v.Now, by, "Approved by "+by+".")
		return c, nil
	}
}

// removed cancels a queuing job whose agent was removed.
func (r rules) removed(by string) Decide {
	return func(v View) (*Change, error) {
		if v.Job.Status != Queuing {
			return nil, nil
		}
		c := &Change{Job: v.Job}
		return c, step(c, v.Now, Canceled, AgentRemoved, by)
	}
}

// silent expires a queuing job whose agent has been offline for too long.
func (r rules) silent(v View) (*Change, error) {
	j := v.Job
	switch {
	case j.Status != Queuing || j.Approval == ApprovalWaiting:
		return nil, nil
	case v.Agent == nil || !v.Agent.RemovedAt.IsZero():
		return r.removed("")(v)
	case r.online(v.Agent, v.Now):
		return nil, nil
	}
	c := &Change{Job: j}
	return c, r.expireOffline(c, v.Now, v.Agent)
}

// due expires a job whose time has come, and sets a later date where the
// agent's word has put it off.
func (r rules) due(v View) (*Change, error) {
	j := v.Job
	if j.Status.Final() || v.Now.Before(j.DueAt) {
		return nil, nil
	}
	c := &Change{Job: j}
	switch {
	case j.Status == Queuing && j.Approval == ApprovalWaiting:
		return c, step(c, v.Now, Expired, ApprovalTimeout, "")
	case j.Status == Queuing && v.Now.Before(j.OfferedUntil):
		// An agent may confirm at any moment: look again when it cannot.
		c.Job.DueAt = j.OfferedUntil
		c.Job = touch(c.Job)
		return c, nil
	case j.Status == Queuing:
		return c, step(c, v.Now, Expired, NotTaken, "")
	case !v.Now.Before(j.SentAt.Add(r.times.MaxRun)):
		if c.Job.CancelRequestedAt.IsZero() {
			c.Job.CancelRequestedAt = v.Now
		}
		return c, step(c, v.Now, Expired, MaxRun, "")
	case !v.Now.Before(j.LastWordAt.Add(r.times.NoResult)):
		return c, step(c, v.Now, Expired, NoResult, "")
	}
	c.Job.DueAt = r.sentDue(j)
	c.Job = touch(c.Job)
	return c, nil
}

// putOff moves what is due by as much as the clock jumped ahead.
func putOff(ahead time.Duration) Decide {
	return func(v View) (*Change, error) {
		if v.Job.Status.Final() || v.Now.Before(v.Job.DueAt) {
			return nil, nil
		}
		j := touch(v.Job)
		j.DueAt = j.DueAt.Add(ahead)
		if j.Status == Sent {
			j.SentAt, j.LastWordAt = j.SentAt.Add(ahead), j.LastWordAt.Add(ahead)
		}
		return &Change{Job: j}, nil
	}
}

// lateEvent is told once to the conversation of a job whose agent reported after
// the job was final.
func lateEvent(j Job, now time.Time, status Status) Event {
	return Event{
		Subject: j.ID, Version: j.Version, Space: j.Space, Kind: EventMessage, At: now,
		Conversation: j.Conversation, Agent: j.Agent, Num: j.Num, By: j.Agent,
		Text: "A late report came in for #" + j.Code() + ": " + j.Agent + " says that it " +
			lateWord(status) + ". The job stays " + string(j.Status) + "; `why " + j.Code() + "` shows the report.",
		Mention: mentionOf(j),
	}
}

func lateWord(s Status) string {
	if s == Canceled {
		return "was canceled"
	}
	return string(s)
}

func mentionOf(j Job) *chat.Sender {
	if j.Conversation == nil {
		return nil
	}
	sender := j.Sender
	return &sender
}
