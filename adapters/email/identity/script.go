package identity

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// confusing says what makes a domain look like another, or nothing.
func confusing(domain string) string {
	for label := range strings.SplitSeq(domain, ".") {
		if !strings.HasPrefix(label, "xn--") {
			continue
		}
		shown, err := idna.Lookup.ToUnicode(label)
		if err != nil {
			return "is no domain as it should be written"
		}
		if back, err := idna.Lookup.ToASCII(shown); err != nil || back != label {
			return "is not what it shows"
		}
		if why := mixed(shown); why != "" {
			return why
		}
	}
	return ""
}

// together are scripts that people write in one word.
var together = [][]string{
	{"Han", "Hiragana", "Katakana", "Latin"}, {"Han", "Hangul", "Latin"}, {"Han", "Bopomofo", "Latin"},
}

// mixed applies what Unicode calls highly restrictive (UTS 39): one script, or
// those of East Asia, with Latin; and no word all of whose letters look Latin.
func mixed(label string) string {
	scripts := map[string]bool{}
	latinLike := true
	for _, r := range label {
		name := script(r)
		if name == "" {
			continue // digits, hyphens, marks
		}
		scripts[name] = true
		latinLike = latinLike && strings.ContainsRune(looksLatin, r)
	}
	if len(scripts) > 1 && !anyHolds(scripts) {
		return "mixes scripts"
	}
	if latinLike && len(scripts) == 1 && !scripts["Latin"] {
		return "is written in another script and looks like Latin"
	}
	if scripts["Latin"] && strings.ContainsAny(label, "ıɑɡʟɩɪʀʏᴀᴄᴇᴊᴋᴍɴᴏᴘꜱᴛᴜᴠᴡᴢƽǃǀ") {
		return "has letters that look like others"
	}
	return ""
}

func anyHolds(scripts map[string]bool) bool {
	for _, group := range together {
		n := 0
		for _, name := range group {
			if scripts[name] {
				n++
			}
		}
		if n == len(scripts) {
			return true
		}
	}
	return false
}

// script names the script of a letter; nothing for what all share.
func script(r rune) string {
	if unicode.Is(unicode.Common, r) || unicode.Is(unicode.Inherited, r) {
		return ""
	}
	for _, known := range []string{"Latin", "Cyrillic", "Greek", "Han", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Arabic", "Hebrew", "Armenian", "Thai", "Devanagari"} {
		if unicode.Is(unicode.Scripts[known], r) {
			return known
		}
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "unknown"
}

// looksLatin are small letters of other scripts that look like Latin ones.
const looksLatin = "асԁеһіјӏорԛѕԝхуүѵґкмтгпиьвѡзбо" + // Cyrillic
	"αγεικνορτυωχηϳ" + // Greek
	"օոսցհզաքյ" + // Armenian
	"ⲟⲣⲥ" // Coptic
