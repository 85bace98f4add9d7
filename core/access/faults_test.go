package access

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestRuleErrors(t *testing.T) {
	t.Parallel()
	ok := func(change func(*Rule)) Rules {
		r := Rule{Who: []string{bob}, Agents: []string{"web-1"}, May: []string{"status"}}
		change(&r)
		return Rules{Groups: map[string][]string{"ops": {bob}, "leads": nil}, Rules: []Rule{{Name: "first", Who: []string{bob}, Agents: []string{"*"}, See: true}, r}}
	}
	for _, tc := range []struct {
		name  string
		rules Rules
		want  string
	}{
		{"no one", ok(func(r *Rule) { r.Who = nil }), "rules[1].who: names nobody"},
		{"no agent", ok(func(r *Rule) { r.Agents = nil }), `rules[1].agents: covers no agent; write "*" for all`},
		{"agent in capitals", ok(func(r *Rule) { r.Agents = []string{"*", "Web-1"} }), `rules[1].agents[1]: "Web-1" must be 1 to 63 of`},
		{"unknown group", ok(func(r *Rule) { r.Who = []string{bob, "group:opps"} }), `rules[1].who[1]: there is no group "opps", did you mean "ops"?`},
		{"group far off", ok(func(r *Rule) { r.Who = []string{"group:x"} }), `there is no group "x"; there are leads, ops`},
		{"no groups", Rules{Rules: []Rule{{Who: []string{"group:x"}, Agents: []string{"*"}, See: true}}}, `there is no group "x"; add it under groups`},
		{"name without account", ok(func(r *Rule) { r.Who = []string{"alice"} }), `rules[1].who[0]: "alice" is not of the form`},
		{"half a wildcard", ok(func(r *Rule) { r.Who = []string{"work-slack:U*"} }), `the * must stand for all of account:* or account:workspace/*`},
		{"pattern", ok(func(r *Rule) { r.May = []string{"a", "b  c"} }), `rules[1].may[1]: "b  c" must have single spaces`},
		{"place", ok(func(r *Rule) { r.In = []string{"C0789"} }), `rules[1].in[0]: "C0789" is not of the form account:channel`},
		{"place with a wildcard", ok(func(r *Rule) { r.In = []string{"work-slack:C*"} }), `rules[1].in[0]: "work-slack:C*" is no channel`},
		{"no place", ok(func(r *Rule) { r.In = []string{} }), `rules[1].in: is an empty list`},
		{"cancel", ok(func(r *Rule) { r.Cancel = "all" }), `rules[1].cancel: "all" must be "own" or "any"`},
		{"nothing", ok(func(r *Rule) { r.May = nil }), `rules[1]: allows nothing`},
		{"approval of nothing", ok(func(r *Rule) { r.May, r.See, r.Approval = nil, true, []string{carol} }), `rules[1].approval: approves nothing`},
		{"no approver", ok(func(r *Rule) { r.Approval = []string{} }), `rules[1].approval: is an empty list, so that nobody could approve`},
		{"an empty group as approver", Rules{
			Groups: map[string][]string{"away": nil},
			Rules:  []Rule{{Who: []string{bob}, Agents: []string{"*"}, May: []string{"**"}, Approval: []string{"group:away"}}},
		}, `rules[0].approval[0]: "group:away" holds nobody`},
		{"unknown approver", ok(func(r *Rule) { r.Approval = []string{"group:lead"} }), `rules[1].approval[0]: there is no group "lead", did you mean "leads"?`},
		{"a token as approver", ok(func(r *Rule) { r.Approval = []string{carol, ci} }), `rules[1].approval[1]: "token:ci" approves nothing: a token cannot approve`},
		{"all tokens as approvers", ok(func(r *Rule) { r.Approval = []string{"token:*"} }), `rules[1].approval[0]: "token:*" approves nothing: a token cannot approve`},
		{"a group of tokens as approver", Rules{
			Groups: map[string][]string{"bots": {ci, "token:*"}},
			Rules:  []Rule{{Who: []string{bob}, Agents: []string{"*"}, May: []string{"**"}, Approval: []string{"group:bots"}}},
		}, `rules[0].approval[0]: "group:bots" holds tokens alone, and a token cannot approve`},
		{"name twice", ok(func(r *Rule) { r.Name = "first" }), `rules[1].name: "first" is the name of rules[0] too`},
		{"name of two lines", ok(func(r *Rule) { r.Name = "a\nb" }), `rules[1].name: must be one line`},
		{"group in a group", Rules{Groups: map[string][]string{"a": {"group:b"}}}, `groups.a[0]: "group:b" is a group, and groups hold no groups`},
		{"bad member", Rules{Groups: map[string][]string{"a": {bob, "x"}}}, `groups.a[1]: "x" is not of the form`},
		{"bad group name", Rules{Groups: map[string][]string{"a b": nil}}, `groups.a b: "a b" must be`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tc.rules)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("New = %v; want %q", err, tc.want)
			}
			var fe *FieldError
			if !errors.As(err, &fe) {
				t.Fatalf("%T has no FieldError", err)
			}
			path, detail := fe.Field()
			if err.Error() != path+": "+detail {
				t.Errorf("Field() = %q, %q of %v", path, detail, err)
			}
		})
	}
	if _, err := New(Rules{}, "nobody"); err == nil {
		t.Error("a bad owner was accepted")
	}
}

