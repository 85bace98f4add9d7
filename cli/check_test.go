package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/letserverrun/skadi/adapters"
)

const (
	robot     = "  - {name: rb, kind: wechat, account: robot, webhook_url: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hunter2'}\n"
	weComApp  = "  - {name: wc, kind: wechat, account: wecom, corp_id: ww0123456789abcdef, agent_id: 1, secret: hunter2, token: hunter2, encoding_aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG}\n"
	inboxMail = "  - {name: j2, kind: email, address: inbox@example.com, imap: {host: imap.example.com, password: hunter2}, smtp: {host: smtp.example.com}}\n"
	aHook     = "  - {name: github, kind: webhook, provider: github, secrets: [hunter2-hunter2], KEYSrules: [{on: {event: push}, send: 'web-1 deploy {{.after}}'}]}\n"
)

// withKeys is a webhook with further keys.
func withKeys(keys string) string { return strings.Replace(aHook, "KEYS", keys, 1) }

// faultsOf are the lines that tell what is wrong with a config.
func faultsOf(t *testing.T, text string) []string {
	t.Helper()
	code, out, errs := checkConfig(t, text)
	var lines []string
	for l := range strings.Lines(errs) {
		if !strings.HasPrefix(l, "warning:") {
			lines = append(lines, strings.TrimPrefix(strings.TrimSpace(l), "skadi: "))
		}
	}
	if (code == 0) != (len(lines) == 0) {
		t.Errorf("exit code %d, and %d errors:\n%s", code, len(lines), errs)
	}
	if strings.Contains(out+errs, "hunter2") {
		t.Error("a secret is shown")
	}
	return lines
}

