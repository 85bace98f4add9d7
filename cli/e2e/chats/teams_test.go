//go:build unix

package chats

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
)

// The bot of these tests.
const (
	teamsApp      = "2f6c9d1e-0f6b-4d0a-9a51-6f0b8a7c3d21"
	teamsTenant   = "8c1b7a52-3f0e-4c55-b0d7-1d2e3f405162"
	teamsPassword = "Q~hunter2.of-the-app"
)

// teamsPerson is somebody in the tenant.
type teamsPerson struct {
	Name   string `json:"name"`
	Object string `json:"object"`
}

// Ada and Grace may run, Eve may look.
var (
	ada   = teamsPerson{"Ada Lovelace", "0b54a7c1-7d0e-4a55-8f3c-5a4b3c2d1e0f"}
	grace = teamsPerson{"Grace Hopper", "1c65b8d2-8e1f-4b66-9a4d-6b5c4d3e2f10"}
	eve   = teamsPerson{"Eve <b>", "2d76c9e3-9f20-4c77-ab5e-7c6d5e4f3021"}
)

const teamsRules = `[{who: ["work-teams:` + teamsTenant + `/0b54a7c1-7d0e-4a55-8f3c-5a4b3c2d1e0f", "work-teams:` + teamsTenant +
	`/1c65b8d2-8e1f-4b66-9a4d-6b5c4d3e2f10"], agents: ["*"], may: ["run **"], see: true}, {who: ["work-teams:*"], agents: ["*"], see: true}]`

// teamsPlace is a conversation: personal, groupChat, or channel, which has
// threads.
type teamsPlace struct {
	Type   string `json:"type"`
	ID     string `json:"id"`
	Thread string `json:"thread,omitempty"`
	Team   string `json:"team,omitempty"`
}

func (p teamsPlace) conversation() string {
	if p.Thread == "" {
		return p.ID
	}
	return p.ID + ";messageid=" + p.Thread
}

func chatWith(p teamsPerson) teamsPlace {
	return teamsPlace{Type: "personal", ID: "a:1chat_with-" + p.Object}
}

// channelThread is a thread of the channel that most tests are in.
func channelThread(n int) teamsPlace {
	return teamsPlace{Type: "channel", ID: "19:ops_channel@thread.tacv2", Thread: fmt.Sprint(1_700_000_500_000 + n)}
}

// teamsMessage is what somebody writes.
type teamsMessage struct {
	Where teamsPlace  `json:"where"`
	Who   teamsPerson `json:"who"`
	Text  string      `json:"text"`
}

// teamsAnswer is how the bot answers a call, with the ID of the activity that
// it was called with.
type teamsAnswer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
	ID     string `json:"id"`
}

// teamsPost is what the bot said, as people see it now.
type teamsPost struct {
	Conversation string   `json:"conversation"`
	ID           string   `json:"id"`
	ReplyTo      string   `json:"reply_to"`
	Text         string   `json:"text"`
	Card         bool     `json:"card"`
	Summary      string   `json:"summary"`
	Versions     []string `json:"versions"` // of the text, the last is Text
	Mentions     []string `json:"mentions"`
	Actions      []struct {
		Title string `json:"title"`
	} `json:"actions"`
}

func (p teamsPost) buttons() []string {
	var titles []string
	for _, a := range p.Actions {
		titles = append(titles, a.Title)
	}
	return titles
}

// teamsState is what the far side has counted.
type teamsState struct {
	Complaints []string       `json:"complaints"`
	Faulted    map[string]int `json:"faulted"`
	Held       int            `json:"held"`
	Typing     []string       `json:"typing"`
	Granted    int            `json:"granted"`
	Posts      int            `json:"posts"`
	Done       int            `json:"done"`
}

// teams is a server with a bot in Teams, and its agent.
type teams struct {
	*site
	far *programs.Far
}

