package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Checker = (*Adapter)(nil)

// scopes are what the app is to be allowed, with what goes without each.
// docs/slack.md tells the same at greater length.
var scopes = []struct{ name, without string }{
	{"chat:write", ""},
	{"app_mentions:read", "mentions are not seen"},
	{"im:history", "direct messages are not seen"},
	{"commands", "there is no command /skadi"},
	{"channels:history", "in threads of public channels each command needs a mention"},
	{"groups:history", "in threads of private channels each command needs a mention"},
	{"mpim:history", "in threads of group messages each command needs a mention"},
	{"channels:read", "the bot does not hear that it was added to a public channel"},
	{"groups:read", "the bot does not hear that it was added to a private channel"},
	{"files:write", "long output is cut and not sent as a file"},
	{"reactions:write", "a job's state is not shown as a reaction"},
	{"usergroups:read", "access rules cannot name user groups"},
}

// Check implements chat.Checker: it asks Slack who the bot is and which scopes
// it has, and in ModeSocket for the address of a connection that it does not
// open.
func (a *Adapter) Check(ctx context.Context) []chat.Finding {
	found := a.checkBot(ctx)
	if a.cfg.Mode == ModeSocket {
		found = append(found, a.checkApp(ctx))
	}
	return found
}

func (a *Adapter) checkBot(ctx context.Context) []chat.Finding {
	who, granted, err := a.whoAmI(ctx)
	if err != nil {
		return []chat.Finding{refusedToken("bot_token", err, "install the app in the workspace again and take its new Bot User OAuth Token")}
	}
	found := []chat.Finding{{Level: chat.Fine, Text: fmt.Sprintf("bot_token: the bot %s of the workspace %s (%s)", printable(who.UserID), printable(who.Team), printable(who.TeamID))}}
	if len(granted) == 0 {
		return found // a gateway that does not tell
	}
	missing := 0
	for _, s := range scopes {
		if slices.Contains(granted, s.name) {
			continue
		}
		missing++
		f := chat.Finding{Level: chat.Doubtful, Text: fmt.Sprintf("bot_token: the scope %s is missing: %s", s.name, s.without)}
		if s.without == "" {
			f.Level, f.Text = chat.Wrong, fmt.Sprintf("bot_token: the scope %s is missing: nothing can be answered", s.name)
		}
		f.Fix = "add it on the app's page OAuth & Permissions and install the app again, or leave it if that is meant so"
		found = append(found, f)
	}
	if missing == 0 {
		found = append(found, chat.Finding{Level: chat.Fine, Text: fmt.Sprintf("bot_token: it has all %d scopes", len(scopes))})
	}
	return found
}

// whoAmI is auth.test with the scopes that its answer carries, which the
// library drops: https://docs.slack.dev/reference/methods/auth.test
func (a *Adapter) whoAmI(ctx context.Context) (who slack.AuthTestResponse, granted []string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.api()+"auth.test", http.NoBody)
	if err != nil {
		return who, nil, errors.New("api_url is no URL")
	}
	r.Header.Set("Authorization", "Bearer "+a.cfg.BotToken.Reveal())
	answer, err := caller{a.env.HTTP, a.env.Clock}.Do(r)
	if err != nil {
		return who, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var said struct {
		slack.SlackResponse
		slack.AuthTestResponse
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return who, nil, errors.New("its answer is no JSON")
	}
	if err := said.Err(); err != nil {
		return who, nil, err
	}
	if said.TeamID == "" || said.UserID == "" {
		return who, nil, errors.New("its answer names no team or no user")
	}
	for s := range strings.SplitSeq(answer.Header.Get("X-OAuth-Scopes"), ",") {
		if s = strings.TrimSpace(s); s != "" {
			granted = append(granted, s)
		}
	}
	return said.AuthTestResponse, granted, nil
}

// checkApp asks where to connect; the address itself is a secret.
func (a *Adapter) checkApp(ctx context.Context) chat.Finding {
	if _, _, err := a.api.StartSocketModeContext(ctx); err != nil {
		return refusedToken("app_token", err, "make an app-level token with the scope connections:write on the app's page Basic Information, and switch Socket Mode on")
	}
	return chat.Finding{Level: chat.Fine, Text: "app_token: Slack gives out connections for it"}
}

// refusedToken is a token that Slack refuses, or a Slack that does not answer.
func refusedToken(key string, err error, fix string) chat.Finding {
	if reason := tokenFault(err); reason != "" {
		return chat.Finding{Level: chat.Wrong, Text: fmt.Sprintf("%s: Slack refuses it (%s)", key, reason), Fix: fix}
	}
	return chat.Finding{
		Level: chat.Wrong, Text: fmt.Sprintf("%s: Slack does not say whether it works: %v", key, withoutURL(err)),
		Fix: "see that this machine reaches Slack, also through its proxy (HTTPS_PROXY)",
	}
}

// printable is a name from elsewhere, for one line.
func printable(name string) string { return chat.Readable(strings.Join(strings.Fields(name), " ")) }
