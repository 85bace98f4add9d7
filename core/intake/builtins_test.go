package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

// takes lets the agent take its jobs by a plain poll.
func (w *world) takes(agent string) []job.Job {
	w.t.Helper()
	got, err := w.jobs.Poll(w.ctx, w.caller(agent), job.PollRequest{Max: 10})
	require.NoError(w.t, err)
	return got.Jobs
}

// finishes lets the agent take the job and report on it.
func (w *world) finishes(j job.Job, status job.Status, output string) {
	w.t.Helper()
	for _, got := range w.takes(j.Agent) {
		if got.ID != j.ID {
			continue
		}
		us, err := w.jobs.Report(w.ctx, w.caller(j.Agent), []job.Report{{ID: j.ID, Lease: got.Lease, Status: status, Output: &output}})
		require.NoError(w.t, err)
		require.NoError(w.t, us[0].Err)
		return
	}
	w.t.Fatalf("%s did not get #%s", j.Agent, j.Code())
}

func TestHelp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	same(t, w.ask(ada, "help").Text, `
Type an agent's name and what it should do:
● db  online
● web-1  online
    web-1 deploy VERSION  put a version online
    web-1 status          is it well?
○ web-2  offline for 10 min, since 2026-03-01 23:59:50 UTC
    web-2 deploy VERSION  put a version online
    web-2 status          is it well?

And:
  help [agent]          what you can do here
  agents                the agents and whether they are online
  jobs [agent]          the latest jobs
  job <code>            one job and the end of its output
  output <code> [page]  all that a job has put out
  cancel <code>         stop a job
  rerun <code>          send the same message again
  why <code>            the history of a job, or the reason of a refusal
  use [agent]           the agent that gets what names none; `+"`use -`"+` for no agent
  whoami                who you are to the access rules
  pause <agent>         keep an agent from taking jobs
  resume <agent>        let a paused agent take jobs again
  approve <code>        let a job run that waits for approval
  deny <code>           refuse a job that waits for approval`)

	got := w.ask(bob, "help").Text
	assert.Contains(t, got, "● web-1  online\n    web-1 status  is it well?\n\nAnd:")
	for _, hidden := range []string{"deploy", "web-2", "db", "vault", "pause", "approve"} {
		assert.NotContains(t, got, hidden)
	}
	got = w.ask(eve, "help").Text
	assert.Contains(t, got, "There is no agent here that you may send anything to.")
	assert.Contains(t, got, "approve <code>")
	for _, hidden := range []string{"cancel", "rerun", "use [agent]", "pause"} {
		assert.NotContains(t, got, hidden)
	}
}

func TestHelpOfOneAgent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	same(t, w.ask(ada, "help web-1").Text, `
● web-1  online
  web-1 deploy VERSION  put a version online
  web-1 status          is it well?
`+"`pause web-1`"+`: keep an agent from taking jobs.`)
	same(t, w.ask(root, "help vault").Text, `
○ vault  has never checked in
It has not told what it can do.
`+"`pause vault`"+`: keep an agent from taking jobs.`)
	assert.Contains(t, w.ask(ada, "help db").Text, "It has told no command that you may run.")
	assert.Contains(t, w.ask(eve, "help db").Text, "You may see it here, and send it nothing.")
	assert.Equal(t, "`cancel <code>`: stop a job.", w.ask(ada, "help Cancel").Text)
}

func TestHelpOfManyAgents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 25 {
		_, err := w.jobs.CreateAgent(w.ctx, job.DefaultSpace, "web-a"+string(rune('a'+i)))
		require.NoError(t, err)
	}
	assert.Contains(t, w.ask(ada, "help").Text, "… and 8 more: `agents` lists them all.")
}

func TestAgents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	same(t, w.ask(ada, "agents").Text, `
● db     online
● web-1  online
○ web-2  offline for 10 min, since 2026-03-01 23:59:50 UTC`)
	same(t, w.ask(bob, "agents").Text, `
● web-1  online`)
	assert.Contains(t, w.ask(root, "agents").Text, "○ vault  has never checked in")
}

func TestJobsShowsOwnAndWhatRulesShow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	his := w.sends(bob, "web-1 status")
	w.pass(time.Minute)
	hers := w.sends(ada, "web-1 deploy v2")
	owners := w.sends(root, "db vacuum")
	line := func(j job.Job, rest string) string { return "○ #" + j.Code() + "  " + rest }
	assert.Equal(t, line(his, "1 min  web-1  status"), w.ask(bob, "jobs").Text, "own ones")
	assert.Equal(t, line(owners, "0 ms  db  vacuum"), w.ask(eve, "jobs").Text, "who approves for an agent sees its jobs")
	all := line(owners, " 0 ms  db     vacuum") + "\n" + line(hers, " 0 ms  web-1  deploy v2") + "\n" + line(his, "1 min  web-1  status")
	assert.Equal(t, all, w.ask(ada, "jobs").Text)
	assert.Equal(t, all, w.ask(root, "jobs").Text)
	assert.Equal(t, line(owners, "0 ms  db  vacuum"), w.ask(root, "jobs db").Text)
	assert.Equal(t, "There are no jobs of web-2 that you may see.", w.ask(ada, "jobs web-2").Text)
	for range 12 {
		w.sends(root, "web-1 status")
	}
	assert.Len(t, strings.Split(w.ask(root, "jobs").Text, "\n"), 10)
	assert.Equal(t, line(his, "1 min  web-1  status"), w.ask(bob, "jobs").Text, "own ones among any number of others'")
}

