package chattest

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// awkward are texts that channels garble.
func awkward() map[string]string {
	return map[string]string{
		"markup":        `<b>bold</b> & "quotes" *stars* _lines_ ~waves~ [link](http://example.com) \back` + "`slash`",
		"entities":      "&lt;b&gt; &amp;amp; &#60; &nbsp;",
		"mentions":      "@channel @everyone <!channel> <!here> <!subteam^S0123> <@U0123> <#C0123> <at>Ada</at> @all",
		"links":         "<https://example.com|a bank> https://example.com/?a=1&b=2#c mailto:ada@example.com",
		"fences":        "a ``` b ```` c ~~~ d ` e",
		"lines":         "one\n> two\n- three\n# four\n1. five\n\n| six |",
		"emoji":         "👋🏽 👨‍👩‍👧 🇩🇪 :smile:",
		"right to left": "שלום עולם مرحبا",
		"wide":          "你好，世界",
		"combining":     "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤ e\u0301",
		"zero width":    "a\u200bb\u200dc\u2060d\ufeffe",
		"blanks":        "two  blanks and\ta tab",
		"template":      "{{.Text}} ${x} $(id) %s %00 <% x %> \\u0041",
		"long":          strings.Repeat("0123456789 abcdefghij ", 100<<10/22),
	}
}

// spoken is the text that a person can write: of one line, as all channels
// take it.
func spoken() map[string]string {
	texts := awkward()
	delete(texts, "lines")
	return texts
}

// cut returns the beginning of text, at most limit bytes of it; 0 is all.
func cut(text string, limit int) string {
	if limit <= 0 || len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// excerpt keeps failures readable.
func excerpt(text string) string {
	const most = 200
	if len(text) <= most {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("%q… (%d bytes)", cut(text, most), len(text))
}
