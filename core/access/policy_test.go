package access

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	alice = "job-inbox:alice@example.com"
	bob   = "work-slack:T1/U2"
	carol = "work-slack:T1/U3"
	dave  = "terminal:dave"
	ci    = "token:ci"
	ops   = "work-slack:C0789"
)

func sample() Rules {
	return Rules{
		Groups: map[string][]string{
			"ops":   {bob, alice},
			"leads": {carol, alice},
		},
		Rules: []Rule{
			{Who: []string{"group:ops", ci}, Agents: []string{"web-*"}, May: []string{"deploy *", "status"}, In: []string{ops}},
			{Name: "wipe", Who: []string{"group:ops"}, Agents: []string{"web-*"}, May: []string{"wipe **"}, Approval: []string{"group:leads"}},
			{Who: []string{"work-slack:*"}, Agents: []string{"bot"}, May: []string{"**"}},
			{Who: []string{"group:leads"}, Agents: []string{"db-1"}, See: true, Pause: true},
			{Who: []string{carol}, Agents: []string{"*"}, In: []string{"work-slack:*"}, Administer: true},
			{Who: []string{ci}, Agents: []string{"db-1"}, Cancel: CancelOwn},
			{Who: []string{ci}, Agents: []string{"db-2"}, Cancel: CancelAny},
		},
	}
}

