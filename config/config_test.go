package config

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
)

var update = flag.Bool("update", false, "write what the files in testdata give as what they should give")

// fixed answers the references in testdata.
func fixed() Lookup {
	return Lookup{
		Env: func(name string) (string, bool) {
			v, ok := map[string]string{"SECRET": "hunter2", "EMPTY": ""}[name]
			return v, ok
		},
		File: func(path string) ([]byte, error) {
			return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
		},
	}
}

// TestBadFiles reads every file in testdata, one for each rule of the config,
// and compares the errors with the file of the same name.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), data, fixed())
			var all strictyaml.Errors
			if !errors.As(err, &all) || c != nil {
				t.Fatalf("Parse = %v, %v", c, err)
			}
			got := err.Error() + "\n"
			if strings.Contains(got, "hunter2") {
				t.Error("the error shows a secret")
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := Parse("empty", nil, Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c, cmpopts.IgnoreUnexported(Config{})); diff != "" {
		t.Errorf("an empty file (-default +got):\n%s", diff)
	}
	if diff := cmp.Diff(job.DefaultTimes(), c.JobTimes()); diff != "" {
		t.Errorf("times (-job +config):\n%s", diff)
	}
	if diff := cmp.Diff(job.DefaultLimits(), c.JobLimits()); diff != "" {
		t.Errorf("limits (-job +config):\n%s", diff)
	}
}

func TestEverySectionIsRead(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte(`
listen: 0.0.0.0:443
public_url: https://skadi.example.com/
tls: {cert: a.pem, key: b.pem}
trusted_proxies: [10.0.0.0/8, 192.0.2.7]
store: {driver: mysql, dsn: "u:${env:SECRET}@tcp(db)/skadi", migrate: false}
node: {name: web-a}
queue: {driver: redis, partitions: 32, addrs: ["[::1]:6379", b:6379], cluster: true, username: u, password: "${env:SECRET}", tls: true}
times: {check_in: 1s, offline: 2s, no_result: 3s, not_taken: 4s, max_run: 5s, offer: 1s, approval: 1d12h}
retention: {jobs: 0}
limits: {message: 2KiB, output: 3KiB, live_output: 4KiB, late_reports: 5, body: 100000}
log: {level: debug, format: json}
metrics: {listen: ":9090"}
tracing: {endpoint: "http://otel:4318", headers: {X-Key: "${env:SECRET}"}, ratio: 0.5}
adapters:
  - {name: work-slack, kind: slack, mode: http}
access:
  groups: {ops: ["work-slack:T1/U2"]}
  rules: [{who: [group:ops, token:*], agents: [web-*], may: [status], in: [work-slack:C0789]}]
`), fixed())
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Listen: "0.0.0.0:443", PublicURL: "https://skadi.example.com/", TLS: TLS{Cert: "a.pem", Key: "b.pem"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32")},
		Store:          Store{Driver: MySQL, DSN: "u:hunter2@tcp(db)/skadi"},
		Node:           Node{Name: "web-a"},
		Queue:          Queue{Driver: Redis, Partitions: 32, Addrs: []string{"[::1]:6379", "b:6379"}, Cluster: true, Username: "u", Password: "hunter2", TLS: true},
		Times: Times{
			CheckIn: time.Second, Offline: 2 * time.Second, NoResult: 3 * time.Second, NotTaken: 4 * time.Second,
			MaxRun: 5 * time.Second, Offer: time.Second, Approval: 36 * time.Hour,
		},
		Limits:   Limits{Message: 2 << 10, Output: 3 << 10, LiveOutput: 4 << 10, LateReports: 5, Body: 100000},
		Log:      Log{Level: "debug", Format: "json"},
		Metrics:  Metrics{Listen: ":9090"},
		Tracing:  Tracing{Endpoint: "http://otel:4318", Headers: map[string]chat.Secret{"X-Key": "hunter2"}, Ratio: 0.5},
		Adapters: []Adapter{{Name: "work-slack", Kind: "slack"}},
		Access: access.Rules{
			Groups: map[string][]string{"ops": {"work-slack:T1/U2"}},
			Rules:  []access.Rule{{Who: []string{"group:ops", "token:*"}, Agents: []string{"web-*"}, May: []string{"status"}, In: []string{"work-slack:C0789"}}},
		},
	}
	opts := []cmp.Option{
		cmpopts.EquateComparable(netip.Prefix{}), cmpopts.IgnoreUnexported(Config{}, Adapter{}), cmpopts.IgnoreTypes(strictyaml.Section{}),
	}
	if diff := cmp.Diff(want, c, opts...); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.JobTimes().Approval != 36*time.Hour || c.JobLimits().LateReports != 5 {
		t.Errorf("%+v %+v", c.JobTimes(), c.JobLimits())
	}
}

