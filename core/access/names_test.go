package access

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/core/chat"
)

// shouting knows people in capitals and conversations that begin with C.
type shouting struct{ chat.Adapter }

func (shouting) CheckSender(name string) error {
	if strings.ToUpper(name) != name {
		return errors.New("it is not in capitals")
	}
	return nil
}

func (shouting) CheckConversation(name string) error {
	if !strings.HasPrefix(name, "C") {
		return errors.New("it does not begin with C")
	}
	return nil
}

// scripted never says any word but this.
type scripted struct {
	chat.Adapter
	word string
}

func (s scripted) MayBegin(word string) bool { return s.word == word }

func TestCheckNames(t *testing.T) {
	t.Parallel()
	adapters := map[string]chat.Adapter{"work": shouting{}, "ci": scripted{}, "clicks": scripted{word: "approve"}, "plain": struct{ chat.Adapter }{}}
	find := func(account string) (chat.Adapter, bool) { a, ok := adapters[account]; return a, ok }
	r := Rules{
		Groups: map[string][]string{
			"good":  {"work:T1/U1", "work:T1/*", "work:*", "plain:u1", "gone:u1", "token:ci", "token:*"},
			"bad":   {"work:T1/u1", "work:t1/*", "token:ci/main"},
			"bots":  {"ci:webhook", "token:ci"},
			"mixed": {"ci:webhook", "work:T1/U1"},
		},
		Rules: []Rule{
			{Who: []string{"group:good", "work:ada"}, In: []string{"work:*", "work:C1", "work:#ops", "plain:x", "gone:x", "token:*"}},
			{Approval: []string{"work:T1/U1", "work:eve", "ci:webhook", "clicks:x", "group:bots", "group:mixed", "token:ci", "gone:x"}},
		},
	}
	want := []string{
		`groups.bad[0]: "work:T1/u1" can never match: it is not in capitals`,
		`groups.bad[1]: "work:t1/*" can never match: it is not in capitals`,
		`groups.bad[2]: "token:ci/main" can never match: no token can have the name "ci/main"`,
		`rules[0].who[1]: "work:ada" can never match: it is not in capitals`,
		`rules[0].in[2]: "work:#ops" can never match: it does not begin with C`,
		`rules[0].in[5]: "token:*" can never match: token is no account of an adapter, and a rule with in holds in conversations alone; without in it holds over the API, too`,
		`rules[1].approval[1]: "work:eve" can never match: it is not in capitals`,
		`rules[1].approval[2]: "ci:webhook" approves nothing: no rule of its adapter's makes a message that begins with approve; name people of another account, such as work-slack:T0123/U0456`,
		`rules[1].approval[4]: "group:bots" approves nothing: no rule of its adapter's makes a message that begins with approve; name people of another account, such as work-slack:T0123/U0456`,
	}
	err := r.CheckNames(find)
	var fe *FieldError
	if !errors.As(err, &fe) {
		t.Fatalf("%v has no FieldError", err)
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := (Rules{Rules: []Rule{{Who: []string{"work:T1/U1"}}}}).CheckNames(find); err != nil {
		t.Error(err)
	}
}