func setup(t *testing.T) *Policy {
	t.Helper()
	p, err := New(sample(), dave)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecide(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, tc := range []struct {
		name string
		ask  Request
		rule string // what allows it; empty: refused
		wait []string
		miss string // part of what is missing
	}{
		{
			name: "a rule's message in its conversation",
			ask:  Request{Who: bob, Where: ops, Action: Send, Agent: "web-1", Message: "deploy v1"},
			rule: "rules[0]",
		},
		{
			name: "by a token in the conversation of the rule",
			ask:  Request{Who: ci, Where: ops, Action: Send, Agent: "web-1", Message: "status"},
			rule: "rules[0]",
		},
		{
			name: "elsewhere",
			ask:  Request{Who: bob, Where: "work-slack:C1", Action: Send, Agent: "web-1", Message: "deploy v1"},
			miss: `no rule lets work-slack:T1/U2 send "deploy v1" to web-1 in work-slack:C1; the nearest is rules[0], which holds only in work-slack:C0789`,
		},
		{
			name: "over the API, where the rule names conversations",
			ask:  Request{Who: ci, Action: Send, Agent: "web-1", Message: "status"},
			miss: `no rule lets token:ci send "status" to web-1 over the API; the nearest is rules[0], which holds only in work-slack:C0789`,
		},
		{
			name: "another message",
			ask:  Request{Who: bob, Where: ops, Action: Send, Agent: "web-1", Message: "deploy v1 now"},
			miss: `the nearest is rules[0], which allows only "deploy *", "status"`,
		},
		{
			name: "a second line",
			ask:  Request{Who: bob, Where: ops, Action: Send, Agent: "web-1", Message: "deploy v1\nrm"},
			miss: `the message contains a line break, which only the pattern ** lets through`,
		},
		{
			name: "another agent",
			ask:  Request{Who: bob, Where: ops, Action: Send, Agent: "app-1", Message: "status"},
			miss: `the nearest is rules[0], which covers the agents web-*`,
		},
		{
			name: "a stranger",
			ask:  Request{Who: "job-inbox:eve@example.com", Where: ops, Action: Send, Agent: "web-1", Message: "status"},
			miss: `the nearest is rules[0], which is for group:ops, token:ci`,
		},
		{
			name: "a stranger and an agent of no rule but that for all",
			ask:  Request{Who: "job-inbox:eve@example.com", Action: Send, Agent: "x", Message: "status"},
			miss: `the nearest is rules[4], which is for work-slack:T1/U3 and holds only in work-slack:* and allows no message`,
		},
		{
			name: "the owner",
			ask:  Request{Who: dave, Action: Send, Agent: "anything", Message: "any\nthing"},
			rule: "owner",
		},
		{
			name: "everybody of an account",
			ask:  Request{Who: "work-slack:T9/U9", Action: Send, Agent: "bot", Message: "two\nlines"},
			rule: "rules[2]",
		},
		{
			name: "waits for approval",
			ask:  Request{Who: bob, Where: "work-slack:C1", Action: Send, Agent: "web-1", Message: "wipe all"},
			rule: "rules[1] (wipe)", wait: []string{"group:leads"},
		},
		{
			name: "see by a rule that only lets send",
			ask:  Request{Who: bob, Where: ops, Action: See, Agent: "web-1"},
			rule: "rules[0]",
		},
		{
			name: "see for who approves",
			ask:  Request{Who: carol, Where: "job-inbox:x", Action: See, Agent: "web-1"},
			rule: "rules[1] (wipe)",
		},
		{
			name: "see no other agent",
			ask:  Request{Who: bob, Where: ops, Action: See, Agent: "db-1"},
			miss: "no rule lets work-slack:T1/U2 see db-1 in work-slack:C0789",
		},
		{
			name: "jobs of others by see",
			ask:  Request{Who: alice, Action: SeeJobs, Agent: "db-1", Asker: bob},
			rule: "rules[3]",
		},
		{
			name: "jobs of others by approval",
			ask:  Request{Who: carol, Where: "job-inbox:x", Action: SeeJobs, Agent: "web-1", Asker: bob},
			rule: "rules[1] (wipe)",
		},
		{
			name: "jobs of others by sending alone",
			ask:  Request{Who: ci, Where: ops, Action: SeeJobs, Agent: "web-1", Asker: bob},
			miss: "no rule lets token:ci see what work-slack:T1/U2 asked on web-1 in work-slack:C0789; the nearest is rules[0], which does not say see: true",
		},
		{
			name: "own jobs from anywhere",
			ask:  Request{Who: ci, Action: SeeJobs, Agent: "web-1", Asker: ci},
			rule: "rules[0]",
		},
		{
			name: "all jobs by sending alone",
			ask:  Request{Who: ci, Where: ops, Action: SeeJobs, Agent: "web-1"},
			miss: "see jobs of others on web-1",
		},
		{
			name: "cancel own from anywhere",
			ask:  Request{Who: bob, Where: "work-slack:D1", Action: Cancel, Agent: "web-1", Asker: bob},
			rule: "rules[0]",
		},
		{
			name: "cancel another's",
			ask:  Request{Who: bob, Where: ops, Action: Cancel, Agent: "web-1", Asker: alice},
			miss: "no rule lets work-slack:T1/U2 cancel what job-inbox:alice@example.com asked on web-1 in work-slack:C0789; the nearest is rules[0], which does not say cancel: any",
		},
		{
			name: "cancel own by cancel: own",
			ask:  Request{Who: ci, Action: Cancel, Agent: "db-1", Asker: ci},
			rule: "rules[5]",
		},
		{
			name: "cancel another's by cancel: own",
			ask:  Request{Who: ci, Action: Cancel, Agent: "db-1", Asker: bob},
			miss: "rules[5], which does not say cancel: any",
		},
		{
			name: "cancel another's by cancel: any",
			ask:  Request{Who: ci, Action: Cancel, Agent: "db-2", Asker: bob},
			rule: "rules[6]",
		},
		{
			name: "cancel nobody's",
			ask:  Request{Who: ci, Action: Cancel, Agent: "db-1"},
			miss: "cancel jobs of others on db-1",
		},
		{
			name: "pause",
			ask:  Request{Who: alice, Action: Pause, Agent: "db-1"},
			rule: "rules[3]",
		},
		{
			name: "pause by sending alone",
			ask:  Request{Who: bob, Where: ops, Action: Pause, Agent: "web-1"},
			miss: "rules[0], which does not say pause: true",
		},
		{
			name: "pause by administering",
			ask:  Request{Who: carol, Where: ops, Action: Pause, Agent: "app-1"},
			rule: "rules[4]",
		},
		{
			name: "administer",
			ask:  Request{Who: carol, Where: ops, Action: Administer, Agent: "new"},
			rule: "rules[4]",
		},
		{
			name: "administer the space",
			ask:  Request{Who: carol, Where: ops, Action: Administer},
			rule: "rules[4]",
		},
		{
			name: "administer elsewhere",
			ask:  Request{Who: carol, Where: "teams:C1", Action: Administer, Agent: "new"},
			miss: "rules[4], which holds only in work-slack:*",
		},
		{
			name: "administering does not let send",
			ask:  Request{Who: carol, Where: ops, Action: Send, Agent: "app-1", Message: "x"},
			miss: "rules[4], which allows no message",
		},
		{
			name: "an action that is none",
			ask:  Request{Who: carol, Where: ops, Action: "dance", Agent: "web-1"},
			miss: `no rule lets work-slack:T1/U3 "dance" web-1`,
		},
		{
			name: "approve another's",
			ask:  Request{Who: alice, Action: Approve, Agent: "web-1", Message: "wipe all", Asker: bob, AskedIn: "work-slack:C1"},
			rule: "rules[1] (wipe)",
		},
		{
			name: "approve one's own",
			ask:  Request{Who: alice, Action: Approve, Agent: "web-1", Message: "wipe all", Asker: alice},
			miss: "somebody else must approve it",
		},
		{
			name: "approve one's own as owner",
			ask:  Request{Who: dave, Action: Approve, Agent: "web-1", Message: "wipe all", Asker: dave},
			miss: "somebody else must approve it",
		},
		{
			name: "approve as owner",
			ask:  Request{Who: dave, Action: Approve, Agent: "web-1", Message: "wipe all", Asker: bob},
			rule: "owner",
		},
		{
			name: "approve without being asked to",
			ask:  Request{Who: ci, Action: Approve, Agent: "web-1", Message: "wipe all", Asker: bob},
			miss: "token:ci may not approve what work-slack:T1/U2 sends to web-1; group:leads may, by rules[1] (wipe)",
		},
		{
			name: "approve what is not allowed any more",
			ask:  Request{Who: alice, Action: Approve, Agent: "db-9", Message: "wipe all", Asker: bob},
			miss: "no longer allowed: no rule lets",
		},
		{
			name: "approve what needs none any more",
			ask:  Request{Who: alice, Action: Approve, Agent: "web-1", Message: "status", Asker: bob, AskedIn: ops},
			miss: "no approval is needed any more, by rules[0]",
		},
		{
			name: "approve what nobody asked",
			ask:  Request{Who: alice, Action: Approve, Agent: "web-1", Message: "wipe all"},
			miss: "somebody else must approve it",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := p.Decide(tc.ask)
			if got.Allowed != (tc.rule != "") || got.Rule != tc.rule && got.Allowed {
				t.Errorf("Decide = %+v; want it allowed by %q", got, tc.rule)
			}
			if diff := cmp.Diff(tc.wait, got.Approvers); diff != "" {
				t.Errorf("approvers (-want +got):\n%s", diff)
			}
			if got.NeedsApproval() != (tc.wait != nil) {
				t.Errorf("NeedsApproval = %v", got.NeedsApproval())
			}
			if got.Allowed == (got.Missing != "") || !strings.Contains(got.Missing, tc.miss) {
				t.Errorf("missing: %q; want %q in it", got.Missing, tc.miss)
			}
			if tc.ask.Action == See && p.Sees(tc.ask.Who, tc.ask.Where, tc.ask.Agent) != got.Allowed {
				t.Error("Sees differs from Decide")
			}
		})
	}
}