// TestDesignRule reads a rule as documents show it, with text in braces that
// holds colons and no quotes.
func TestDesignRule(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte(`
access:
  groups: {ops: ["work-slack:T0123/U0456", "job-inbox:alice@example.com", "token:ci"]}
  rules:
    - {who: [group:ops], agents: ["web-*"], may: ["deploy *", "status"], in: ["work-slack:C0789"]}
`), Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := access.New(c.Access)
	if err != nil {
		t.Fatal(err)
	}
	d := p.Decide(access.Request{Who: "token:ci", Where: "work-slack:C0789", Action: access.Send, Agent: "web-1", Message: "deploy v1.2.3"})
	if !d.Allowed || d.Rule != "rules[0]" {
		t.Errorf("%+v", d)
	}
}

func TestListenAddresses(t *testing.T) {
	t.Parallel()
	for addr, plain := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:0": true, "LOCALHOST:1": true, "127.9.9.9:1": true, "[::ffff:127.0.0.1]:1": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "10.0.0.1:8080": false, "localhost.example.com:1": false, "skadi:1": false,
	} {
		for _, tc := range []struct {
			more string
			ok   bool
		}{{"", plain}, {"tls: {cert: a, key: b}", true}, {"trusted_proxies: [10.0.0.1]", true}, {"trusted_proxies: []", plain}} {
			_, err := Parse("f.yaml", []byte("listen: '"+addr+"'\n"+tc.more), Lookup{})
			if (err == nil) != tc.ok {
				t.Errorf("listen %s with %q: %v", addr, tc.more, err)
			}
		}
	}
}

// slack is what an adapter might take.
type slack struct {
	Mode     string        `yaml:"mode" jsonschema:"enum=socket,enum=http" doc:"How messages come in."`
	BotToken chat.Secret   `yaml:"bot_token" jsonschema:"required" doc:"The bot's token."`
	Timeout  time.Duration `yaml:"timeout" doc:"How long a call may take."`
}

const twoAccounts = `
adapters:
  - name: good
    kind: slack
    mode: http
    bot_token: ${env:SECRET}
    timeout: 1d
  - name: bad
    kind: slakc
    mod: http
    timeout: 5
    bot_token: literal
`

