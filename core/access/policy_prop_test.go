package access

import (
	"testing"

	"pgregory.net/rapid"
)

func policy(t *rapid.T, rules []Rule) *Policy {
	p, err := New(Rules{Groups: sample().Groups, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRulesOnlyGive holds for everything but approvals, which a rule without
// one makes unnecessary: one more rule never takes away what the others give.
func TestRulesOnlyGive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(genRule, 1, 4).Draw(t, "rules")
		ask := genRequest.Draw(t, "request")
		if ask.Action == Approve {
			return
		}
		before := policy(t, rules[:len(rules)-1]).Decide(ask)
		after := policy(t, rules).Decide(ask)
		if before.Allowed && !after.Allowed {
			t.Fatalf("one more rule turned %+v into %+v", before, after)
		}
		if before.Allowed && !before.NeedsApproval() && after.NeedsApproval() {
			t.Fatalf("one more rule made an approval necessary: %+v", after)
		}
	})
}

func TestDecisionsHoldTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := policy(t, rapid.SliceOfN(genRule, 0, 4).Draw(t, "rules"))
		ask := genRequest.Draw(t, "request")
		d := p.Decide(ask)
		if d.Allowed == (d.Missing != "") || d.Allowed != (d.Rule != "") {
			t.Fatalf("Decide(%+v) = %+v", ask, d)
		}
		if !d.Allowed {
			return
		}
		if !p.Known(ask.Who) {
			t.Fatalf("a stranger was allowed to %+v", ask)
		}
		if ask.Action == Approve && ask.Who == ask.Asker {
			t.Fatalf("the asker approved: %+v", d)
		}
		// Whatever may be done to an agent, it may be seen; with own jobs,
		// from the conversation of some rule.
		if own := ask.Asker == ask.Who; !own && !p.Sees(ask.Who, ask.Where, ask.Agent) {
			t.Fatalf("%+v is allowed on an agent that may not be seen", ask)
		}
		if ask.Action == Send {
			ask.Action, ask.Asker = Cancel, ask.Who
			if !p.Decide(ask).Allowed {
				t.Fatalf("what may be sent cannot be canceled: %+v", ask)
			}
		}
	})
}
