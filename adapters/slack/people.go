package slack

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	// groupsEvery is how often the user groups are asked for; who leaves one
	// loses what it allowed within this time.
	groupsEvery = 5 * time.Minute
	// groupsFor is how long they count if Slack does not answer.
	groupsFor = 15 * time.Minute
	// groupsMost bounds the memberships that are kept. If there are more, none
	// counts.
	groupsMost = 200_000
	// groupsWithout is how often the groups are asked for if the app may not
	// see them.
	groupsWithout = time.Hour
)

// userGroups knows who is in which user group of the workspace. What it does
// not know is no group: rules that name one then do not apply. The app needs
// the scope usergroups:read, and works without.
type userGroups struct {
	api *slack.Client
	env chat.Env

	mu      sync.Mutex
	who     identity
	members map[string][]group // by user
	at      time.Time
	denied  bool
}

type group struct{ team, id string }

func newUserGroups(api *slack.Client, env chat.Env) *userGroups {
	return &userGroups{api: api, env: env}
}

// of says whose groups these are.
func (g *userGroups) of(who identity) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.who = who
}

// groups returns the user groups that a person is in, as team/ID. People of
// other organizations are in none, whatever their ID.
func (g *userGroups) groups(s chat.Sender) []string {
	now := g.env.Clock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.members == nil || now.Sub(g.at) > groupsFor {
		return nil
	}
	var in []string
	for _, one := range g.members[s.User] {
		if s.Workspace == g.who.team || s.Workspace == one.team {
			in = append(in, one.team+"/"+one.id)
		}
	}
	return in
}

// keep asks for the groups again and again until ctx ends.
func (g *userGroups) keep(ctx context.Context) {
	for {
		every := groupsEvery
		g.mu.Lock()
		if g.denied {
			every = groupsWithout
		}
		g.mu.Unlock()
		if !pause(ctx, every) {
			return
		}
		call, cancel := context.WithTimeout(ctx, callTimeout)
		g.refresh(call)
		cancel()
	}
}

// refresh asks for the groups once.
func (g *userGroups) refresh(ctx context.Context) {
	all, err := g.api.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeUsers(true))
	if err == nil {
		err = g.set(all)
	}
	if err == nil {
		return
	}
	var refused slack.SlackErrorResponse
	denied := errors.As(err, &refused) && slices.Contains(tokenFaults, refused.Err)
	g.mu.Lock()
	told := g.denied
	g.denied = denied
	if denied {
		g.members = nil
	}
	g.mu.Unlock()
	switch {
	case !denied:
		g.env.Logger.Warn("the user groups of Slack are not known; rules that name one may not apply", "err", withoutURL(err))
	case !told:
		g.env.Logger.Info("rules cannot name user groups of Slack, since the app may not see them: it lacks the scope usergroups:read", "err", refused.Err)
	}
}

// errTooManyMembers is why no group counts.
var errTooManyMembers = errors.New("they have too many members to keep")

func (g *userGroups) set(all []slack.UserGroup) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	members, count := make(map[string][]group), 0
	for _, one := range all {
		team := one.TeamID
		if team == "" {
			team = g.who.team
		}
		if one.DateDelete != 0 || !isID(one.ID) || !isID(team) {
			continue
		}
		if count += len(one.Users); count > groupsMost {
			g.members = nil
			return errTooManyMembers
		}
		for _, user := range one.Users {
			members[user] = append(members[user], group{team, one.ID})
		}
	}
	g.members, g.at, g.denied = members, g.env.Clock(), false
	return nil
}
