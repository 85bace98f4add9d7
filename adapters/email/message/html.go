package message

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText makes plain text of HTML. It reads it once, tag by tag, so that no
// nesting costs more than its length. With cutting, what mailers mark as the
// mail that is answered, or as a signature, is left out.
//
// It is no Markdown, which would put backslashes into commands.
func htmlText(source string, cutting bool) string {
	t := html.NewTokenizer(strings.NewReader(source))
	w := &writer{}
	w.b.Grow(len(source) / 4)
	var skipping struct {
		tag   string
		depth int
	}
	for {
		kind := t.Next()
		if kind == html.ErrorToken {
			break // the end; a tokenizer of memory has no other error
		}
		token := t.Token()
		if skipping.depth > 0 {
			if token.Data == skipping.tag {
				switch kind {
				case html.StartTagToken:
					skipping.depth++
				case html.EndTagToken:
					skipping.depth--
				}
			}
			continue
		}
		switch kind {
		case html.TextToken:
			w.text(token.Data)
		case html.StartTagToken, html.SelfClosingTagToken:
			if cutting && answered(token) == everything {
				return w.String()
			}
			skip := invisible[token.DataAtom] || cutting && answered(token) == element
			if skip && kind == html.StartTagToken {
				skipping.tag, skipping.depth = token.Data, 1
				w.block()
				continue
			}
			w.open(token.DataAtom)
		case html.EndTagToken:
			w.close(token.DataAtom)
		}
	}
	return w.String()
}

// invisible is what no reader shows.
var invisible = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Title: true, atom.Noscript: true,
	atom.Template: true, atom.Object: true, atom.Svg: true,
}

// extent is how much of the HTML belongs to a mail that is answered.
type extent int

const (
	nothing extent = iota
	element
	everything // from here on
)

// quoteClasses and the like are how mailers mark what they quote: Gmail, Apple
// Mail, Outlook, Yahoo, Thunderbird, Proton.
var (
	quoteClasses = []string{
		"gmail_quote", "gmail_quote_container", "gmail_attr", "gmail_extra", "gmail_signature", "yahoo_quoted",
		"moz-cite-prefix", "moz-signature", "protonmail_quote", "protonmail_signature_block",
	}
	quoteIDs = []string{"Signature", "ms-outlook-mobile-signature", "ymail_android_signature"}
	// restIDs begin the rest of the mail.
	restIDs = []string{"divRplyFwdMsg", "appendonsend", "mail-editor-reference-message-container", "reply-intro", "isForwardContent", "isReplyContent"}
)

func answered(t html.Token) extent {
	if t.DataAtom == atom.Blockquote {
		return element
	}
	for _, a := range t.Attr {
		switch a.Key {
		case "class":
			for class := range strings.FieldsSeq(a.Val) {
				if slices.Contains(quoteClasses, class) {
					return element
				}
			}
		case "id":
			// Outlook's web app puts x_ before the names of what it quotes.
			if slices.Contains(restIDs, a.Val) {
				return everything
			}
			if slices.Contains(quoteIDs, a.Val) {
				return element
			}
		}
	}
	return nothing
}

// writer puts text into lines as a browser would.
type writer struct {
	b strings.Builder
	// line is whether something stands on the last line, space whether a space
	// is to go before what comes next, and breaks how many line ends are.
	line, space bool
	breaks      int
	pre         int
}

func (w *writer) text(s string) {
	if w.pre > 0 {
		for i, line := range strings.Split(s, "\n") {
			if i > 0 {
				w.br()
			}
			if line != "" {
				w.put(line)
			}
		}
		return
	}
	for s != "" {
		rest := strings.TrimLeftFunc(s, isHTMLSpace)
		if len(rest) < len(s) {
			w.space = true
		}
		end := strings.IndexFunc(rest, isHTMLSpace)
		if end < 0 {
			end = len(rest)
		}
		if end > 0 {
			w.put(rest[:end])
		}
		s = rest[end:]
	}
}

// isHTMLSpace leaves out the no-break space.
func isHTMLSpace(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '\r' || r == '\f' }

func (w *writer) put(s string) {
	if w.b.Len() > 0 {
		for range min(w.breaks, 2) {
			w.b.WriteByte('\n')
		}
	}
	if w.space && w.line && w.breaks == 0 {
		w.b.WriteByte(' ')
	}
	w.breaks, w.space, w.line = 0, false, true
	w.b.WriteString(s)
}

// br ends the line, block too, if anything stands on it.
func (w *writer) br() { w.breaks++; w.line, w.space = false, false }

func (w *writer) block() {
	if w.line {
		w.breaks = max(w.breaks, 1)
		w.line, w.space = false, false
	}
}

// paragraph leaves an empty line.
func (w *writer) paragraph() {
	w.breaks = 2
	w.line, w.space = false, false
}

func (w *writer) open(a atom.Atom) {
	switch a {
	case atom.Br:
		w.br()
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote:
		w.paragraph()
	case atom.Hr:
		w.block()
		w.put(strings.Repeat("_", 32))
		w.block()
	case atom.Li:
		w.block()
		w.put("- ")
	case atom.Pre:
		w.block()
		w.pre++
	case atom.Td, atom.Th:
		w.space = true
	default:
		if blocks[a] {
			w.block()
		}
	}
}

func (w *writer) close(a atom.Atom) {
	switch a {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote:
		w.paragraph()
	case atom.Pre:
		w.pre = max(w.pre-1, 0)
		w.block()
	default:
		if blocks[a] {
			w.block()
		}
	}
}

var blocks = map[atom.Atom]bool{
	atom.Div: true, atom.Section: true, atom.Article: true, atom.Header: true, atom.Footer: true, atom.Ul: true, atom.Ol: true,
	atom.Table: true, atom.Tr: true, atom.Dl: true, atom.Dt: true, atom.Dd: true, atom.Address: true, atom.Center: true, atom.Body: true,
	atom.Li: true,
}

func (w *writer) String() string { return trimLines(w.b.String()) }
