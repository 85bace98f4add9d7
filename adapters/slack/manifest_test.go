package slack

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// manifest is what is read here of an app's manifest:
// https://docs.slack.dev/reference/app-manifest
type manifest struct {
	Display struct {
		Name        string `yaml:"name"`
		Description string `yaml:"description"`
		Color       string `yaml:"background_color"`
	} `yaml:"display_information"`
	Features struct {
		Home struct {
			Home     bool `yaml:"home_tab_enabled"`
			Messages bool `yaml:"messages_tab_enabled"`
			ReadOnly bool `yaml:"messages_tab_read_only_enabled"`
		} `yaml:"app_home"`
		Bot struct {
			Name   string `yaml:"display_name"`
			Online bool   `yaml:"always_online"`
		} `yaml:"bot_user"`
		Commands []struct {
			Command     string `yaml:"command"`
			URL         string `yaml:"url"`
			Description string `yaml:"description"`
			Hint        string `yaml:"usage_hint"`
			Escape      bool   `yaml:"should_escape"`
		} `yaml:"slash_commands"`
	} `yaml:"features"`
	OAuth struct {
		Scopes struct {
			Bot []string `yaml:"bot"`
		} `yaml:"scopes"`
	} `yaml:"oauth_config"`
	Settings struct {
		Events struct {
			URL string   `yaml:"request_url"`
			Bot []string `yaml:"bot_events"`
		} `yaml:"event_subscriptions"`
		Interactivity struct {
			Enabled bool   `yaml:"is_enabled"`
			URL     string `yaml:"request_url"`
		} `yaml:"interactivity"`
		OrgDeploy  bool `yaml:"org_deploy_enabled"`
		SocketMode bool `yaml:"socket_mode_enabled"`
		Rotation   bool `yaml:"token_rotation_enabled"`
	} `yaml:"settings"`
}