func TestJobShowsOutput(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 deploy v1")
	same(t, w.ask(ada, "job #"+j.Code()).Text, `
○ #`+j.Code()+` web-1 · deploy v1
queuing; asked by Ada 0 ms ago`)

	lease := w.takes("web-1")[0].Lease
	for i, text := range []string{"one\n", "two\n"} {
		require.NoError(t, w.jobs.Output(w.ctx, w.caller("web-1"), j.ID, lease, job.OutputChunk{Seq: int64(i + 1), Text: text}))
	}
	w.pass(5 * time.Second)
	same(t, w.ask(ada, "job "+strings.ToUpper(j.Code())).Text, `
▸ #`+j.Code()+` web-1 · deploy v1
sent, running for 5 s; asked by Ada 5 s ago
one
two`)

	code := 0
	us, err := w.jobs.Report(w.ctx, w.caller("web-1"), []job.Report{{ID: j.ID, Lease: lease, Status: job.Succeeded, ExitCode: &code}})
	require.NoError(t, err)
	require.NoError(t, us[0].Err)
	same(t, w.ask(ada, "job "+j.Code()).Text, `
✓ #`+j.Code()+` web-1 · deploy v1
succeeded after 5 s, exit code 0; asked by Ada 5 s ago
one
two`)
}

func TestOutputIsShownByWhoeverTellsIt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 deploy v1")
	for text, page := range map[string]int{"output " + j.Code(): 1, "Output #" + strings.ToUpper(j.Code()) + " 3": 3} {
		got := w.ask(ada, text)
		assert.Equal(t, page, got.Output)
		assert.Equal(t, j.Num, got.Num)
		assert.Equal(t, "web-1", got.Agent)
		assert.False(t, got.Refused)
	}
	for _, text := range []string{"output", "output " + j.Code() + " all"} {
		got := w.ask(ada, text)
		assert.Equal(t, "Type it like this: `output <code> [page]` (all that a job has put out).", got.Text)
		assert.True(t, got.Refused)
		assert.Zero(t, got.Output)
	}
}

func TestWhyTellsTheHistory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 deploy v1")
	w.pass(2 * time.Second)
	w.finishes(j, job.Failed, "no")
	got := w.ask(ada, "why "+j.Code()).Text
	assert.Contains(t, got, "Accepted from Ada, work:T1/ada in work:ops.")
	assert.Contains(t, got, "Waiting for web-1 to take it.")
	assert.Contains(t, got, "web-1 is running it.")
	assert.Contains(t, got, "web-1 reported a failure.")
	assert.Less(t, strings.Index(got, "running"), strings.Index(got, "failure"))
}

func TestWhoami(t *testing.T) {
	t.Parallel()
	w := setup(t)
	assert.Equal(t, "To the access rules you are work:T1/ada (Ada)\nand this conversation is work:ops.", w.ask(ada, "whoami").Text)
	assert.Equal(t, "To the access rules you are work:T1/bob\nand this conversation is work:ops.", w.ask(bob, "Whoami?").Text)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 deploy v1")
	assert.Equal(t, "#"+j.Code()+" is canceled.", w.ask(ada, "cancel "+j.Code()).Text)
	assert.Equal(t, job.Canceled, w.job(j.ID).Status)
	assert.Equal(t, "#"+j.Code()+" is canceled.", w.ask(ada, "cancel "+j.Code()).Text)
	assert.Empty(t, w.audit(), "own jobs are nobody else's business")

	j = w.sends(bob, "web-1 status")
	w.takes("web-1")
	assert.Equal(t, "web-1 was asked to stop #"+j.Code()+".", w.ask(ada, "cancel "+j.Code()).Text)
	assert.False(t, w.job(j.ID).CancelRequestedAt.IsZero())
	require.Len(t, w.audit(), 1)
	assert.True(t, w.audit()[0].Allowed)

	j = w.sends(ada, "web-1 deploy v3")
	w.finishes(j, job.Succeeded, "done")
	got := w.ask(ada, "cancel "+j.Code())
	assert.Equal(t, "#"+j.Code()+" ended before it could be canceled: it is succeeded.", got.Text)
	assert.True(t, got.Refused)
}

