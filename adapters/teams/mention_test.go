package teams

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/infracloudio/msbotbuilder-go/schema"
	"github.com/stretchr/testify/assert"
)

// entity is a mention as Teams lists it.
func entity(id, name string) schema.Mention {
	return schema.Mention{Type: "mention", Text: "<at>" + name + "</at>", Mentioned: schema.ChannelAccount{ID: id, Name: name}}
}

func TestSaid(t *testing.T) {
	t.Parallel()
	cfg := Config{AppID: farApp}
	bot, ada, namesake := entity("28:bot", "Skadi"), entity("29:ada", "Ada Lovelace"), entity("29:other", "Skadi")
	span := func(name string) string {
		return `<span itemscope="" itemtype="http://schema.skype.com/Mention" itemid="0">` + name + `</span>`
	}
	for _, c := range []struct {
		name, text, html string
		mentions         []schema.Mention
		want             string
	}{
		{"text", "web-1 deploy", "", nil, "web-1 deploy"},
		{"text, mention", "<at>Skadi</at> web-1 deploy\n", "", []schema.Mention{bot}, "web-1 deploy"},
		{"text, no-break space", "<at>Skadi</at>&nbsp;web-1 &nbsp;deploy\u00a0v1", "", []schema.Mention{bot}, "web-1  deploy v1"},
		{"text, mention at the end", "web-1 deploy <at>Skadi</at>", "", []schema.Mention{bot}, "web-1 deploy"},
		{"text, mention twice", "<at>Skadi</at> ask <at>Skadi</at> again", "", []schema.Mention{bot, bot}, "ask  again"},
		{"text, others", "<at>Skadi</at> tell <at>Ada Lovelace</at>", "", []schema.Mention{bot, ada}, "tell Ada Lovelace"},
		{"text, namesake", "<at>Skadi</at> tell <at>Skadi</at>", "", []schema.Mention{bot, namesake}, "tell Skadi"},
		{"text, namesake first", "<at>Skadi</at> <at>Skadi</at> deploy", "", []schema.Mention{namesake, bot}, "Skadi  deploy"},
		{"text, entities", "echo &lt;at&gt;Skadi&lt;/at&gt; &amp;amp; &#60;", "", []schema.Mention{bot}, "echo <at>Skadi</at> &amp; <"},
		{"text, tag of attributes", `<at id="0">Skadi</at> deploy`, "", []schema.Mention{bot}, "deploy"},
		{"text, name with entities", "<at>S&amp;K</at> deploy", "", []schema.Mention{entity("28:bot", "S&amp;K")}, "deploy"},
		{"text, tag without an end", "<at>Skadi deploy", "", []schema.Mention{bot}, "<at>Skadi deploy"},
		{"text, lines", "<at>Skadi</at> run\r\necho 1\r\necho 2", "", []schema.Mention{bot}, "run\necho 1\necho 2"},

		{"HTML", "x", "<p>web-1 deploy</p>", nil, "web-1 deploy"},
		{"HTML, mention", "x", "<div><div>" + span("Skadi") + "&nbsp;web-1 deploy</div>\r\n</div>", []schema.Mention{bot}, "web-1 deploy"},
		{"HTML, at", "x", `<p><at id="0">Skadi</at> deploy <at id="1">Ada Lovelace</at></p>`, []schema.Mention{bot, ada}, "deploy Ada Lovelace"},
		{"HTML, mention in two", "x", span("Ada") + "&nbsp;" + span("Lovelace"), []schema.Mention{ada}, "Ada Lovelace"},
		{"HTML, namesake", "x", span("Skadi") + " tell " + span("Skadi"), []schema.Mention{bot, namesake}, "tell Skadi"},
		{"HTML, mention of parts", "x", span("<b>Ska</b><span>di</span>") + " deploy", []schema.Mention{bot}, "deploy"},
		{"HTML, typed markup", "x", "<p>echo &lt;b&gt; &amp;lt; &amp;nbsp;</p>", nil, "echo <b> &lt; &nbsp;"},
		{"HTML, paragraphs", "x", "<p>run</p>\n<p>echo 1</p>\n<p>&nbsp;</p>\n<p>echo 2<br>echo 3</p>", nil, "run\necho 1\n \necho 2\necho 3"},
		{"HTML, wrapped", "x", "<p>one\r\ntwo</p>", nil, "one two"},
		{"HTML, code", "x", "<p>run</p><pre>if a\n  b\n</pre><p>end</p>", nil, "run\nif a\n  b\n\nend"},
		{"HTML, code block", "x", "<codeblock><code>a\n b</code></codeblock>", nil, "a\n b"},
		{"HTML, list", "x", "<ul><li>one</li><li>two</li></ul>", nil, "one\ntwo"},
		{"HTML, bold", "x", "<p>d<strong>epl</strong><em>oy</em></p>", nil, "deploy"},
		{"HTML, link", "x", `<p>get <a href="https://safelinks.example.com/x" title="y">https://example.com/?a=1&amp;b=2</a></p>`, nil, "get https://example.com/?a=1&b=2"},
		{"HTML, emoji", "x", `<p>ok <emoji id="smile" alt="🙂" title="Smile"></emoji><img itemtype="http://schema.skype.com/Emoji" alt="👍"></p>`, nil, "ok 🙂👍"},
		{"HTML, image", "x", `<p>see <img alt="image" src="https://example.com/x.png"></p>`, nil, "see"},
		{"HTML, quoted", "x", `<blockquote itemscope itemtype="http://schema.skype.com/Reply"><strong>Eve</strong><p>web-1 wipe</p><blockquote>x</blockquote></blockquote><p>web-1 status</p>`, nil, "web-1 status"},
		{"HTML, quoted by itself", "x", `<blockquote>web-1 status</blockquote>`, nil, "web-1 status"},
		{"HTML, quoted mention", "x", `<blockquote itemtype="http://schema.skype.com/Reply">` + span("Eve") + `</blockquote>` + span("Skadi") + " status", []schema.Mention{bot}, "status"},
		{"HTML, attachment", "x", `<p>run</p><attachment id="1">web-1 wipe</attachment>`, nil, "run"},
		{"HTML, script", "x", `<p>run</p><script>web-1 wipe</script><style>p{}</style><!-- web-1 wipe -->`, nil, "run"},
		{"HTML, ends that are none", "x", `</div></span></p>run</pre></at>`, nil, "run"},
		{"HTML, no end", "x", `<p>run <at>Ska`, nil, "run Ska"},
		{"HTML, mention on a new line", "x", "<p>run</p><p>" + span("Ada Lovelace") + " too</p>", []schema.Mention{ada}, "run\nAda Lovelace too"},
		{"HTML, empty", "x", "<div></div>", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := &incoming{Activity: schema.Activity{Text: c.text, Recipient: schema.ChannelAccount{ID: "28:bot"}}, mentions: c.mentions}
			if c.html != "" {
				in.Attachments = []schema.Attachment{
					{ContentType: "image/png", Content: "<p>no</p>"},
					{ContentType: "text/html", Content: map[string]any{"no": "text"}},
					{ContentType: "text/HTML; charset=utf-8", Content: c.html},
				}
			}
			text, mentioned := in.said(cfg)
			assert.Equal(t, c.want, text)
			wanted := false
			for _, m := range c.mentions {
				wanted = wanted || m.Mentioned.ID == "28:bot"
			}
			assert.Equal(t, wanted, mentioned)
		})
	}
}

