package slack

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sent, want string }{
		{"deploy v1", "deploy v1"},
		{"", ""},
		{"a &lt;b&gt; &amp; c", "a <b> & c"},
		{"&amp;lt; is &lt;", "&lt; is <"},
		{"&quot; &#60; &nbsp;", "&quot; &#60; &nbsp;"},
		{"see <https://example.com/a?b=1&amp;c=2>", "see https://example.com/a?b=1&c=2"},
		{"see <http://example.com|example.com>", "see example.com"},
		{"see <http://example.com/|example.com>", "see example.com"},
		{"get <https://example.com/v1.tar.gz|the release>", "get https://example.com/v1.tar.gz"},
		{"mail <mailto:ada@example.com|ada@example.com>", "mail ada@example.com"},
		{"call <tel:+4930123|030 123>", "call 030 123"},
		{"<@U0001> did it", "@U0001 did it"},
		{"<@U0001|ada> did it", "@ada did it"},
		{"in <#C0001|general> and <#C0002> and <#C0003|>", "in #general and #C0002 and #C0003"},
		{"<!subteam^S0001|@ops> <!subteam^S0002>", "@ops @S0002"},
		{"<!here> <!channel|channel> <!everyone>", "@here @channel @everyone"},
		{"<!date^1392734382^{date}|Feb 18>", "Feb 18"},
		{"a <b> c", "a <b> c"}, // not escaped: a slash command of an app that does not ask for it
		{"a < b", "a < b"},
		{"<> <@> <!> <#> <|x>", "<> <@> <!> <#> <|x>"},
		{"x <<@U1>> y", "x <@U1> y"},
		{"<https://example.com", "<https://example.com"},
		{"echo <0:1>", "echo <0:1>"},
	} {
		if got := typed(c.sent); got != c.want {
			t.Errorf("%q was typed as %q, want %q", c.sent, got, c.want)
		}
	}
}

func TestWithoutMention(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ sent, want string }{
		{"<@U0BOT> agents", "agents"},
		{"  <@U0BOT>   agents", "agents"},
		{"<@U0BOT|skadi> agents", "agents"},
		{"<@U0BOT>: agents", "agents"},
		{"<@U0BOT>, web-1 deploy", "web-1 deploy"},
		{"<@U0BOT> <@U0BOT> agents", "agents"},
		{"<@U0BOT>\u00a0agents", "agents"},
		{"<@U0BOT>", ""},
		{"<@U0BOT> two  blanks ", "two  blanks "},
		{"web-1 deploy <@U0BOT>", "web-1 deploy"},
		{"web-1 <@U0BOT> deploy", "web-1 deploy"},
		{"<@U0BOT> tell <@U0BOT> all", "tell <@U0BOT> all"},
		{"<@U0BOTTLE> agents", "<@U0BOTTLE> agents"},
		{"<@U0BOTTLE> and <@U0BOT> agents", "<@U0BOTTLE> and agents"},
		{"<@U0BOT|agents", "<@U0BOT|agents"},
		{"agents", "agents"},
	} {
		if got := withoutMention(c.sent, botUser); got != c.want {
			t.Errorf("%q without its mention is %q, want %q", c.sent, got, c.want)
		}
	}
}

func FuzzTyped(f *testing.F) {
	for _, s := range []string{"<@U0BOT>: a <b> &amp;", "<https://a|b>", "<!date^1|x>", "<<>>|", "&lt;@U0BOT&gt;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// What a person types comes back, whatever it is.
		if got := typed(escaped.Replace(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		got := typed(withoutMention(text, botUser))
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%q became invalid: %q", text, got)
		}
		if len(got) > len(text) {
			t.Errorf("%q grew to %q", text, got)
		}
		if rest := withoutMention(text, botUser); mentioned(rest, botUser) && strings.HasPrefix(rest, "<@"+botUser+">") {
			t.Errorf("%q still begins with the mention: %q", text, rest)
		}
	})
}
