package command

import (
	"slices"
	"strings"
	"testing"
)

// known makes a Context of these agents.
func known(agents ...string) Context {
	return Context{Agent: func(name string) bool { return slices.Contains(agents, name) }}
}

func send(agent, message string) Command {
	return Command{Verb: Send, Agent: agent, Message: message}
}

func unknown(word, name string) Command {
	return Command{Verb: Unknown, Word: word, Agent: name}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       Command
	}{
		{"message", "web-1 deploy v1.2.3", send("web-1", "deploy v1.2.3")},
		{"one letter", "x y", send("x", "y")},
		{"no message", "web-1", send("web-1", "")},
		{"no message but white space", "web-1 \t\r\n", send("web-1", "")},
		{"inner spaces and lines stay", "web-1 a  b\t c\n\n  d", send("web-1", "a  b\t c\n\n  d")},
		{"white space around is left out", " \n web-1 \t  deploy \u00a0\r\n", send("web-1", "deploy")},
		{"below the name", "web-1\ndeploy", send("web-1", "deploy")},
		{"below the name, by carriage return and line feed", "web-1\r\ndeploy", send("web-1", "deploy")},
		{"indentation of the first line stays", "web-1\n  a:\n    b", send("web-1", "  a:\n    b")},
		{"blank lines before do not", "web-1: \n \n\t- a\n- b", send("web-1", "\t- a\n- b")},
		{"line separator", "web-1\u2028 deploy", send("web-1", " deploy")},
		{"capital letters", "Web-1 Deploy V1", send("web-1", "Deploy V1")},
		{"colon", "web-1: deploy", send("web-1", "deploy")},
		{"comma", "web-1, deploy", send("web-1", "deploy")},
		{"colon apart stays in the message", "web-1 : deploy", send("web-1", ": deploy")},
		{"colon within a word", "web-1:deploy", unknown("web-1:deploy", "web-1:deploy")},
		{"full-width colon needs no space", "web-1：deploy，now", send("web-1", "deploy，now")},
		{"full-width letters", "ｗｅｂ－１　deploy", send("web-1", "deploy")},
		{"en dash", "web–1 deploy –f", send("web-1", "deploy –f")},
		{"em dash", "web—1 deploy", send("web-1", "deploy")},
		{"minus sign", "web−1 deploy", send("web-1", "deploy")},
		{"smart quotes around the name", "“web-1” say “hi”", send("web-1", "say “hi”")},
		{"quotes and colon", "'web-1': deploy", send("web-1", "deploy")},
		{"backticks", "`web-1` deploy", send("web-1", "deploy")},
		{"no-break space", "web-1\u00a0deploy\u00a0now", send("web-1", "deploy\u00a0now")},
		{"zero-width characters", "\u200b\ufeffweb\u200b-1\u200d \u200bdep\u200bloy\u200b", send("web-1", "dep\u200bloy\u200b")},
		{"marks of writing direction", "\u200eweb-1\u200f \u200edeploy", send("web-1", "\u200edeploy")},
		{"bytes that are no UTF-8 stay", "web-1 \xff\xfe\x00", send("web-1", "\xff\xfe\x00")},
		{"prefix", "skadi web-1 deploy", send("web-1", "deploy")},
		{"slash", "/skadi web-1 deploy", send("web-1", "deploy")},
		{"mention typed by hand", "@Skadi: web-1 deploy", send("web-1", "deploy")},
		{"prefix once", "skadi skadi web-1", unknown("skadi", "skadi")},
		{"prefix alone", " /skadi ", Command{Verb: Help}},
		{"a built-in's name after the agent's", "web-1 help", send("web-1", "help")},

		{"nothing", "", Command{}},
		{"white space", " \t\n\u00a0\u200b", Command{}},
		{"unknown", "webb-1 deploy", unknown("webb-1", "webb-1")},
		{"unknown as typed", "“Webb—1”: deploy", unknown("“Webb—1”:", "webb-1")},
		{"only punctuation", "“”: x", unknown("“”:", "")},

		{"help", "help", Command{Verb: Help}},
		{"Help", "Help.", Command{Verb: Help}},
		{"prefixed help", "skadi, help!", Command{Verb: Help}},
		{"help of an agent", "help Web–1", Command{Verb: Help, Agent: "web-1"}},
		{"help of a built-in", "help cancel", Command{Verb: Help, Agent: "cancel"}},
		{"help of two", "help web-1 x", Command{Verb: Help, Misused: true}},
		{"agents", "agents", Command{Verb: Agents}},
		{"agents with an argument", "agents web-1", Command{Verb: Agents, Misused: true}},
		{"jobs", "jobs", Command{Verb: Jobs}},
		{"jobs of an agent", "jobs web-1", Command{Verb: Jobs, Agent: "web-1"}},
		{"job", "job k7f3q2", Command{Verb: Job, Code: "k7f3q2"}},
		{"number sign", "job #K7F3Q2", Command{Verb: Job, Code: "k7f3q2"}},
		{"full-width number sign", "job ＃k7f3q2", Command{Verb: Job, Code: "k7f3q2"}},
		{"code in a sentence", "cancel “#k7f3q2”.", Command{Verb: Cancel, Code: "k7f3q2"}},
		{"code in quotes", "cancel ‘k7f3q2’", Command{Verb: Cancel, Code: "k7f3q2"}},
		{"code in parentheses", "cancel (#k7f3q2)", Command{Verb: Cancel, Code: "k7f3q2"}},
		{"code below", "cancel\n k7f3q2 \n", Command{Verb: Cancel, Code: "k7f3q2"}},
		{"two codes", "cancel k7f3q2 k7f3q3", Command{Verb: Cancel, Misused: true}},
		{"no code", "cancel", Command{Verb: Cancel, Misused: true}},
		{"only a number sign", "cancel #", Command{Verb: Cancel, Misused: true}},
		{"only quotes", "cancel “”", Command{Verb: Cancel, Misused: true}},
		{"output", "output #K7F3Q2", Command{Verb: Output, Code: "k7f3q2", Page: 1}},
		{"a page of output", "output k7f3q2 12", Command{Verb: Output, Code: "k7f3q2", Page: 12}},
		{"a page in a sentence", "Output “#k7f3q2”, ２.", Command{Verb: Output, Code: "k7f3q2", Page: 2}},
		{"no page", "output k7f3q2 all", Command{Verb: Output, Misused: true}},
		{"page nought", "output k7f3q2 0", Command{Verb: Output, Misused: true}},
		{"a page below nought", "output k7f3q2 -1", Command{Verb: Output, Misused: true}},
		{"an endless page", "output k7f3q2 99999999999999999999", Command{Verb: Output, Misused: true}},
		{"two pages", "output k7f3q2 1 2", Command{Verb: Output, Misused: true}},
		{"output of nothing", "output", Command{Verb: Output, Misused: true}},
		{"rerun", "Rerun k7f3q2", Command{Verb: Rerun, Code: "k7f3q2"}},
		{"why of a refusal", "why R—1234abcd?", Command{Verb: Why, Code: "r-1234abcd"}},
		{"use", "use web-1", Command{Verb: Use, Agent: "web-1"}},
		{"use alone", "use", Command{Verb: Use}},
		{"use dash", "use –", Command{Verb: Use, Clear: true}},
		{"use none", "use None", Command{Verb: Use, Clear: true}},
		{"whoami", "whoami", Command{Verb: Whoami}},
		{"whoami who", "whoami please", Command{Verb: Whoami, Misused: true}},
		{"pause", "pause web-1", Command{Verb: Pause, Agent: "web-1"}},
		{"pause what", "pause", Command{Verb: Pause, Misused: true}},
		{"resume", "resume web-1", Command{Verb: Resume, Agent: "web-1"}},
		{"approve", "approve #k7f3q2", Command{Verb: Approve, Code: "k7f3q2"}},
		{"deny", "deny k7f3q2", Command{Verb: Deny, Code: "k7f3q2"}},
		{"no built-in", "send web-1", unknown("send", "send")},
		{"no built-in either", "unknown", unknown("unknown", "unknown")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Parse(tc.text, known("web-1", "x")); got != tc.want {
				t.Errorf("Parse(%q)\n got %+v\nwant %+v", tc.text, got, tc.want)
			}
		})
	}
}

