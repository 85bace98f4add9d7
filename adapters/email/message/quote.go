package message

import (
	"regexp"
	"strings"
	"unicode"
)

// cut takes out of a text the mail that it answers, and the signature. What
// stands below a quote counts only if nothing stands above it.
func cut(s string) string {
	lines := strings.Split(s, "\n")
	above := lines
	var below []string
	if start, end := findQuote(lines); start >= 0 {
		above, below = lines[:start], lines[end:]
	}
	if text := tidy(above); text != "" {
		return text
	}
	return tidy(below)
}

// tidy takes the quoted lines and the signature out.
func tidy(lines []string) string {
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if isSignatureMark(line) {
			break
		}
		if !isQuoted(line) {
			kept = append(kept, strings.TrimRight(line, " \t"))
		}
	}
	return strings.Trim(strings.Join(withoutMobile(kept), "\n"), "\n \t")
}

// findQuote finds where the mail that is answered begins, together with the
// lines that introduce it, and where it ends: behind its last line with a >, or
// at the end of the text if its lines are not marked. Start is -1 if there is
// none.
func findQuote(lines []string) (start, end int) {
	for i, line := range lines {
		if isDivider(line) || isHeaderBlock(lines[i:]) {
			return withRule(lines, i), len(lines)
		}
		n := introduction(lines[i:])
		if n == 0 {
			continue
		}
		end = i + n
		marked := false
		for j := end; j < len(lines); j++ {
			switch {
			case isQuoted(lines[j]):
				marked = true
				end = j + 1
			case strings.TrimSpace(lines[j]) != "" && !marked:
				return i, len(lines) // its lines are not marked
			}
		}
		return i, end
	}
	return -1, 0
}

// withRule takes the line above a header block in that Outlook draws.
func withRule(lines []string, i int) int {
	for i > 0 && (strings.TrimSpace(lines[i-1]) == "" || isRule(lines[i-1])) {
		i--
	}
	return i
}

func isQuoted(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), ">") }

func isRule(line string) bool {
	line = strings.TrimSpace(line)
	return len(line) >= 10 && (strings.Trim(line, "_") == "" || strings.Trim(line, "-") == "")
}

// isSignatureMark reports whether the line begins a signature: "-- ", which
// many lose the space of.
func isSignatureMark(line string) bool { return line == "-- " || line == "--" || line == "—" }

// isDivider reports whether the line says that another mail follows, as Outlook
// and those who forward write it.
func isDivider(line string) bool {
	line = strings.TrimSpace(line)
	words := strings.ToLower(strings.TrimSpace(strings.Trim(line, "-_* ")))
	if len(words) > 80 {
		return false
	}
	dashed := strings.HasPrefix(line, "--") || strings.HasPrefix(line, "__")
	if dashed && dividers[words] {
		return true
	}
	return forwards[strings.TrimSuffix(words, ":")] && (dashed || strings.HasSuffix(line, ":"))
}

// isHeaderBlock reports whether lines begin with the header of another mail:
// From, and at least two of Sent, To and Subject in the lines below.
func isHeaderBlock(lines []string) bool {
	kind, ok := headerLabel(lines[0])
	if !ok || kind != labelFrom {
		return false
	}
	seen := map[label]bool{}
	for _, line := range lines[1:min(len(lines), 8)] {
		if kind, ok := headerLabel(line); ok && kind != labelFrom {
			seen[kind] = true
		}
	}
	return len(seen) >= 2
}

func headerLabel(line string) (label, bool) {
	line = strings.TrimLeft(line, " \t*")
	name, _, found := cutAtColon(line)
	if !found || len(name) > 40 {
		return 0, false
	}
	kind, ok := labels[strings.ToLower(strings.TrimSpace(strings.Trim(name, "*")))]
	return kind, ok
}

// cutAtColon knows the colon of East Asia too.
func cutAtColon(s string) (before, after string, found bool) {
	i := strings.IndexAny(s, ":：")
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// introduction returns how many lines say who wrote what follows and when: "On
// Monday, Alice <alice@example.com> wrote:", which mailers break where they
// like. 0 if the first line begins none.
func introduction(lines []string) int {
	first := strings.TrimSpace(lines[0])
	if first == "" {
		return 0
	}
	joined := ""
	for n := 1; n <= min(len(lines), 4); n++ {
		line := strings.TrimSpace(lines[n-1])
		if line == "" || isQuoted(lines[n-1]) {
			return 0
		}
		joined = strings.TrimSpace(joined + " " + line)
		if len(joined) > 400 {
			return 0
		}
		if !strings.HasSuffix(joined, ":") && !strings.HasSuffix(joined, "：") {
			continue
		}
		if isIntroduction(joined) {
			return n
		}
		return 0
	}
	return 0
}

// isIntroduction asks for a date or an address beside the words, so that no
// sentence of a person's looks like one.
func isIntroduction(line string) bool {
	digits := strings.ContainsFunc(line, unicode.IsDigit)
	if !digits && !strings.Contains(line, "@") {
		return false
	}
	for _, intro := range introductions {
		if intro.MatchString(line) {
			return true
		}
	}
	return false
}

// withoutMobile takes off the line that phones and mail programs add about
// themselves, if it is the last.
func withoutMobile(lines []string) []string {
	last := len(lines) - 1
	for last >= 0 && strings.TrimSpace(lines[last]) == "" {
		last--
	}
	if last < 0 {
		return lines
	}
	line := strings.TrimSpace(lines[last])
	for _, pattern := range mobile {
		if len(line) <= 100 && pattern.MatchString(line) {
			return lines[:last]
		}
	}
	return lines
}

// anyOf makes one expression of those, each for the whole line.
func anyOf(patterns ...string) []*regexp.Regexp {
	all := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		all[i] = regexp.MustCompile(`(?is)^(?:` + p + `)$`)
	}
	return all
}
