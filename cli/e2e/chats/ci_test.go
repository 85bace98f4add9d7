//go:build unix

package chats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	ciSecret = "hook-hunter2"
	ciToken  = "ghp_hunter2"
	// ciSigning is what callbacks are signed with; the base64 is the word
	// hunter2, over and over.
	ciSigning = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMmh1bnQ="
	// passed is the commit of the recorded workflow_run.
	passed = "acb5820ced9479c074f688cc328bf03f341a511d"
)

// ciSite is a site whose events come from GitHub, and whose answers go to a
// Slack workspace, to the commit, and to a service.
type ciSite struct {
	*slackSite
	github *programs.Far
}

// commitStatus is a status as it stands at a commit.
type commitStatus struct {
	Context, State, Description string
	TargetURL                   string `json:"target_url"`
}

// called is a callback whose signature the service has checked.
type called struct {
	ID, Type string
	Data     agentapi.Job
}

// newCISite prepares a site. The Slack workspace has one account; rules are of
// the account github, and what GitHub may have done is their business.
func newCISite(t *testing.T) *ciSite {
	t.Helper()
	github := programs.StartFar(t, install(t, "ci"), "ci.js")
	github.Ask("setup", map[string]string{"token": ciToken, "callbackSecret": ciSigning}, nil)
	s := &ciSite{slackSite: newSlackSite(t, "http"), github: github}
	config, err := os.ReadFile(s.config)
	programs.Must(t, err)
	account := fmt.Sprintf(`adapters:
  - name: github
    kind: webhook
    provider: github
    secrets: [old-%[1]s, %[1]s]
    commit_status: {token: %[2]s, api_url: '%[3]s/api', context: skadi/deploy, target_url: 'https://skadi.example.com/jobs/{code}'}
    reply_to: {account: slack-0, channel: C1}
    callback_url: '%[3]s/callbacks/done'
    rules:
      - on: {event: workflow_run, action: completed, conclusion: success, branch: main}
        send: 'web-1 run wait {{.workflow_run.head_sha}}'
      - on: {event: workflow_run, conclusion: failure}
        send: 'web-1 run now {{.workflow_run.head_branch}}'
      - on: {event: push, branch: main}
        send: 'web-1 reboot {{.after}}'
      - on: {event: push, branch: 'away/*'}
        send: 'web-1 run now {{.after}}'
        callback_url: '%[3]s/redirect/'
  - name: quiet
    kind: webhook
    provider: github
    secrets: [%[1]s]
    commit_status: {token: %[2]s, api_url: '%[3]s/api'}
    rules:
      - on: {event: workflow_run}
        send: 'web-1 run {{.workflow_run.name}} {{.workflow_run.head_sha}}'
`, ciSecret, ciToken, github.URL)
	text := strings.Replace(string(config), "adapters:\n", account, 1)
	text = strings.Replace(text, "who: ['slack-0:*'", "who: ['github:webhook', 'quiet:webhook', 'slack-0:*'", 1)
	text += fmt.Sprintf("callbacks: {secrets: [%s], allow: [127.0.0.1]}\n", ciSigning)
	s.write("skadi.yaml", text)
	return s
}

// recorded returns a recorded payload, with some values changed.
func recorded(t *testing.T, name string, changes map[string]any) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "adapters", "webhook", "testdata", "github", name+".json"))
	programs.Must(t, err)
	var payload map[string]any
	programs.Must(t, json.Unmarshal(data, &payload))
	for path, value := range changes {
		at := payload
		keys := strings.Split(path, ".")
		for _, key := range keys[:len(keys)-1] {
			at = at[key].(map[string]any)
		}
		at[keys[len(keys)-1]] = value
	}
	return payload
}

// delivery is an event on its way, and what became of it.
type delivery struct {
	URL      string         `json:"url"`
	Secret   string         `json:"secret"`
	Event    string         `json:"event"`
	Payload  map[string]any `json:"payload"`
	Delivery string         `json:"delivery,omitempty"`
	Change   map[string]any `json:"change,omitempty"`
	// account is github unless it is set.
	account string
}

// deliver has GitHub deliver an event, and checks how that was answered: the
// status, and words of the answer.
func (s *ciSite) deliver(d delivery, status int, words ...string) {
	s.t.Helper()
	if d.account == "" {
		d.account = "github"
	}
	d.URL = "http://" + s.addr + "/adapters/" + d.account + "/events"
	if d.Secret == "" {
		d.Secret = ciSecret
	}
	var got struct {
		Status int
		Body   string
	}
	s.github.Ask("deliver", d, &got)
	if got.Status != status {
		s.t.Errorf("a delivery of %s was answered with %d %s, want %d", d.Event, got.Status, got.Body, status)
	}
	for _, w := range words {
		if !strings.Contains(got.Body, w) {
			s.t.Errorf("%q is not in the answer %s", w, got.Body)
		}
	}
}