func TestAllFaultsAreReported(t *testing.T) {
	t.Parallel()
	_, err := New(Rules{Rules: []Rule{{}, {Who: []string{"x"}, Agents: []string{"?"}, Cancel: "y"}}})
	if n := strings.Count(err.Error(), "\n") + 1; n != 6 {
		t.Errorf("%d faults, want 6:\n%v", n, err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	r := Rules{Rules: []Rule{
		{Who: []string{bob}, Agents: []string{"web-*"}, May: []string{"status", "deploy *", "run **", "ru*"}},
		{Who: []string{ci}, Agents: []string{"*"}, May: []string{"**"}},
		{Who: []string{ci}, Agents: []string{"db"}, May: []string{"query *"}},
	}}
	p, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range p.Warnings([]OpenAgent{
		{Name: "web-1", Commands: []string{"run"}},
		{Name: "web-2", Commands: []string{"run"}},
		{Name: "db", Commands: []string{""}},
		{Name: "tidy"},
	}) {
		got = append(got, w.Path+" "+w.Text)
	}
	const advice = "; spell out what may be sent, or give the command typed arguments"
	want := []string{
		`rules[0].may[2] "run **" lets work-slack:T1/U2 send text of their choice to a shell or handler on web-1, web-2` + advice,
		`rules[0].may[3] "ru*" lets work-slack:T1/U2 send text of their choice to a shell or handler on web-1, web-2` + advice,
		`rules[1].may[0] "**" lets token:ci send text of their choice to a shell or handler on web-1, web-2, db` + advice,
		`rules[2].may[0] "query *" lets token:ci send text of their choice to a shell or handler on db` + advice,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

var (
	genWho   = rapid.SampledFrom([]string{alice, bob, carol, ci, "work-slack:T2/U1"})
	genEntry = rapid.SampledFrom([]string{alice, bob, carol, ci, "group:ops", "group:leads", "work-slack:*", "work-slack:T1/*"})
	genRule  = rapid.Custom(func(t *rapid.T) Rule {
		r := Rule{
			Who:        rapid.SliceOfN(genEntry, 1, 2).Draw(t, "who"),
			Agents:     rapid.SliceOfN(rapid.SampledFrom([]string{"web-1", "web-*", "*", "db"}), 1, 2).Draw(t, "agents"),
			May:        rapid.SliceOfN(rapid.SampledFrom([]string{"status", "deploy *", "deploy **", "**"}), 1, 2).Draw(t, "may"),
			Cancel:     rapid.SampledFrom([]CancelScope{"", CancelOwn, CancelAny}).Draw(t, "cancel"),
			See:        rapid.Bool().Draw(t, "see"),
			Pause:      rapid.Bool().Draw(t, "pause"),
			Administer: rapid.Bool().Draw(t, "administer"),
		}
		if rapid.Bool().Draw(t, "narrow") {
			r.In = []string{rapid.SampledFrom([]string{ops, "work-slack:*", "teams:C"}).Draw(t, "in")}
		}
		if rapid.Bool().Draw(t, "approved") {
			r.Approval = []string{genEntry.Filter(func(e string) bool { return e != ci }).Draw(t, "approver")}
		}
		return r
	})
	genRequest = rapid.Custom(func(t *rapid.T) Request {
		return Request{
			Who:     genWho.Draw(t, "who"),
			Where:   rapid.SampledFrom([]string{"", ops, "teams:C"}).Draw(t, "where"),
			Action:  rapid.SampledFrom([]Action{Send, See, SeeJobs, Cancel, Approve, Pause, Administer}).Draw(t, "action"),
			Agent:   rapid.SampledFrom([]string{"web-1", "web-2", "db"}).Draw(t, "agent"),
			Message: rapid.SampledFrom([]string{"status", "deploy v1", "deploy v1 now", "deploy v1\nrm"}).Draw(t, "message"),
			Asker:   rapid.OneOf(rapid.Just(""), genWho).Draw(t, "asker"),
		}
	})
)
