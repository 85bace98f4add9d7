package slack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

// groupsOf are the user groups of an account whose clock can be set.
func groupsOf(t *testing.T, now *time.Time, log *bytes.Buffer) (*userGroups, *workspace) {
	t.Helper()
	clock := func() time.Time { return *now }
	w := startWorkspace(t, clock)
	api := slack.New(botToken, slack.OptionAPIURL(w.api()))
	g := newUserGroups(api, chat.Env{Clock: clock, Logger: slog.New(slog.NewTextHandler(log, nil))})
	g.of(identity{team: teamID, user: botUser})
	return g, w
}

func TestUserGroups(t *testing.T) {
	now, log := time.Now(), &bytes.Buffer{}
	g, w := groupsOf(t, &now, log)
	ada := chat.Sender{Account: "work", Workspace: teamID, User: person(0)}
	in := func(s chat.Sender) []string { return g.groups(s) }
	if got := in(ada); got != nil {
		t.Errorf("before anybody asked she is in %q", got)
	}
	g.refresh(t.Context())
	if got := in(ada); !slices.Equal(got, []string{teamID + "/" + groupID}) {
		t.Errorf("she is in %q", got)
	}
	for name, s := range map[string]chat.Sender{
		"somebody else":           {Workspace: teamID, User: person(5)},
		"her ID in another place": {Workspace: "T0EXT", User: person(0)},
		"her ID and no workspace": {User: person(0)},
	} {
		if got := in(s); got != nil {
			t.Errorf("%s is in %q", name, got)
		}
	}

	// What Slack said counts for a while if it says nothing more.
	w.fail("usergroups.list", "internal_error")
	now = now.Add(groupsFor - time.Second)
	g.refresh(t.Context())
	if got := in(ada); len(got) != 1 {
		t.Errorf("after a failure she is in %q", got)
	}
	now = now.Add(2 * time.Second)
	if got := in(ada); got != nil {
		t.Errorf("long after the last answer she is in %q", got)
	}

	// Without the scope there is none, and that is said once.
	w.fail("usergroups.list", "missing_scope")
	g.refresh(t.Context())
	g.refresh(t.Context())
	if got := in(ada); got != nil {
		t.Errorf("without the scope she is in %q", got)
	}
	if n := strings.Count(log.String(), "usergroups:read"); n != 1 {
		t.Errorf("the missing scope was told %d times", n)
	}
	w.fail("usergroups.list", "")
	g.refresh(t.Context())
	if got := in(ada); len(got) != 1 {
		t.Errorf("after the scope came back she is in %q", got)
	}
}

func TestTooManyMembers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := newUserGroups(nil, chat.Env{Clock: func() time.Time { return now }})
	g.of(identity{team: teamID})
	users := make([]string, groupsMost+1)
	for i := range users {
		users[i] = fmt.Sprint("U", i)
	}
	if err := g.set([]slack.UserGroup{{ID: "S1", TeamID: teamID, Users: users}}); !errors.Is(err, errTooManyMembers) {
		t.Errorf("the error is %v", err)
	}
	if got := g.groups(chat.Sender{Workspace: teamID, User: "U1"}); got != nil {
		t.Errorf("somebody is in %q", got)
	}
}

func TestMarks(t *testing.T) {
	t.Parallel()
	now := time.Now()
	kv := &memory{vals: map[string][]byte{}}
	env := chat.Env{KV: kv, Clock: func() time.Time { return now }}
	here, there := newMarks("thread/", env), newMarks("thread/", env)
	has := func(m *marks, name string) bool {
		t.Helper()
		ok, err := m.has(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if has(here, "C1/1") {
		t.Error("it has what nobody marked")
	}
	if !here.add("C1/1") || here.add("C1/1") {
		t.Error("a new mark is to be kept once")
	}
	if !has(here, "C1/1") || has(there, "C1/1") {
		t.Error("before it is kept, only this process knows it")
	}
	kv.fails(errors.New("the database is away"))
	here.flush(t.Context())
	if _, err := there.has(t.Context(), "C1/1"); err == nil {
		t.Error("a process that cannot tell said that it can")
	}
	kv.fails(nil)
	here.flush(t.Context())
	if !has(there, "C1/1") {
		t.Error("the other process does not know what was kept")
	}
	now = now.Add(marksAgain + time.Second)
	if !here.add("C1/1") {
		t.Error("an old mark is not kept anew")
	}
	if err := here.remove(t.Context(), "C1/1"); err != nil || has(here, "C1/1") || has(there, "C1/1") {
		t.Errorf("what was removed is still there (%v)", err)
	}
	now = now.Add(marksFor + time.Second)
	for i := range marksKnown + 100 {
		here.add(fmt.Sprint("C2/", i))
	}
	if len(here.known) != marksKnown || here.recent.Len() != marksKnown || len(here.unkept) > marksKnown {
		t.Errorf("%d marks are known, %d in turn, %d to be kept", len(here.known), here.recent.Len(), len(here.unkept))
	}
	alone := newMarks("x/", chat.Env{Clock: env.Clock})
	alone.add("a")
	alone.flush(t.Context())
	if !has(alone, "a") || has(alone, "b") || alone.remove(t.Context(), "a") != nil || has(alone, "a") {
		t.Error("marks do not work without a KV")
	}
}

func TestErrands(t *testing.T) {
	t.Parallel()
	var e errands
	if e.run(t.Context(), func(context.Context) {}) {
		t.Error("an errand ran before the account did")
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := e.begin(ctx, chat.Env{})
	for i := range maxErrands + 10 {
		ran := e.run(t.Context(), func(ctx context.Context) { <-ctx.Done() })
		if ran != (i < maxErrands) {
			t.Errorf("errand %d ran: %t", i, ran)
		}
	}
	cancel()
	stop()
	if e.count != 0 || e.run(t.Context(), func(context.Context) {}) {
		t.Errorf("%d errands are left", e.count)
	}
}