// statuses waits until a commit has these states, one after the other, and
// returns the last.
func (s *ciSite) statuses(sha string, want ...string) commitStatus {
	s.t.Helper()
	var all []commitStatus
	programs.Eventually(s.t, fmt.Sprintf("the states %q of %s", want, sha), func(ctx context.Context) error {
		if err := s.github.TryAsk(ctx, "statuses", map[string]string{"repo": "acme/shop", "sha": sha}, &all); err != nil {
			return err
		}
		var states []string
		for _, one := range all {
			states = append(states, one.State)
		}
		if states = slices.Compact(states); !slices.Equal(states, want) {
			return fmt.Errorf("it has %+v", all)
		}
		return nil
	})
	return all[len(all)-1]
}

// told waits until a message of the channel that is no thread has the words.
func (s *ciSite) told(words ...string) slackMessage {
	s.t.Helper()
	var found slackMessage
	programs.Eventually(s.t, fmt.Sprintf("a message with %q", words), func(ctx context.Context) error {
		var all []slackMessage
		if err := s.far.TryAsk(ctx, "channel", map[string]string{"channel": "C1"}, &all); err != nil {
			return err
		}
		for _, m := range all {
			if m.has(words...) == nil {
				found = m
				return nil
			}
		}
		return fmt.Errorf("there are %d: %+v", len(all), all)
	})
	return found
}

// callback waits for the callback of a job.
func (s *ciSite) callback(id string) called {
	s.t.Helper()
	var found called
	programs.Eventually(s.t, "the callback of "+id, func(ctx context.Context) error {
		var all []called
		if err := s.github.TryAsk(ctx, "callbacks", struct{}{}, &all); err != nil {
			return err
		}
		for _, c := range all {
			if c.Data.ID == id {
				found = c
				return nil
			}
		}
		return errors.New("there is none")
	})
	return found
}

