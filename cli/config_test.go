package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters"
)

// checkConfig runs `skadi config check` on a config.
func checkConfig(t *testing.T, text string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = Main(adapters.Factories(), []string{"config", "check", "-c", file}, strings.NewReader(""), &out, &errs)
	return code, out.String(), strings.ReplaceAll(errs.String(), filepath.Dir(file)+string(filepath.Separator), "")
}

const (
	slackHTTP   = "  - {name: work-slack, kind: slack, mode: http, bot_token: xoxb-hunter2, signing_secret: hunter2}\n"
	slackSocket = "  - {name: club-slack, kind: slack, mode: socket, bot_token: xoxb-hunter2, app_token: xapp-1-A0-hunter2}\n"
	hook        = "  - {name: ci, kind: webhook, provider: github, secrets: [hunter2-hunter2], rules: [{on: {event: push}, send: 'web-1 deploy {{.after}}'}]}\n"
	teamsBot    = "  - {name: work-teams, kind: teams, app_id: 2f6c9d1e-0f6b-4d0a-9a51-6f0b8a7c3d21, app_password: hunter2, tenant_id: 8c1b7a52-3f0e-4c55-b0d7-1d2e3f405162}\n"
)

// TestCheckPrintsAddresses holds that what is to be entered at the far side
// can be copied from the check.
func TestCheckPrintsAddresses(t *testing.T) {
	t.Parallel()
	for base, public := range map[string]string{
		"https://skadi.example.com": "public_url: https://skadi.example.com/\n",
		"https://…":                 "",
	} {
		code, out, errs := checkConfig(t, public+"adapters:\n"+slackHTTP+slackSocket+teamsBot)
		_, got, _ := strings.Cut(out, "\n")
		want := `  work-slack (slack): enter at the far side
    Event Subscriptions, Request URL: BASE/adapters/work-slack/events
    Slash Commands, /skadi, Request URL: BASE/adapters/work-slack/commands
    Interactivity & Shortcuts, Request URL: BASE/adapters/work-slack/interactivity
  work-teams (teams): enter at the far side
    Azure Bot, Configuration, Messaging endpoint: BASE/adapters/work-teams/messages
`
		want = strings.ReplaceAll(want, "BASE", base)
		if code != 0 || got != want {
			t.Errorf("exit code %d, got:\n%s\nwant:\n%s", code, got, want)
		}
		if (public == "") != strings.Contains(errs, "public_url is not set, so the addresses of work-slack are not known in full") {
			t.Errorf("stderr:\n%s", errs)
		}
		if strings.Contains(out+errs, "hunter2") {
			t.Error("a secret is shown")
		}
	}
}

// TestCheckJSON holds that a program is told the same as a person.
func TestCheckJSON(t *testing.T) {
	t.Parallel()
	check := func(text string) (code int, stdout string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "skadi.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code = Main(adapters.Factories(), []string{"config", "check", "--json", "-c", file}, strings.NewReader(""), &out, &errs)
		if errs.Len() > 0 {
			t.Errorf("stderr: %s", &errs)
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Error("a secret is shown")
		}
		var indented any
		if err := json.Unmarshal(out.Bytes(), &indented); err != nil {
			t.Fatalf("%v: %s", err, &out)
		}
		indented.(map[string]any)["file"] = "skadi.yaml"
		compact, err := json.Marshal(indented)
		if err != nil {
			t.Fatal(err)
		}
		return code, string(compact)
	}
	for name, c := range map[string]struct {
		text string
		code int
		want string
	}{
		"an empty file": {"{}", 0, `{"addresses":[],"errors":[],"file":"skadi.yaml","ok":true,"warnings":[]}`},
		"two faults": {
			"stor: {}\nlisten: 127.0.0.1:0\nlisten: 127.0.0.1:0\n", 1,
			`{"addresses":[],"errors":[` +
				`{"column":1,"detail":"unknown key \"stor\", did you mean \"store\"?","line":1},` +
				`{"column":1,"detail":"key \"listen\" is here twice; the first is in line 2","line":3}],` +
				`"file":"skadi.yaml","ok":false,"warnings":[]}`,
		},
	} {
		if code, got := check(c.text); code != c.code || got != c.want {
			t.Errorf("%s: exit code %d\n got %s\nwant %s", name, code, got, c.want)
		}
	}
	code, got := check("public_url: https://skadi.example.com\nadapters:\n" + slackHTTP + teamsBot)
	for _, want := range []string{
		`"ok":true`, `{"account":"work-teams","kind":"teams","url":"https://skadi.example.com/adapters/work-teams/messages","where":"Azure Bot, Configuration, Messaging endpoint"}`,
		`a secret stands in the file as it is`,
	} {
		if code != 0 || !strings.Contains(got, want) {
			t.Errorf("exit code %d, and no %s in %s", code, want, got)
		}
	}
	if code, got := check("adapters:\n  - {name: x, kind: slakc}\n"); code != 1 || !strings.Contains(got, `"line":2`) || !strings.Contains(got, `slack`) {
		t.Errorf("exit code %d for an unknown kind: %s", code, got)
	}
}

