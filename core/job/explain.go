package job

import (
	"fmt"
	"time"
)

// Explain says in one sentence what an event of the job means, for people.
// It is empty for an event that is not about a status.
func Explain(e Event, j Job) string {
	if e.Kind != EventJobStatus {
		return ""
	}
	agent := j.Agent
	switch e.Status {
	case Queuing:
		switch j.Approval {
		case NoApproval:
			return "Waiting for " + agent + " to take it."
		case ApprovalWaiting:
			return "It needs an approval."
		}
		return "It needed an approval."
	case Sent:
		return agent + " is running it."
	case Succeeded:
		return agent + " reported success."
	case Failed:
		return explainFailure(e.Reason, agent)
	case Canceled:
		return explainCancel(e, agent)
	case Expired:
		return explainExpiry(e, agent)
	}
	return ""
}

// Outlook says in one sentence what a job that is not final waits for, and until
// when. It is empty for others.
func Outlook(j Job) string {
	if j.Status.Final() || j.DueAt.IsZero() {
		return ""
	}
	until := moment(j.DueAt)
	switch {
	case j.Approval == ApprovalWaiting:
		return fmt.Sprintf("It waits for somebody else's `approve %s` until %s.", j.Code(), until)
	case j.Status == Queuing:
		return fmt.Sprintf("%s has until %s to take it.", j.Agent, until)
	}
	return fmt.Sprintf("It expires at %s unless %s reports before.", until, j.Agent)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }

func explainFailure(r Reason, agent string) string {
	switch r {
	case "":
		return agent + " reported a failure."
	case Interrupted:
		return agent + " was interrupted while it ran this; how far it got is not known."
	}
	return fmt.Sprintf("%s reported a failure: %s.", agent, r)
}

func explainCancel(e Event, agent string) string {
	switch e.Reason {
	case Denied:
		return "Denied by " + orSomebody(e.By) + "."
	case AgentRemoved:
		return "The agent " + agent + " was removed."
	}
	if e.By == agent {
		return agent + " stopped it, as was asked."
	}
	return "Canceled by " + orSomebody(e.By) + " before it was sent."
}

func explainExpiry(e Event, agent string) string {
	switch e.Reason {
	case AgentOffline:
		if e.AgentSeenAt.IsZero() {
			return "Not run: " + agent + " has never checked in. Is its daemon installed and started?"
		}
		return fmt.Sprintf("Not run: %s has been offline for %s, since %s.", agent,
			Ago(e.At.Sub(e.AgentSeenAt)), moment(e.AgentSeenAt))
	case NotTaken:
		return "Not run: " + agent + " was online but did not take it in time."
	case ApprovalTimeout:
		return "Not run: nobody approved it in time."
	case NoResult:
		return agent + " took it and then said nothing more; whether it ran to its end is not known."
	case MaxRun:
		return "It ran longer than allowed; " + agent + " was asked to stop it."
	}
	return "Expired."
}

func orSomebody(who string) string {
	if who == "" {
		return "somebody"
	}
	return who
}

// Ago writes a duration as a person would say it: 42 s, 14 min, 3 h 5 min, 2 days.
func Ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		if m := int(d.Minutes()) % 60; m != 0 {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), m)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 48*time.Hour:
		return "1 day"
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