// manifests returns those of the documentation: for Socket Mode, and for HTTP.
func manifests(t *testing.T) (socket, overHTTP manifest) {
	t.Helper()
	page, err := os.ReadFile("../../docs/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []manifest
	for part := range strings.SplitSeq(string(page), "```yaml\n") {
		text, _, closed := strings.Cut(part, "```")
		if !closed || !strings.HasPrefix(text, "display_information:") {
			continue
		}
		var m manifest
		if err := yaml.UnmarshalWithOptions([]byte(text), &m, yaml.Strict()); err != nil {
			t.Fatalf("%v", err)
		}
		all = append(all, m)
	}
	if len(all) != 2 || !all[0].Settings.SocketMode || all[1].Settings.SocketMode {
		t.Fatalf("there are %d manifests, want one for Socket Mode and one for HTTP", len(all))
	}
	return all[0], all[1]
}

// eventScopes are what an event needs, each or one of them:
// https://docs.slack.dev/reference/events
var eventScopes = map[string][]string{
	"app_home_opened":       nil,
	"app_mention":           {"app_mentions:read"},
	"channel_left":          {"channels:read"},
	"group_left":            {"groups:read"},
	"member_joined_channel": {"channels:read", "groups:read"},
	"member_left_channel":   {"channels:read", "groups:read"},
	"message.channels":      {"channels:history"},
	"message.groups":        {"groups:history"},
	"message.im":            {"im:history"},
	"message.mpim":          {"mpim:history"},
}

// methodScopes are what the calls of slack-go need that are made here:
// https://docs.slack.dev/reference/methods
var methodScopes = map[string][]string{
	"AuthTestContext":               nil,
	"StartSocketModeContext":        nil, // of the app-level token
	"PublishViewContext":            nil,
	"PostMessageContext":            {"chat:write"},
	"UpdateMessageContext":          {"chat:write"},
	"PostEphemeralContext":          {"chat:write"},
	"GetUploadURLExternalContext":   {"files:write"},
	"CompleteUploadExternalContext": {"files:write"},
	"AddReactionContext":            {"reactions:write"},
	"RemoveReactionContext":         {"reactions:write"},
	"GetUserGroupsContext":          {"usergroups:read"},
	"PostWebhookCustomHTTPContext":  nil, // of no token
}

// TestManifest checks that the manifests ask for what is used, and for no more.
func TestManifest(t *testing.T) {
	t.Parallel()
	socket, overHTTP := manifests(t)

	needed := map[string]bool{"commands": true} // for the slash command
	handled := map[string]bool{}
	for _, event := range socket.Settings.Events.Bot {
		scopes, known := eventScopes[event]
		if !known {
			t.Errorf("nobody knows what %s needs", event)
		}
		for _, s := range scopes {
			needed[s] = true
		}
		kind, _, _ := strings.Cut(event, ".")
		handled[kind] = true
	}
	if got, want := sorted(handled), sorted((&Adapter{}).handlers()); !slices.Equal(got, want) {
		t.Errorf("the events are %q, those handled are %q", got, want)
	}
	made := calls(t)
	for call := range methodScopes {
		if !slices.Contains(made, call) {
			t.Errorf("nobody calls %s", call)
		}
	}
	for _, call := range made {
		scopes, known := methodScopes[call]
		if !known {
			t.Errorf("nobody knows what %s needs", call)
		}
		for _, s := range scopes {
			needed[s] = true
		}
	}
	if got, want := socket.OAuth.Scopes.Bot, sorted(needed); !slices.Equal(got, want) {
		t.Errorf("the scopes are\n%q, needed are\n%q", got, want)
	}
	if !slices.IsSorted(socket.Settings.Events.Bot) {
		t.Error("the events are not in order")
	}
	f := socket.Features
	if !f.Home.Home || !f.Home.Messages || f.Home.ReadOnly || len(f.Commands) != 1 || !socket.Settings.Interactivity.Enabled {
		t.Error("pages, direct messages, the command or buttons are not switched on")
	}
	if socket.Settings.OrgDeploy || socket.Settings.Rotation {
		t.Error("something is switched on that Skadi cannot do")
	}

	// For HTTP it is the same, with addresses.
	const base = "https://skadi.example.com:8443/adapters/work-slack/"
	same := overHTTP
	same.Settings.SocketMode = true
	for _, at := range []struct {
		got  *string
		path string
	}{
		{&same.Settings.Events.URL, "events"},
		{&same.Settings.Interactivity.URL, "interactivity"},
		{&same.Features.Commands[0].URL, "commands"},
	} {
		if *at.got != base+at.path {
			t.Errorf("an address is %s, want %s", *at.got, base+at.path)
		}
		*at.got = ""
	}
	if !reflect.DeepEqual(same, socket) {
		t.Errorf("the manifests differ:\n%+v\n%+v", same, socket)
	}
	for _, e := range (pushed{}).Endpoints() {
		if !slices.Contains([]string{"events", "interactivity", "commands"}, e.Path) {
			t.Errorf("the manifest does not name %s", e.Path)
		}
	}
}

// TestEveryScopeIsExplained checks that the page says what each scope is for.
func TestEveryScopeIsExplained(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "## What each scope is for\n")
	section, _, _ := strings.Cut(after, "\n## ")
	socket, _ := manifests(t)
	for _, scope := range socket.OAuth.Scopes.Bot {
		if !ok || !strings.Contains(section, "`"+scope+"`") {
			t.Errorf("the page does not say what %s is for", scope)
		}
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// calls returns the calls of slack-go's that are made in this package.
func calls(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !strings.HasSuffix(sel.Sel.Name, "Context") {
				return true
			}
			switch on := sel.X.(type) {
			case *ast.Ident: // slack.PostWebhook…, api.…
				if on.Name == "slack" || on.Name == "api" {
					found[sel.Sel.Name] = true
				}
			case *ast.SelectorExpr:
				if on.Sel.Name == "api" {
					found[sel.Sel.Name] = true
				}
			}
			return true
		})
	}
	if len(found) < 5 {
		t.Fatalf("only %v were found", found)
	}
	return sorted(found)
}