// TestCI plays a recorded event of GitHub's: it becomes a job, which the agent
// runs, and three places are told.
func TestCI(t *testing.T) {
	t.Parallel()
	s := newCISite(t)
	s.site.start()
	run := delivery{Event: "workflow_run", Payload: recorded(t, "workflow_run", nil), Delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
	s.deliver(run, http.StatusOK, "taken", "rules[0]")
	s.statuses(passed, "pending")
	s.told("web-1", "run wait "+passed, "waiting "+passed)

	// It comes again: as GitHub does by hand, and under another ID.
	s.deliver(run, http.StatusOK, "taken")
	run.Delivery = ""
	s.deliver(run, http.StatusOK, "taken")

	s.release(passed)
	last := s.statuses(passed, "pending", "success")
	job := s.settled(1)[0]
	if last.Context != "skadi/deploy" || last.TargetURL != "https://skadi.example.com/jobs/"+job.Code ||
		!strings.HasPrefix(last.Description, "#"+job.Code+" web-1 run wait "+passed) {
		t.Errorf("the status is %+v", last)
	}
	if job.Sender.Adapter != "github" || job.Sender.ID != "webhook" || !strings.Contains(job.Sender.Name, "acme/shop") {
		t.Errorf("the sender is %+v", job.Sender)
	}
	s.told("Succeeded", "run wait "+passed, "done "+passed)
	if c := s.callback(job.ID); c.Type != "job.succeeded" || c.Data.Status != "succeeded" || c.ID == "" {
		t.Errorf("the callback is %+v", c)
	}
	var faults []string
	s.github.Ask("refused", struct{}{}, &faults)
	if len(faults) > 0 {
		t.Errorf("callbacks were refused: %q", faults)
	}
}

// TestCIStatus has nobody told but the commit: at once that the job waits or
// runs, how it ended, and what was refused.
func TestCIStatus(t *testing.T) {
	t.Parallel()
	s := newCISite(t)
	s.site.start()
	sha := func(digit string) string { return strings.Repeat(digit, 40) }
	event := func(how, sha string) delivery {
		return delivery{account: "quiet", Event: "workflow_run", Payload: recorded(t, "workflow_run", map[string]any{
			"workflow_run.name": how, "workflow_run.head_sha": sha,
		})}
	}
	s.deliver(event("wait", sha("1")), http.StatusOK, "taken")
	s.statuses(sha("1"), "pending")
	s.release(sha("1"))
	s.statuses(sha("1"), "pending", "success")
	s.deliver(event("fail", sha("2")), http.StatusOK, "taken")
	if last := s.statuses(sha("2"), "pending", "failure"); last.Context != "skadi" || !strings.Contains(last.Description, "exit 1") {
		t.Errorf("the status is %+v", last)
	}
	s.settled(2)
	s.deliver(event("now;reboot", sha("3")), http.StatusOK, "taken") // which the agent does not take
	s.statuses(sha("3"), "pending", "failure")
	refused := event("x", sha("4"))
	refused.Payload["workflow_run"].(map[string]any)["name"] = `"x`
	s.deliver(refused, http.StatusUnprocessableEntity, "quotation mark")
}

// TestCIAttacks tries what must not work, and looks for the reason in the log.
func TestCIAttacks(t *testing.T) {
	t.Parallel()
	s := newCISite(t)
	s.site.start()
	run := func(changes map[string]any) delivery {
		return delivery{Event: "workflow_run", Payload: recorded(t, "workflow_run", changes)}
	}
	failed := func(branch string) delivery {
		return run(map[string]any{"workflow_run.conclusion": "failure", "workflow_run.head_branch": branch})
	}

	forged := run(nil)
	forged.Secret = "guess-hunter2"
	s.deliver(forged, http.StatusUnauthorized)
	s.logged("its signature is of none of the secrets")
	changed := run(nil)
	changed.Change = map[string]any{"body": `{"action":"completed"}`}
	s.deliver(changed, http.StatusUnauthorized)
	s.deliver(run(map[string]any{"padding": strings.Repeat("x", 6<<20)}), http.StatusRequestEntityTooLarge)
	form := run(nil)
	form.Change = map[string]any{"headers": map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}
	s.deliver(form, http.StatusUnsupportedMediaType, "application/json")
	s.logged("its content type is not application/json")

	for branch, why := range map[string]string{
		"main\nweb-1 run now evil": "more than one word",
		"main evil":                "more than one word",
		"main\x1b[2J":              "cannot be printed",
		"main\u202egnp":            "cannot be printed",
		strings.Repeat("x", 5000):  "longer than 4096 bytes",
		"":                         "is empty",
	} {
		s.deliver(failed(branch), http.StatusUnprocessableEntity, why)
		s.logged(why)
	}
	s.deliver(delivery{Event: "workflow_run", Payload: recorded(t, "workflow_run.fork", nil)}, http.StatusAccepted, "no rule")
	s.deliver(delivery{Event: "status", Payload: recorded(t, "status", map[string]any{"context": "skadi/deploy"})}, http.StatusAccepted, "own jobs")
	s.deliver(delivery{Event: "ping", Payload: recorded(t, "ping", nil)}, http.StatusOK)

	// What a rule sends is held against the rules of access like anybody's.
	s.deliver(delivery{Event: "push", Payload: recorded(t, "push", nil)}, http.StatusOK, "taken")
	s.told("reboot", "refusal")
	s.logged("reboot")

	// An argument that looks like more than a word of its pattern is the agent's
	// to refuse; no shell reads it.
	s.deliver(failed("$(touch${IFS}evil);touch${IFS}evil"), http.StatusOK, "taken")
	s.told("Failed", "$(touch${IFS}evil)", "must match")
	if _, err := os.Stat(filepath.Join(s.dir, "evil")); err == nil {
		t.Error("a branch's name was run")
	}

	// A callback that leads elsewhere is not followed there.
	s.deliver(delivery{Event: "push", Payload: recorded(t, "push", map[string]any{"ref": "refs/heads/away/1"})}, http.StatusOK, "taken")
	s.told("Succeeded", "run now "+passed)
	s.logged("redirects are not followed")

	var visited []string
	s.github.Ask("visited", struct{}{}, &visited)
	if len(visited) > 0 {
		t.Errorf("a callback went to %q", visited)
	}
	for _, j := range s.jobs() {
		if strings.Contains(j.Message, "reboot") || strings.Contains(j.Message, "\n") {
			t.Errorf("there is a job %+v", j)
		}
	}
}

// logged waits until the server's log has the words.
func (s *ciSite) logged(words string) {
	s.t.Helper()
	programs.Eventually(s.t, fmt.Sprintf("%q in the log", words), func(context.Context) error {
		if !strings.Contains(s.server.Printed(), words) {
			return errors.New("it is not there")
		}
		return nil
	})
}
