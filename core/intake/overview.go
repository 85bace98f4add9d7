package intake

import (
	"context"
	"time"

	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// overviewJobs is how many jobs a person's page shows.
const overviewJobs = 10

// viewer is the chat.Viewer of one account.
type viewer struct {
	*Intake
	space, account string
}

var _ chat.Viewer = (*viewer)(nil)

// Viewer returns what tells the people of one adapter account what they may
// see. It may be used concurrently.
func (in *Intake) Viewer(space, account string) chat.Viewer {
	return &viewer{Intake: in, space: space, account: account}
}

// Overview implements chat.Viewer. A page is no conversation, so it shows what
// the rules allow everywhere. Who sends nothing may see nothing: a stranger's
// page is empty.
func (v *viewer) Overview(ctx context.Context, who chat.Sender, groups []string) (chat.Overview, error) {
	var o chat.Overview
	b := &inbox{Intake: v.Intake, space: v.space, account: v.account}
	a, err := b.ask(chat.Inbound{
		ID: "overview", Sender: who, Groups: groups,
		Conversation: chat.ConversationRef{Account: v.account, Key: "overview"},
	})
	if err != nil {
		return o, err
	}
	if a.where = ""; !a.policy.Known(a.who) {
		return o, nil
	}
	now, err := v.jobs.Now(ctx)
	if err != nil {
		return o, err
	}
	agents, err := a.visibleAgents(ctx)
	if err != nil {
		return o, err
	}
	for _, g := range agents {
		o.Agents = append(o.Agents, chat.AgentState{Name: g.Name, Online: v.jobs.Online(g, now), SeenAt: g.LastSeenAt})
	}
	jobs, err := v.jobs.Jobs(ctx, job.Filter{Space: v.space, Sender: a.who, Limit: overviewJobs})
	if err != nil {
		return o, err
	}
	for _, j := range jobs {
		if j.Sender.Principal() == a.who {
			o.Jobs = append(o.Jobs, a.card(j, now))
		}
	}
	return o, nil
}

// card is a job without its output, with what its asker may do about it.
func (a *ask) card(j job.Job, now time.Time) chat.Card {
	c := chat.Card{
		Mark: j.Status.Mark(), Code: j.Code(), Agent: j.Agent, Message: j.Message, Asker: j.Sender,
		Final: j.Status.Final(),
	}
	switch {
	case j.SentAt.IsZero():
	case c.Final:
		c.Elapsed = max(j.FinishedAt.Sub(j.SentAt), 0)
	default:
		c.Elapsed = max(now.Sub(j.SentAt), 0)
	}
	if c.Final && j.Result != nil {
		c.ExitCode = j.Result.ExitCode
	}
	switch {
	case !c.Final && a.decideAbout(access.Cancel, j).Allowed:
		c.Buttons = []chat.Button{{Label: "Cancel", Command: "cancel " + c.Code, Danger: true}}
	case c.Final && a.decide(access.Send, j.Agent, j.Message).Allowed:
		c.Buttons = []chat.Button{{Label: "Run again", Command: "rerun " + c.Code}}
	}
	return c
}