// TestCheckFinds holds that what could never work is refused where it stands.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	const tail = "; it is in capitals, begins with C and stands at the end of the channel's link and in About"
	for _, tt := range []struct {
		name, text string
		wants      []string
	}{
		{
			"channels that are none", "adapters:\n" + robot + weComApp + slackHTTP + teamsBot +
				"channels:\n  a: {account: rb, channel: other}\n  b: {account: rb, channel: group}\n  c: {account: work-slack, channel: '#ops'}\n" +
				"  d: {account: work-slack, channel: C0789}\n  e: {account: wc, channel: ZhangSan}\n  f: {account: wc, channel: 张三}\n  g: {account: work-teams, channel: General}\n",
			[]string{
				`skadi.yaml:7:29: channels.a.channel: "other" is no channel of a group robot: the only one is "group"`,
				`skadi.yaml:9:37: channels.c.channel: "#ops" is no channel's ID, such as C0789` + tail,
				`skadi.yaml:12:29: channels.f.channel: "张三" is no member's ID (账号), as the console shows it`,
				`skadi.yaml:13:37: channels.g.channel: "General" is no ID of a channel or chat, such as 19:…@thread.tacv2; it stands in the channel's link, where %3a is the colon and %40 the @`,
			},
		},
		{
			"answers in channels that are none", "adapters:\n" + robot + withKeys("reply_to: {account: rb, channel: alerts}, "),
			[]string{`skadi.yaml:3:114: adapters[1].reply_to.channel: messages of github cannot be answered in rb:alerts: "alerts" is no channel of a group robot: the only one is "group"`},
		},
		{
			"answers by accounts that are none", "adapters:\n" + withKeys("reply_to: {account: rb, channel: group}, "),
			[]string{`skadi.yaml:2:101: adapters[0].reply_to.account: messages of github cannot be answered in rb:group: no adapter has the name "rb"`},
		},
		{
			"names that nobody has", "adapters:\n" + slackHTTP + weComApp + inboxMail + withKeys("") + "access:\n  groups:\n    all: [\"work-slack:*\", \"j2:Alice@Example.com\"]\n  rules:\n" +
				"    - who: [\"work-slack:T0123/U0456\", \"work-slack:T0123/@ada\", \"wc:ww0123456789abcdef/ZhangSan\", \"github:alice\"]\n      agents: ['*']\n      may: ['**']\n      in: [\"work-slack:#ops\", \"j2:inbox@example.com\"]\n",
			[]string{
				`skadi.yaml:8:27: access.groups.all[1]: "j2:Alice@Example.com" can never match: "Alice@Example.com" must be in small letters, and its domain in ASCII: write alice@example.com`,
				`skadi.yaml:10:39: access.rules[0].who[1]: "work-slack:T0123/@ada" can never match: "@ada" is neither a person's ID, such as U0456, nor a user group's, such as S0456, in capitals; "Copy member ID" in the person's profile gives it, and whoami tells it`,
				`skadi.yaml:10:64: access.rules[0].who[2]: "wc:ww0123456789abcdef/ZhangSan" can never match: "ZhangSan" must be in small letters, whatever the console shows: write zhangsan`,
				`skadi.yaml:10:98: access.rules[0].who[3]: "github:alice" can never match: "alice" is nobody: everything that comes by this account is of github:webhook`,
				`skadi.yaml:13:12: access.rules[0].in[0]: "work-slack:#ops" can never match: "#ops" is no channel's ID, such as C0789` + tail,
			},
		},
		{
			"approvers who cannot say so", "adapters:\n" + withKeys("") + "access:\n  rules:\n    - {who: [github:webhook], agents: ['*'], may: ['**'], approval: [github:webhook, token:boss]}\n",
			[]string{
				`skadi.yaml:5:70: access.rules[0].approval[0]: "github:webhook" approves nothing: no rule of its adapter's makes a message that begins with approve; name people of another account, such as work-slack:T0123/U0456`,
				`skadi.yaml:5:86: access.rules[0].approval[1]: "token:boss" approves nothing: a token cannot approve, since approvals are given in a conversation; name people of an adapter's account, such as work-slack:T0123/U0456`,
			},
		},
		{
			"an approver who can", "adapters:\n" + strings.Replace(withKeys(""), "web-1 deploy", "approve", 1) + "access:\n  rules:\n    - {who: [token:ci], agents: ['*'], may: ['**'], approval: [github:webhook]}\n", nil,
		},
		{
			"all at once", "log: {level: loud}\nadapters:\n" + strings.Replace(slackHTTP, "kind: slack", "kind: slak", 1) + withKeys("reply_to: {account: work-slak, channel: C1}, ") +
				"channels:\n  ops: {account: gone, channel: C1, agnts: []}\n  via: {account: work-slack, channel: C1}\nalerts: {offline: opps}\naccess:\n  groups: {ops: ['x']}\n  rules:\n    - {who: [group:pipeline], agents: ['*'], see: true}\n",
			[]string{
				`skadi.yaml:1:14: log.level: "loud" is not one of debug, info, warn, error`,
				`skadi.yaml:3:30: adapters[0].kind: there is no kind "slak" of adapter; did you mean "slack"?`,
				`skadi.yaml:4:101: adapters[1].reply_to.account: messages of github cannot be answered in work-slak:C1: no adapter has the name "work-slak"`,
				`skadi.yaml:6:18: channels.ops.account: no adapter has the name "gone"`,
				`skadi.yaml:6:37: channels.ops: unknown key "agnts", did you mean "agents"?`,
				`skadi.yaml:8:19: alerts.offline: there is no channel "opps"; the channels are ops, via`,
				`skadi.yaml:10:18: access.groups.ops[0]: "x" is not of the form account:workspace/user or account:user`,
				`skadi.yaml:12:14: access.rules[0].who[0]: there is no group "pipeline"; there are ops`,
			},
		},
		{
			"one fault of a block, and no more of what follows from it", "adapters:\n" + strings.Replace(slackHTTP, "xoxb-hunter2", "'${env:SKADI_TEST_NOT_SET}', mod: http", 1),
			[]string{`skadi.yaml:2:60: adapters[0].bot_token: the environment variable SKADI_TEST_NOT_SET is not set`, `skadi.yaml:2:89: adapters[0]: unknown key "mod", did you mean "mode"?`},
		},
		{
			"a certificate that is not there", "tls: {cert: no.pem, key: no.key}\nlisten: :8443\nlog: {level: loud}\n",
			[]string{
				`skadi.yaml:1:13: tls.cert: cannot be served: open no.pem: no such file or directory; tls.cert takes the certificate and its chain, tls.key the key that belongs to it, both in PEM, and this user must be able to read them`,
				`skadi.yaml:3:14: log.level: "loud" is not one of debug, info, warn, error`,
			},
		},
		{
			"a status without a token", "adapters:\n" + withKeys("commit_status: {token: ''}, "),
			[]string{`skadi.yaml:2:104: adapters[0].commit_status.token: is empty, and without it no status can be written`},
		},
		{
			"a callback without secrets", "adapters:\n" + withKeys("callback_url: https://ci.example.com/done, "),
			[]string{`skadi.yaml:2:95: adapters[0].callback_url: can never be called: callbacks.secrets, which calls are signed with, is missing`},
		},
		{
			"callbacks that are not allowed", "callbacks: {secrets: [whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==], allow: [127.0.0.1]}\nadapters:\n" +
				strings.Replace(withKeys("callback_url: http://10.1.2.3/done, "), "rules: [", "rules: [{on: {event: a}, send: b, callback_url: 'http://169.254.169.254/'}, "+
					"{on: {event: a}, send: b, callback_url: 'https://localhost/'}, {on: {event: a}, send: b, callback_url: 'https://[::ffff:10.0.0.1]/'}, "+
					"{on: {event: a}, send: b, callback_url: 'http://127.0.0.1/'}, ", 1),
			[]string{
				`skadi.yaml:3:95: adapters[0].callback_url: can never be called: "10.1.2.3" is 10.1.2.3, which is a private address, and callbacks.allow does not list it`,
				`skadi.yaml:3:165: adapters[0].rules[0].callback_url: can never be called: "169.254.169.254" is 169.254.169.254, which is the metadata service of a cloud, and callbacks.allow does not list it`,
				`skadi.yaml:3:233: adapters[0].rules[1].callback_url: can never be called: "localhost" is this machine, and not listed in callbacks.allow`,
				`skadi.yaml:3:296: adapters[0].rules[2].callback_url: can never be called: "::ffff:10.0.0.1" is ::ffff:10.0.0.1, which is a private address, and callbacks.allow does not list it`,
			},
		},
		{
			"a callback that is", "callbacks: {secrets: [whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==]}\nadapters:\n" + withKeys("callback_url: https://ci.example.com/done, "), nil,
		},
		{"a port alone", "listen: 8080\nmetrics: {listen: 9090}\nqueue: {driver: redis, addrs: [6379]}\n", []string{
			`skadi.yaml:1:9: listen: is 8080 alone; write 127.0.0.1:8080 for this machine alone, or ":8080" for others too`,
			`skadi.yaml:2:19: metrics.listen: is 9090 alone; write 127.0.0.1:9090 for this machine alone, or ":9090" for others too`,
			`skadi.yaml:3:32: queue.addrs[0]: is 6379 alone; write redis.example.com:6379`,
		}},
		{
			"a port of starttls", "adapters:\n" + strings.Replace(inboxMail, "smtp: {", "smtp: {port: 587, ", 1),
			[]string{`skadi.yaml:2:121: adapters[0].smtp.port: is 587, which is for tls: starttls; write that beside it, or port: 465`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := faultsOf(t, tt.text)
			if diff := cmp.Diff(tt.wants, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestAllRefuseWhatTheCheckDoes holds that nothing starts with what the check
// would have found, and that the doctor finds it, each with its place.
func TestAllRefuseWhatTheCheckDoes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "skadi.yaml")
	text := "listen: 127.0.0.1:0\nadapters:\n" + robot + "channels: {ops: {account: rb, channel: other}}\nalerts: {offline: ops}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := file + `:4:40: channels.ops.channel: "other" is no channel of a group robot: the only one is "group"`
	for _, args := range [][]string{
		{"config", "check", "-c", file}, {"serve", "-c", file}, {"doctor", "-c", file}, {"up", "-c", file, "--data", filepath.Join(folder, "state")},
	} {
		var out, errs bytes.Buffer
		code := Main(adapters.Factories(), args, strings.NewReader(""), &out, &errs)
		if code != 1 || !strings.Contains(out.String()+errs.String(), want) {
			t.Errorf("%s: exit code %d, and not %s in:\n%s%s", args[0], code, want, &out, &errs)
		}
	}
}