func TestCheckRefusesAdapters(t *testing.T) {
	t.Parallel()
	cut := func(block, part, by string) string { return strings.Replace(block, part, by, 1) }
	for _, tt := range []struct {
		name, adapters string
		// wants are the beginnings of the lines that tell.
		wants []string
	}{
		{
			"a typo in each", cut(slackHTTP, "bot_token", "bot_tokn") + cut(teamsBot, "app_password", "app_pasword"),
			[]string{
				`skadi: skadi.yaml:2:5: adapters[0]: key "bot_token" is missing`,
				`skadi.yaml:2:49: adapters[0]: unknown key "bot_tokn", did you mean "bot_token"?`,
				`skadi.yaml:3:83: adapters[1]: unknown key "app_pasword", did you mean "app_password"?`,
			},
		},
		{"an empty signing secret", cut(slackHTTP, "signing_secret: hunter2", `signing_secret: ""`), []string{"skadi: skadi.yaml:2:90: adapters[0].signing_secret: is empty"}},
		{"no signing secret", cut(slackHTTP, ", signing_secret: hunter2", ""), []string{"skadi: skadi.yaml:2:5: adapters[0].signing_secret: is empty"}},
		{"an empty bot token", cut(slackSocket, "xoxb-hunter2", `""`), []string{"skadi: skadi.yaml:2:62: adapters[0].bot_token: is empty"}},
		{"an empty app token", cut(slackSocket, "xapp-1-A0-hunter2", `""`), []string{"skadi: skadi.yaml:2:87: adapters[0].app_token: is empty"}},
		{"an empty password", cut(teamsBot, "app_password: hunter2", `app_password: ""`), []string{"skadi: skadi.yaml:2:97: adapters[0].app_password: is empty"}},
		{"a mode that is none", cut(slackHTTP, "mode: http", "mode: htp"), []string{`skadi: skadi.yaml:2:43: adapters[0].mode: "htp" is not one of socket, http; did you mean "http"?`}},
		{"a webhook without a secret", cut(hook, "[hunter2-hunter2]", "[]"), []string{`skadi: skadi.yaml:2:58: adapters[0].secrets: must not be empty`}},
		{"a webhook with an empty secret", cut(hook, "[hunter2-hunter2]", `[""]`), []string{`skadi: skadi.yaml:2:59: adapters[0].secrets[0]: is empty`}},
		{"a webhook without rules", cut(hook, ", rules: [{on: {event: push}, send: 'web-1 deploy {{.after}}'}]", ""), []string{`skadi: skadi.yaml:2:5: adapters[0]: key "rules" is missing`}},
		{
			"a webhook with a typo in a rule", cut(hook, "send:", "sends:"),
			[]string{
				`skadi: skadi.yaml:2:85: adapters[0].rules[0]: key "send" is missing`,
				`skadi.yaml:2:105: adapters[0].rules[0]: unknown key "sends", did you mean "send"?`,
			},
		},
		{"a webhook with a condition that is none", cut(hook, "event: push", "evnt: push"), []string{`skadi: skadi.yaml:2:97: adapters[0].rules[0].on.evnt: is no key of github events`}},
		{"a webhook with a template that is none", cut(hook, "{{.after}}", "{{after}}"), []string{`skadi: skadi.yaml:2:111: adapters[0].rules[0].send: is no template`}},
		{"a webhook with a typo in a status", cut(hook, "rules:", "commit_status: {tokn: hunter2}, rules:"), []string{`skadi: skadi.yaml:2:93: adapters[0].commit_status: unknown key "tokn", did you mean "token"?`}},
		{"a webhook that answers half a channel", cut(hook, "rules:", "reply_to: {account: work-slack}, rules:"), []string{`skadi: skadi.yaml:2:87: adapters[0].reply_to: key "channel" is missing`}},
		{"a kind that is none", cut(slackHTTP, "kind: slack", "kind: slak"), []string{`skadi: skadi.yaml:2:30: adapters[0].kind: there is no kind "slak" of adapter; did you mean "slack"?`}},
		{"a name twice", slackHTTP + cut(teamsBot, "work-teams", "work-slack"), []string{`skadi: skadi.yaml:3:12: adapters[1].name: "work-slack" is the name of adapters[0] too`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := checkConfig(t, "adapters:\n"+tt.adapters)
			lines := strings.Split(strings.TrimSpace(errs), "\n")
			lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "warning:") })
			for i, want := range tt.wants {
				if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d does not begin with %s:\n%s", i, want, errs)
				}
			}
			if code != 1 || len(lines) != len(tt.wants) || strings.Contains(errs, "hunter2") {
				t.Errorf("exit code %d:\n%s", code, errs)
			}
		})
	}
}

