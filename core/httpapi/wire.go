package httpapi

import (
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// wireJob is the job as the API shows it.
func wireJob(j job.Job) agentapi.Job {
	w := agentapi.Job{
		ID: j.ID, Code: j.Code(), Agent: j.Agent, Message: j.Message,
		Status: string(j.Status), Reason: string(j.Reason), Approval: string(j.Approval),
		Sender:    wireSender(j.Sender),
		CreatedAt: j.CreatedAt.UTC(), SentAt: moment(j.SentAt), FinishedAt: moment(j.FinishedAt),
		CancelRequestedAt: moment(j.CancelRequestedAt),
		Attempt:           j.Attempt, Version: j.Version,
	}
	if !j.Status.Final() {
		w.DeadlineAt = moment(j.DueAt)
	}
	if r := j.Result; r != nil {
		w.Result = &agentapi.Result{Output: r.Output, ExitCode: r.ExitCode, Truncated: r.Truncated}
	}
	for _, l := range j.Late {
		w.Late = append(w.Late, agentapi.LateReport{
			At: l.At.UTC(), Status: string(l.Status), Output: l.Output, ExitCode: l.ExitCode,
		})
	}
	return w
}

func wireSender(s chat.Sender) agentapi.Sender {
	id := s.User
	if s.Workspace != "" {
		id = s.Workspace + "/" + s.User
	}
	return agentapi.Sender{Adapter: s.Account, ID: id, Name: s.Name}
}

// assignment is a job as its agent gets it.
func assignment(j job.Job) agentapi.Assignment {
	return agentapi.Assignment{
		ID: j.ID, Code: j.Code(), Message: j.Message, Sender: wireSender(j.Sender),
		Attempt: j.Attempt, Lease: j.Lease, DeadlineAt: j.DueAt.UTC(),
	}
}

func wireHolds(holds []job.Hold) []agentapi.Hold {
	w := make([]agentapi.Hold, len(holds))
	for i, h := range holds {
		w[i] = agentapi.Hold(h)
	}
	return w
}

func jobHolds(wire []agentapi.Hold) []job.Hold {
	if len(wire) == 0 {
		return nil
	}
	holds := make([]job.Hold, len(wire))
	for i, h := range wire {
		holds[i] = job.Hold(h)
	}
	return holds
}

// jobCommands keeps nil apart from empty: nil leaves what the agent said before.
func jobCommands(wire []agentapi.Command) []job.Command {
	if wire == nil {
		return nil
	}
	commands := make([]job.Command, len(wire))
	for i, c := range wire {
		commands[i] = job.Command(c)
	}
	return commands
}

func wireAgent(a job.Agent, online bool) agentapi.Agent {
	w := agentapi.Agent{
		Name: a.Name, Online: online, Paused: !a.PausedAt.IsZero(),
		LastSeenAt: moment(a.LastSeenAt), CreatedAt: a.CreatedAt.UTC(), Version: a.Version,
	}
	for _, c := range a.Commands {
		w.Commands = append(w.Commands, agentapi.Command(c))
	}
	return w
}

// moment is nil for the zero time.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
