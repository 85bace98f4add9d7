package agenttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

// cancelRepeat is how often a cancel is told again.
const cancelRepeat = 10 * time.Second

// meet takes over what a poll says of the agent.
func (st *State) meet(in agentapi.PollRequest, most int) {
	st.Polls++
	st.Maxes = append(st.Maxes, most)
	st.Instance = in.Instance
	if in.Commands != nil {
		st.Commands = in.Commands
	}
	if in.Version != "" {
		st.Version = in.Version
	}
	if len(in.Running) > 0 {
		st.Running = in.Running
	}
}

// offer hands out jobs and cancels, and says when to look again.
func (st *State) offer(most int) (a agentapi.PollAnswer, again time.Duration) {
	again = time.Hour
	now := time.Now()
	for _, id := range st.order {
		j := st.Jobs[id]
		if j.Status == "sent" && j.CancelAsked && now.Sub(j.cancelTold) >= cancelRepeat {
			j.cancelTold = now
			a.Cancel = append(a.Cancel, agentapi.Hold{ID: id, Lease: j.Lease})
		}
		if j.Status != "queuing" {
			continue
		}
		if left := j.offeredUntil.Sub(now); left > 0 {
			again = min(again, left)
			continue
		}
		if len(a.Jobs) < most {
			st.leases++
			j.Lease = fmt.Sprintf("lease-%d", st.leases)
			j.Attempt++
			j.offeredUntil = now.Add(st.OfferFor)
			a.Jobs = append(a.Jobs, j.Assignment)
		}
	}
	return a, again
}

func (st *State) start(h agentapi.Hold) agentapi.Answer {
	j := st.Jobs[h.ID]
	switch {
	case j == nil:
		return Refusal(h.ID, http.StatusNotFound, agentapi.ProblemUnknownJob)
	case j.Status == "sent" && j.Lease == h.Lease:
	case j.Status == "queuing" && j.Lease == h.Lease && time.Now().Before(j.offeredUntil):
		j.Status = "sent"
	case j.Status == "queuing" || j.Status == "sent":
		return Refusal(h.ID, http.StatusConflict, agentapi.ProblemWrongLease)
	default:
		return Refusal(h.ID, http.StatusConflict, agentapi.ProblemJobFinal)
	}
	return agentapi.Answer{ID: h.ID, Status: http.StatusOK}
}

func (st *State) report(id string, r agentapi.Report) agentapi.Answer {
	j := st.Jobs[id]
	switch {
	case j == nil:
		return Refusal(id, http.StatusNotFound, agentapi.ProblemUnknownJob)
	case j.Lease != r.Lease:
		return Refusal(id, http.StatusConflict, agentapi.ProblemWrongLease)
	case j.Status == "queuing", r.Status == "canceled" && !j.CancelAsked:
		return Refusal(id, http.StatusConflict, agentapi.ProblemConflict)
	case j.Status == "sent":
		j.Status, j.Report, j.ReportedAt = r.Status, &r, time.Now()
	case j.Report == nil || !same(*j.Report, r):
		j.Late = append(j.Late, r)
		return Refusal(id, http.StatusConflict, agentapi.ProblemJobFinal)
	}
	return agentapi.Answer{ID: id, Status: http.StatusOK}
}

func same(a, b agentapi.Report) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func (st *State) output(id string, in agentapi.Output) *agentapi.Problem {
	j := st.Jobs[id]
	if j == nil {
		return Refusal(id, http.StatusNotFound, agentapi.ProblemUnknownJob).Problem
	}
	next := int64(len(j.Output)) + 1
	switch {
	case j.Status != "sent" || j.Lease != in.Lease:
		return Refusal(id, http.StatusConflict, agentapi.ProblemWrongLease).Problem
	case in.Seq > next:
		p := Refusal(id, http.StatusConflict, agentapi.ProblemOutputGap).Problem
		p.Expected = next
		return p
	case in.Seq == next:
		j.Output = append(j.Output, in.Text)
	}
	return nil
}