// TestSchemaShowsEveryKind looks for keys of each kind in the schema.
func TestSchemaShowsEveryKind(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := Main(adapters.Factories(), []string{"config", "schema"}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var s struct {
		Properties struct {
			Adapters struct {
				Items struct {
					AllOf []struct {
						If struct {
							Properties struct {
								Kind struct {
									Const string `json:"const"`
								} `json:"kind"`
							} `json:"properties"`
						} `json:"if"`
						Then struct {
							Properties map[string]json.RawMessage `json:"properties"`
						} `json:"then"`
					} `json:"allOf"`
				} `json:"items"`
			} `json:"adapters"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"slack": {"mode", "app_token", "bot_token", "signing_secret", "api_url"},
		"teams": {
			"app_id", "app_password", "tenant_id", "allowed_tenants", "openid_metadata_url", "token_url", "service_hosts",
			"allow_http_loopback", "unauthenticated_loopback",
		},
		"terminal": {"prompt"},
		"webhook": {
			"provider", "secrets", "signature", "id_header", "event_header", "message_bytes", "reply_to", "commit_status", "callback_url", "rules",
		},
	}
	for _, kind := range s.Properties.Adapters.Items.AllOf {
		name := kind.If.Properties.Kind.Const
		for _, key := range want[name] {
			if !strings.Contains(string(kind.Then.Properties[key]), `"description"`) {
				t.Errorf("the key %s of %s is not described", key, name)
			}
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("the schema lacks the kinds %v", want)
	}
}

// TestCheckPlaces holds that nobody is to be told anything in a place where
// nothing can be written.
func TestCheckPlaces(t *testing.T) {
	t.Parallel()
	rest := "adapters:\n" + slackHTTP + "channels:\n  ops:\n    account: ACCOUNT\n    channel: C0123\nalerts: {offline: ops}\n"
	code, _, errs := checkConfig(t, strings.Replace(rest, "ACCOUNT", "work-slack", 1))
	if code != 0 {
		t.Errorf("exit code %d: %s", code, errs)
	}
	code, _, errs = checkConfig(t, strings.Replace(rest, "ACCOUNT", "work-slak", 1))
	if code != 1 || !strings.Contains(errs, `skadi.yaml:5:14: channels.ops.account: no adapter has the name "work-slak"`) {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