func TestARuleWithoutApprovalWins(t *testing.T) {
	t.Parallel()
	r := Rules{Rules: []Rule{
		{Who: []string{bob}, Agents: []string{"*"}, May: []string{"deploy *"}, Approval: []string{carol}},
		{Who: []string{bob}, Agents: []string{"*"}, May: []string{"deploy *"}, Approval: []string{alice, carol}},
		{Who: []string{bob}, Agents: []string{"*"}, May: []string{"deploy v1"}},
	}}
	p, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	ask := Request{Who: bob, Action: Send, Agent: "web-1", Message: "deploy v1"}
	if d := p.Decide(ask); !d.Allowed || d.NeedsApproval() || d.Rule != "rules[2]" {
		t.Errorf("Decide = %+v", d)
	}
	ask.Message = "deploy v2"
	d := p.Decide(ask)
	if diff := cmp.Diff([]string{carol, alice}, d.Approvers); diff != "" || !d.Allowed || d.Rule != "rules[0]" {
		t.Errorf("Decide = %+v (-want +got):\n%s", d, diff)
	}
	// Each of the approvers may, by the rule that names them.
	for who, rule := range map[string]string{carol: "rules[0]", alice: "rules[1]"} {
		if d := p.Decide(Request{Who: who, Action: Approve, Agent: "web-1", Message: "deploy v2", Asker: bob}); d.Rule != rule {
			t.Errorf("approval by %s: %+v", who, d)
		}
	}
}