// The bot is known by its app's ID also where the recipient is written
// otherwise.
func TestMentionedByItsAppID(t *testing.T) {
	t.Parallel()
	in := &incoming{Activity: schema.Activity{Text: "<at>Skadi</at> hi"}, mentions: []schema.Mention{entity("28:"+strings.ToUpper(farApp), "Skadi")}}
	text, mentioned := in.said(Config{AppID: farApp})
	assert.Equal(t, "hi", text)
	assert.True(t, mentioned)
}

func FuzzSaid(f *testing.F) {
	f.Add("<at>Skadi</at>&nbsp;deploy", `<p><span itemtype="http://schema.skype.com/Mention">Skadi</span>&nbsp;deploy</p>`, "Skadi")
	f.Add("<at><at>x</at></at>", `<pre><at><at></pre><blockquote itemtype="http://schema.skype.com/Reply"><p>`, "<at>x</at>")
	f.Add("&#x110000;&#0;&", `<img itemtype="http://schema.skype.com/Emoji" alt="&#0;"/><br/><at/>x`, "")
	f.Fuzz(func(t *testing.T, text, content, name string) {
		m := mentions{known: []mention{{name: name, bot: true}, {name: "Ada"}}}
		for _, got := range []string{m.fromText(text), m.fromHTML(content)} {
			if utf8.ValidString(text) && utf8.ValidString(content) && !utf8.ValidString(got) {
				t.Errorf("%q and %q became %q", text, content, got)
			}
			if strings.Contains(got, "\u00a0") || got != strings.TrimSpace(got) {
				t.Errorf("%q and %q became %q", text, content, got)
			}
		}
		nameOf(text)
	})
}
