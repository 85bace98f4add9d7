package teams

import (
	"html"
	"mime"
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"
)

// said returns what the person wrote, without the mentions of the bot, and
// whether there were any. Teams sends the text twice: as a text that lost its
// paragraphs, and as HTML in an attachment, which is read if it is there.
// Mentions of others stay as they are shown, that is as a name.
func (in *incoming) said(cfg Config) (text string, mentioned bool) {
	m := mentions{}
	for _, e := range in.mentions {
		bot := in.bot(e.Mentioned.ID, cfg)
		m.known = append(m.known, mention{name: nameOf(e.Text), bot: bot})
		mentioned = mentioned || bot
	}
	for _, a := range in.Attachments {
		content, ok := a.Content.(string)
		if kind, _, err := mime.ParseMediaType(a.ContentType); ok && err == nil && kind == "text/html" {
			return m.fromHTML(content), mentioned
		}
	}
	return m.fromText(in.Text), mentioned
}

// mention is a mention in a message: the name that is shown, and whether it is
// the bot's.
type mention struct {
	name string
	bot  bool
}

// mentions tells the bot's mentions from others.
type mentions struct{ known []mention }

// at is a mention in the text of an activity, and in what its entities say.
var at = regexp.MustCompile(`(?is)<at(?:\s[^<>]*)?>(.*?)</at>`)

// nameOf returns the name in the text of a mention.
func nameOf(text string) string {
	if m := at.FindStringSubmatch(text); m != nil {
		text = m[1]
	}
	return blank(html.UnescapeString(text))
}

// ours says for each of the names that stand in a message as mentions, whether
// it is the bot's. They are told apart by their order where the entities have
// the same, since a person may be called like the bot, and by their name
// otherwise.
func (m mentions) ours(names []string) []bool {
	same := slices.EqualFunc(names, m.known, func(name string, k mention) bool { return name == k.name })
	bots := make([]bool, len(names))
	for i, name := range names {
		if same {
			bots[i] = m.known[i].bot
			continue
		}
		bots[i] = slices.Contains(m.known, mention{name: name, bot: true})
	}
	return bots
}

// fromText reads the text of an activity, in which only mentions are tags and
// other characters may be written as in HTML.
func (m mentions) fromText(text string) string {
	found := at.FindAllStringSubmatchIndex(text, -1)
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = blank(html.UnescapeString(text[f[2]:f[3]]))
	}
	bots := m.ours(names)
	var out strings.Builder
	end := 0
	for i, f := range found {
		out.WriteString(html.UnescapeString(text[end:f[0]]))
		if !bots[i] {
			out.WriteString(names[i])
		}
		end = f[1]
	}
	out.WriteString(html.UnescapeString(text[end:]))
	return strings.TrimSpace(blank(strings.ReplaceAll(out.String(), "\r\n", "\n")))
}

// blank writes no-break spaces as spaces: Teams makes them of every second
// space that somebody types.
func blank(text string) string { return strings.ReplaceAll(text, "\u00a0", " ") }

// fromHTML reads the HTML of an attachment.
func (m mentions) fromHTML(content string) string {
	p := &page{}
	p.read(content)
	bots := m.ours(p.names)
	var out strings.Builder
	end := 0
	for i, cut := range p.cuts {
		out.WriteString(p.out.String()[end:cut])
		if !bots[i] {
			out.WriteString(p.names[i])
		}
		end = cut
	}
	out.WriteString(p.out.String()[end:])
	return strings.TrimSpace(out.String())
}

// What Teams' own elements say that they are.
const (
	mentionType = "http://schema.skype.com/Mention"
	replyType   = "http://schema.skype.com/Reply"
	emojiType   = "http://schema.skype.com/Emoji"
)

// blocks begin and end a line.
var blocks = []string{
	"p", "div", "li", "ul", "ol", "tr", "table", "pre", "codeblock", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6",
}

// page turns HTML into text. It looks at one tag at a time, so that nothing
// can be nested too deep.
type page struct {
	out strings.Builder
	// names are the mentions, and cuts where in out each belongs.
	names []string
	cuts  []int

	// line says that what follows begins a new line.
	line bool
	// pre counts the elements that keep their line breaks.
	pre int
	// inside is the element whose end is awaited, if text in it is not the
	// person's: a quoted message, or a mention. nested counts those of the
	// same name within.
	inside string
	nested int
	// name is that of the mention that is being read.
	name *strings.Builder
}

func (p *page) read(content string) {
	z := nethtml.NewTokenizer(strings.NewReader(content))
	for {
		switch z.Next() {
		case nethtml.ErrorToken:
			p.leave()
			return
		case nethtml.TextToken:
			p.text(z.Token().Data)
		case nethtml.StartTagToken:
			p.start(z.Token())
		case nethtml.SelfClosingTagToken:
			t := z.Token()
			p.start(t)
			p.end(t.Data)
		case nethtml.EndTagToken:
			p.end(z.Token().Data)
		case nethtml.CommentToken, nethtml.DoctypeToken:
		}
	}
}

func (p *page) text(text string) {
	switch {
	case p.name != nil:
		p.name.WriteString(text)
		return
	case p.inside != "":
		return
	case p.pre == 0:
		if strings.ContainsAny(text, "\r\n") && strings.TrimSpace(text) == "" {
			return // between two elements
		}
		text = unwrapped.Replace(text)
	}
	p.write(blank(text))
}

// unwrapped takes out the line breaks of the HTML itself.
var unwrapped = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

func (p *page) write(text string) {
	if text == "" {
		return
	}
	if p.line && p.out.Len() > 0 {
		p.out.WriteByte('\n')
	}
	p.line = false
	p.out.WriteString(text)
}

func (p *page) start(t nethtml.Token) {
	if p.inside != "" {
		if t.Data == p.inside {
			p.nested++
		}
		return
	}
	kind := attribute(t, "itemtype")
	switch {
	case t.Data == "at", kind == mentionType:
		p.inside, p.name = t.Data, &strings.Builder{}
	case kind == replyType, t.Data == "attachment", t.Data == "script", t.Data == "style", t.Data == "title":
		p.inside = t.Data
	case t.Data == "emoji", t.Data == "img" && kind == emojiType:
		p.write(attribute(t, "alt"))
	case t.Data == "br":
		p.write("\n")
	case slices.Contains(blocks, t.Data):
		p.line = true
		if t.Data == "pre" || t.Data == "codeblock" {
			p.pre++
		}
	}
}

func (p *page) end(name string) {
	switch {
	case p.inside != "":
		if name != p.inside {
			return
		}
		if p.nested > 0 {
			p.nested--
			return
		}
		p.leave()
	case slices.Contains(blocks, name):
		p.line = true
		if (name == "pre" || name == "codeblock") && p.pre > 0 {
			p.pre--
		}
	}
}

// leave ends the element that was being passed over.
func (p *page) leave() {
	if p.name != nil {
		if p.line && p.out.Len() > 0 {
			p.out.WriteByte('\n')
		}
		p.line = false
		p.names = append(p.names, blank(p.name.String()))
		p.cuts = append(p.cuts, p.out.Len())
	}
	p.inside, p.nested, p.name = "", 0, nil
}

func attribute(t nethtml.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