func TestNobodyElseToApprove(t *testing.T) {
	t.Parallel()
	r := Rules{Rules: []Rule{{Who: []string{bob}, Agents: []string{"*"}, May: []string{"x"}, Approval: []string{bob}}}}
	ask := Request{Who: bob, Action: Send, Agent: "web-1", Message: "x"}
	p, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(ask); d.Allowed || !strings.Contains(d.Missing, "nobody but work-slack:T1/U2 could give") {
		t.Errorf("Decide = %+v", d)
	}
	if p, err = New(r, dave); err != nil {
		t.Fatal(err)
	}
	if d := p.Decide(ask); !d.NeedsApproval() {
		t.Errorf("with an owner who can approve: %+v", d)
	}
}

func TestKnownAndMayBegin(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for who, want := range map[string]bool{
		alice: true, bob: true, carol: true, dave: true, ci: true, "work-slack:anybody": true,
		"token:other": false, "job-inbox:eve@example.com": false, "": false, "group:ops": false,
	} {
		if p.Known(who) != want {
			t.Errorf("Known(%q) = %v", who, !want)
		}
	}
	for _, tc := range []struct {
		who, where, agent, word string
		want                    bool
	}{
		{bob, ops, "web-1", "deploy", true},
		{bob, ops, "web-1", "restart", false},
		{bob, "work-slack:C1", "web-1", "deploy", false},
		{bob, "work-slack:C1", "web-1", "wipe", true},
		{bob, ops, "bot", "anything", true},
		{ci, ops, "bot", "anything", false},
		{dave, "", "web-1", "anything", true},
	} {
		if got := p.MayBegin(tc.who, tc.where, tc.agent, tc.word); got != tc.want {
			t.Errorf("MayBegin(%q, %q, %q, %q) = %v", tc.who, tc.where, tc.agent, tc.word, got)
		}
	}
}

func TestMaySendAndApproves(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, tc := range []struct {
		who, where, agent string
		want              bool
	}{
		{bob, ops, "web-1", true},
		{bob, "work-slack:C1", "web-1", true}, // what waits for approval
		{ci, "", "web-1", false},
		{ci, "", "db-1", false}, // cancel alone
		{carol, ops, "app-1", false},
		{dave, "", "app-1", true},
	} {
		if got := p.MaySend(tc.who, tc.where, tc.agent); got != tc.want {
			t.Errorf("MaySend(%q, %q, %q) = %v", tc.who, tc.where, tc.agent, got)
		}
	}
	for who, want := range map[string]bool{alice: true, carol: true, dave: true, bob: false, ci: false} {
		if p.Approves(who) != want {
			t.Errorf("Approves(%q) = %v", who, !want)
		}
	}
	none, err := New(Rules{}, dave)
	if err != nil {
		t.Fatal(err)
	}
	if none.Approves(dave) {
		t.Error("the owner approves where nothing needs it")
	}
}

func TestNoRules(t *testing.T) {
	t.Parallel()
	p, err := New(Rules{})
	if err != nil {
		t.Fatal(err)
	}
	d := p.Decide(Request{Who: bob, Action: Send, Agent: "web-1", Message: strings.Repeat("é", 500)})
	want := `no rule lets work-slack:T1/U2 send "` + strings.Repeat("é", 100) + `…" to web-1 over the API; there are no rules`
	if d.Allowed || d.Missing != want {
		t.Errorf("Decide = %+v", d)
	}
}