// newTeams starts the far side, a server and an agent.
func newTeams(t *testing.T) *teams {
	t.Helper()
	f := programs.StartFar(t, install(t, "teams"), "teams.js", "APP_ID="+teamsApp, "APP_PASSWORD="+teamsPassword, "TENANT_ID="+teamsTenant)
	host := strings.TrimPrefix(f.URL, "http://")
	s := newSite(t, fmt.Sprintf(`  - name: work-teams
    kind: teams
    app_id: %s
    app_password: %q
    tenant_id: %s
    openid_metadata_url: http://%[4]s/v1/.well-known/openidconfiguration
    token_url: http://%[4]s/%[3]s/oauth2/v2.0/token
    service_hosts: [%[4]q]
    allow_http_loopback: true
`, teamsApp, teamsPassword, teamsTenant, host), teamsRules)
	f.Ask("bot", map[string]any{"url": "http://" + s.addr + "/adapters/work-teams/messages"}, nil)
	s.start()
	tm := &teams{site: s, far: f}
	t.Cleanup(func() {
		if log := s.server.Printed() + s.agentd.Printed(); strings.Contains(log, "hunter2") {
			t.Error("a secret is in the logs")
		}
	})
	return tm
}

// say has somebody write a message that the bot takes.
func (tm *teams) say(t *testing.T, where teamsPlace, who teamsPerson, text string) (id string) {
	t.Helper()
	a := tm.try(t, map[string]any{"message": teamsMessage{where, who, text}})
	if a.Status != 200 {
		t.Fatalf("the bot answers %q with %d %s", text, a.Status, a.Body)
	}
	return a.ID
}

// try has the far side deliver a message in any way.
func (tm *teams) try(t *testing.T, in any) teamsAnswer {
	t.Helper()
	var a teamsAnswer
	programs.Must(t, tm.far.TryAsk(t.Context(), "say", in, &a))
	return a
}

// posts returns what the bot has said in a conversation.
func (tm *teams) posts(t *testing.T, where teamsPlace) []teamsPost {
	t.Helper()
	var all []teamsPost
	programs.Must(t, tm.far.TryAsk(t.Context(), "posts", nil, &all))
	return slices.DeleteFunc(all, func(p teamsPost) bool { return p.Conversation != where.conversation() })
}

func (tm *teams) state(t *testing.T) teamsState {
	t.Helper()
	var s teamsState
	programs.Must(t, tm.far.TryAsk(t.Context(), "state", nil, &s))
	return s
}

// sees waits until one of the bot's messages in a conversation has all of the
// texts, and returns it.
func (tm *teams) sees(t *testing.T, where teamsPlace, texts ...string) teamsPost {
	t.Helper()
	var found teamsPost
	programs.Eventually(t, fmt.Sprintf("%q in %s", texts, where.conversation()), func(context.Context) error {
		posts := tm.posts(t, where)
		for _, p := range posts {
			if has(p.Text, texts) {
				found = p
				return nil
			}
		}
		return fmt.Errorf("the bot said %+v", posts)
	})
	return found
}

func has(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// jobsOf returns the jobs whose message ends with a key.
func (tm *teams) jobsOf(t *testing.T, key string) []agentapi.Job {
	t.Helper()
	page, err := tm.client.Jobs(t.Context(), agentapi.JobFilter{Limit: 200})
	programs.Must(t, err)
	return slices.DeleteFunc(page.Jobs, func(j agentapi.Job) bool { return !strings.HasSuffix(j.Message, " "+key) })
}

// awaitJob waits until the only job of a key has a status.
func (tm *teams) awaitJob(t *testing.T, key, status string) agentapi.Job {
	t.Helper()
	var jobs []agentapi.Job
	programs.Eventually(t, "the job "+key+" to be "+status, func(context.Context) error {
		jobs = tm.jobsOf(t, key)
		if len(jobs) != 1 || jobs[0].Status != status {
			return fmt.Errorf("there are %+v", jobs)
		}
		return nil
	})
	return jobs[0]
}

// clean checks that the bot did nothing that Teams refuses.
func (tm *teams) clean(t *testing.T) {
	t.Helper()
	if s := tm.state(t); len(s.Complaints) > 0 {
		t.Errorf("the bot did what it must not: %q", s.Complaints)
	}
}