func TestParseWithDefaultAgent(t *testing.T) {
	t.Parallel()
	c := known("web-1", "db")
	c.Default = "web-1"
	byDefault := func(message string) Command {
		return Command{Verb: Send, Agent: "web-1", Message: message, Defaulted: true}
	}
	for text, want := range map[string]Command{
		"deploy v1":               byDefault("deploy v1"),
		"  Deploy  “v1”\n":        byDefault("Deploy  “v1”"),
		"skadi deploy v1":         byDefault("deploy v1"),
		"你好，世界":                   byDefault("你好，世界"),
		"db: status":              send("db", "status"),
		"web-1":                   send("web-1", ""),
		"help":                    {Verb: Help},
		"cancel that":             {Verb: Cancel, Code: "that"},
		"skadi":                   {Verb: Help},
		"":                        {},
		strings.Repeat("a", 1000): byDefault(strings.Repeat("a", 1000)),
	} {
		if got := Parse(text, c); got != want {
			t.Errorf("Parse(%q)\n got %+v\nwant %+v", text, got, want)
		}
	}
}

func TestParseWithOtherPrefixes(t *testing.T) {
	t.Parallel()
	c := known("web-1", "skadi")
	c.Prefixes = []string{"ops", "机器人"}
	for text, want := range map[string]Command{
		"ops web-1 status":  send("web-1", "status"),
		"/Ops web-1 status": send("web-1", "status"),
		"机器人，web-1 status":  send("web-1", "status"),
		"web-1 status":      send("web-1", "status"),
		"skadi status":      send("skadi", "status"),
	} {
		if got := Parse(text, c); got != want {
			t.Errorf("Parse(%q)\n got %+v\nwant %+v", text, got, want)
		}
	}
	c.Prefixes = []string{}
	if got, want := Parse("ops help", c), unknown("ops", "ops"); got != want {
		t.Errorf("without prefixes: got %+v, want %+v", got, want)
	}
}

func TestParseKnowsNoAgentsByItself(t *testing.T) {
	t.Parallel()
	if got, want := Parse("web-1 x", Context{}), unknown("web-1", "web-1"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, b := range Builtins() {
		got, ok := Lookup(strings.ToUpper(string(b.Verb)) + ":")
		if !ok || got.Verb != b.Verb {
			t.Errorf("Lookup(%q) = %+v, %v", b.Verb, got, ok)
		}
		if first, _, _ := strings.Cut(b.Usage, " "); first != string(b.Verb) {
			t.Errorf("the usage of %s is %q", b.Verb, b.Usage)
		}
		if b.Help == "" {
			t.Errorf("%s has no help", b.Verb)
		}
	}
	if b, ok := Lookup("send"); ok {
		t.Errorf("Lookup(send) = %+v", b)
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	got := strings.Join(Reserved(), " ")
	const want = "agents approve cancel deny help job jobs none output pause rerun resume skadi use whoami why"
	if got != want {
		t.Errorf("Reserved() = %s\nwant %s", got, want)
	}
}