// TestAdapterBlocks proves that a block which is decoded later, by a type that
// the config does not know, is read as strictly as the rest.
func TestAdapterBlocks(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte(twoAccounts), fixed())
	if err != nil {
		t.Fatal(err)
	}
	good := slack{Mode: "socket"}
	if err := c.Adapters[0].Decode(&good); err != nil {
		t.Error(err)
	}
	if good.BotToken.Reveal() != "hunter2" || good.Mode != "http" || good.Timeout != 24*time.Hour {
		t.Errorf("%+v", good)
	}
	for range 2 {
		err = c.Adapters[1].Decode(&slack{})
		want := `f.yaml:10:5: adapters[1]: unknown key "mod", did you mean "mode"?
f.yaml:11:14: adapters[1].timeout: must be a duration such as 30s, 10m or 90d, not "5"`
		if err == nil || err.Error() != want {
			t.Errorf("got:\n%v\nwant:\n%s", err, want)
		}
	}
	if w := c.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0].Error(), "f.yaml:12:16: adapters[1].bot_token: a secret stands in the file") {
		t.Errorf("warnings: %v", w)
	}
	var factory chat.Factory = func(decode func(any) error, _ chat.Env) (chat.Adapter, error) { return nil, decode(&slack{}) }
	if _, err := factory(c.Adapters[0].Decode, chat.Env{}); err != nil {
		t.Error(err)
	}

	want := `f.yaml:9:11: adapters[1].kind: there is no kind "slakc" of adapter; did you mean "slack"?`
	if err := c.CheckKinds([]string{"slack", "teams"}); err == nil || err.Error() != want {
		t.Errorf("CheckKinds = %v", err)
	}
	if err := c.CheckKinds([]string{"email"}); err == nil || !strings.Contains(err.Error(), `"slack" of adapter; the kinds are email`) {
		t.Errorf("CheckKinds = %v", err)
	}
	if err := c.CheckKinds([]string{"slack", "slakc"}); err != nil {
		t.Errorf("CheckKinds = %v", err)
	}
	if got, want := c.Adapters[0].Errorf("mode", "no").Error(), "f.yaml:5:11: adapters[0].mode: no"; got != want {
		t.Errorf("Errorf = %s", got)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte(`
store: {driver: mysql, dsn: "u:hunter2@tcp(db)/skadi"}
adapters: [{name: work-slack, kind: slack}]
access:
  groups: {ops: ["work-slak:U1", "token:ci"]}
  rules:
    - {who: [group:ops, "work-slack:U2"], agents: [a], may: [x], in: ["teams:C1", "work-slack:C1"], approval: ["terminal:ada"]}
`), Lookup{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.Error())
	}
	want := []string{
		`f.yaml:2:29: store.dsn: a secret stands in the file as it is; keep it outside and write ${env:NAME} or ${file:PATH}`,
		`f.yaml:5:18: access.groups.ops[0]: no adapter has the name "work-slak", did you mean "work-slack"?`,
		`f.yaml:7:71: access.rules[0].in[0]: no adapter has the name "teams"`,
		`f.yaml:7:112: access.rules[0].approval[0]: no adapter has the name "terminal"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if w := (&Config{}).Warnings(); w != nil {
		t.Errorf("a config of no file: %v", w)
	}
}

func TestLoadFromAFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("url", "https://skadi.example.com\n")
	write("skadi.yaml", "public_url: ${file:url}\nstore: {path: data/skadi.db}\ntls: {cert: /abs.pem, key: rel.pem}\n")
	c, err := Load(filepath.Join(folder, "skadi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.PublicURL, c.Store.Path, c.TLS.Cert, c.TLS.Key}
	want := []string{"https://skadi.example.com", filepath.Join(folder, "data/skadi.db"), "/abs.pem", filepath.Join(folder, "rel.pem")}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	write("skadi.yaml", "listen: ${file:none}")
	if _, err := Load(filepath.Join(folder, "skadi.yaml")); err == nil || !strings.Contains(err.Error(), "skadi.yaml:1:9: listen: the secret cannot be read") {
		t.Errorf("Load = %v", err)
	}
}

// TestLoadTellsWhatChecksFind holds that a check sees what can be understood of
// a faulty file, and that what it says comes beside the faults of the file.
func TestLoadTellsWhatChecksFind(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "skadi.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(c *Config) error {
		return errors.Join(
			strictyaml.Invalid("channels.ops.channel", "is %s", c.Channels["ops"].Channel), strictyaml.Invalid("log.level", "is %s", c.Log.Level),
			c.Adapters[0].Errorf("mode", "is none"), nil,
		)
	}
	write("log: {level: loud}\nchannels: {ops: {account: work, channel: C1}}\nadapters: [{name: work, kind: slack, mode: x}]\n")
	c, err := Load(file, check, func(*Config) error { return nil })
	want := `skadi.yaml:1:14: log.level: "loud" is not one of debug, info, warn, error
skadi.yaml:2:42: channels.ops.channel: is C1
skadi.yaml:3:44: adapters[0].mode: is none`
	if got := strings.ReplaceAll(fmt.Sprint(err), filepath.Dir(file)+string(filepath.Separator), ""); got != want || c != nil {
		t.Errorf("%v\ngot:\n%s\nwant:\n%s", c, got, want)
	}
	write("channels: {ops: {account: work, channel: C1}}\nadapters: [{name: work, kind: slack, mode: x}]\n")
	if _, err := Load(file, check); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("a file without faults of its own: %v", err)
	}
	if c, err := Load(file, func(*Config) error { return nil }); err != nil || c.Adapters[0].Name != "work" {
		t.Errorf("nothing was found: %v, %v", c, err)
	}
}

func TestCheckCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	if err := os.WriteFile(cert, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		tls  TLS
		want string
	}{
		{TLS{}, ""},
		{TLS{Cert: cert, Key: key}, "tls.key: cannot be served: open " + key},
		{TLS{Cert: key, Key: cert}, "tls.cert: cannot be served: open " + key},
		{TLS{Cert: cert, Key: cert}, "tls.cert: cannot be served: tls: failed to find any PEM data"},
	} {
		err := (&Config{TLS: tc.tls}).CheckCertificate()
		if (tc.want == "") != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%v: %v, want %q", tc.tls, err, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, examplePath) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(twoAccounts))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("f.yaml", data, fixed())
		if err == nil {
			// What was accepted can be used.
			if _, err := access.New(c.Access); err != nil {
				t.Fatal(err)
			}
			for _, a := range c.Adapters {
				_ = a.Decode(&slack{})
			}
			return
		}
		var all strictyaml.Errors
		if !errors.As(err, &all) || len(all) == 0 || c != nil {
			t.Fatalf("Parse = %v, %v", c, err)
		}
		for _, e := range all {
			if e.Line < 1 || e.Column < 1 || e.Detail == "" {
				t.Fatalf("no place: %#v", e)
			}
		}
	})
}