func TestCancelWithoutTheRight(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(root, "db vacuum")
	got := w.ask(eve, "cancel "+j.Code())
	assert.True(t, got.Refused)
	assert.True(t, strings.HasPrefix(got.Text, "You may not cancel #"+j.Code()+": no rule lets work:T1/eve cancel"), got.Text)
	assert.Equal(t, job.Queuing, w.job(j.ID).Status)
}

func TestHiddenJobsAreLikeNone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	j := w.sends(ada, "web-1 deploy v1")
	none := job.EncodeCode(j.Num + 1000)
	for _, verb := range []string{"job", "output", "why", "cancel", "rerun", "approve", "deny"} {
		hidden, missing := w.ask(bob, verb+" "+j.Code()), w.ask(bob, verb+" "+none)
		assert.Equal(t, missing.Text, strings.ReplaceAll(hidden.Text, j.Code(), none))
		assert.True(t, hidden.Refused)
		assert.Equal(t, hidden.Refused, missing.Refused)
	}
	assert.Equal(t, job.Queuing, w.job(j.ID).Status)
	assert.Equal(t, 1, w.countJobs(job.DefaultSpace))
	assert.Len(t, w.audit(), 7, "the attempts at a job that exists are on record")
}

func TestHiddenAgentsAreLikeNone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	texts := []string{"%", "% status", "help %", "use %", "pause %", "resume %", "jobs %"}
	for _, text := range texts {
		hidden := w.ask(ada, strings.ReplaceAll(text, "%", "vault"))
		missing := w.ask(ada, strings.ReplaceAll(text, "%", "zzzzz"))
		assert.Equal(t, missing.Text, strings.ReplaceAll(hidden.Text, "vault", "zzzzz"))
		assert.True(t, hidden.Refused && missing.Refused)
	}
	assert.Len(t, w.audit(), len(texts), "the attempts at an agent that exists are on record")
	assert.Equal(t, "“vaul” is no agent that you may use and no command. `help` shows what you can do.", w.ask(ada, "vaul status").Text)
}

func TestHints(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for text, want := range map[string]string{
		"wbe-1 status":      "“wbe-1” is no agent that you may use and no command. Did you mean `web-1`?",
		"Web-11: status":    "“Web-11:” is no agent that you may use and no command. Did you mean `web-1`?",
		"hlep":              "“hlep” is no agent that you may use and no command. Did you mean `help`?",
		"cancle x":          "“cancle” is no agent that you may use and no command. Did you mean `cancel`?",
		"pause web-3":       "There is no agent “web-3” that you may use. Did you mean `web-1`?",
		"what is going on?": "“what” is no agent that you may use and no command. `help` shows what you can do.",
	} {
		got := w.ask(ada, text)
		assert.True(t, got.Refused, text)
		assert.Equal(t, want, got.Text)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t)
	got := w.ask(ada, "web-1 reboot now")
	assert.True(t, got.Refused)
	assert.True(t, strings.HasPrefix(got.Text, `You may not send that to web-1: no rule lets work:T1/ada send "reboot now" to web-1 in work:ops; the nearest is rules[0], which allows only "deploy *", "status", "say **".`), got.Text)
	records := w.audit()
	require.Len(t, records, 1)
	r := records[0]
	assert.Contains(t, got.Text, "This refusal is "+r.Code+".")
	assert.Equal(t, []string{"work:T1/ada", "Ada", "work:ops", "send", "web-1", "web-1 reboot now"}, []string{r.Who, r.Name, r.Where, r.Action, r.Target, r.Text})
	assert.False(t, r.Allowed)
	assert.Zero(t, w.countJobs(job.DefaultSpace))

	same(t, w.ask(ada, "why "+strings.ToUpper(r.Code)).Text, r.Code+`  2026-03-02 00:09:50 UTC: send web-1 was refused
who:  work:T1/ada (Ada) in work:ops
text: web-1 reboot now
why:  `+r.Why)
	assert.Contains(t, w.ask(root, "why "+r.Code).Text, "text: web-1 reboot now")
	hidden, missing := w.ask(bob, "why "+r.Code), w.ask(bob, "why r-00000000")
	assert.Equal(t, missing.Text, strings.ReplaceAll(hidden.Text, r.Code, "r-00000000"))
}

func TestALineBreakDoesNotSlipThrough(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, text := range []string{"web-1 deploy v1\nreboot", "web-1 deploy v1\u2028reboot", "web-1 deploy v1 now", "web-1 deploy\u00a0v1 x"} {
		assert.True(t, w.ask(ada, text).Refused, "%q", text)
	}
}

func TestRulesOfAConversationHoldThereAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := w.message(bob, "web-1 status")
	m.Conversation = chat.ConversationRef{Account: "work", Channel: "lounge", Key: "lounge"}
	caused := w.accept(m)
	require.Len(t, caused, 1)
	assert.True(t, caused[0].Refused)
	assert.Equal(t, "lounge", caused[0].Conversation.Key, "the answer goes where the question was asked")
}
