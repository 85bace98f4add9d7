package slack

import (
	"strings"
	"unicode"
)

// unescape undoes the only three escapes that Slack makes:
// https://docs.slack.dev/messaging/formatting-message-text#escaping
var unescape = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")

// typed returns the text of a message as its author typed it. Slack puts what
// it recognized, such as people, channels and links, between < and >; all other
// such characters it escapes.
func typed(text string) string {
	if !strings.ContainsAny(text, "<&") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "<")
		b.WriteString(unescape.Replace(before))
		if !ok {
			return b.String()
		}
		as, known := "", false
		end := strings.IndexAny(rest, "<>")
		if end >= 0 && rest[end] == '>' {
			as, known = recognized(rest[:end])
		}
		if !known { // it is nothing of Slack's
			b.WriteByte('<')
			text = rest
			continue
		}
		b.WriteString(unescape.Replace(as))
		text = rest[end+1:]
	}
}

// recognized returns what somebody typed for Slack to make this of it, still
// escaped: https://docs.slack.dev/messaging/formatting-message-text#retrieved
func recognized(inner string) (as string, ok bool) {
	what, label, _ := strings.Cut(inner, "|")
	switch {
	case len(what) < 2:
		return "", false
	case what[0] == '@':
		return labeled("@", label, what[1:]), true
	case what[0] == '#':
		return labeled("#", label, what[1:]), true
	case what[0] == '!':
		return special(what[1:], label)
	}
	return link(what, label)
}

// special is a group of people, or a date.
func special(what, label string) (as string, ok bool) {
	name, id, _ := strings.Cut(what, "^")
	switch name {
	case "subteam":
		return labeled("@", label, id), true
	case "here", "channel", "everyone":
		return labeled("@", "", name), true
	}
	return label, label != ""
}

func labeled(sign, label, otherwise string) string {
	if label == "" {
		label = otherwise
	}
	return sign + strings.TrimPrefix(label, sign)
}

// link is an address. Slack makes links of what looks like one, and labels
// those that were typed without their scheme. Other labels were put on a link
// by hand, and what was meant is where it leads.
func link(target, label string) (as string, ok bool) {
	scheme, rest, ok := strings.Cut(target, ":")
	if !ok || rest == "" || !isScheme(scheme) {
		return "", false
	}
	if label != "" && (target == scheme+":"+label || target == scheme+"://"+label || target == scheme+"://"+label+"/") {
		return label, true
	}
	if label != "" && scheme == "tel" {
		return label, true
	}
	return target, true
}

func isScheme(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+.-", r)) {
			return false
		}
	}
	return s != ""
}

// mentioned reports whether the text of a message, as Slack sends it, mentions
// a user.
func mentioned(text, user string) bool {
	_, _, ok := cutMention(text, user)
	return ok
}

// cutMention cuts the text around the first mention of a user.
func cutMention(text, user string) (before, after string, ok bool) {
	tag := "<@" + user
	for at := 0; ; {
		i := strings.Index(text[at:], tag)
		if i < 0 {
			return text, "", false
		}
		start := at + i
		rest := text[start+len(tag):]
		if end := strings.IndexByte(rest, '>'); end == 0 || end > 0 && rest[0] == '|' {
			return text[:start], rest[end+1:], true
		}
		at = start + len(tag)
	}
}

// withoutMention takes a user's mention out of the text of a message: those
// at its beginning, with the colon or comma of an address, or else the first.
func withoutMention(text, user string) string {
	for {
		before, after, ok := cutMention(text, user)
		switch {
		case !ok:
			return text
		case strings.TrimSpace(before) != "":
			return join(before, after)
		}
		if after != "" && (after[0] == ':' || after[0] == ',') {
			after = after[1:]
		}
		text = strings.TrimLeftFunc(after, unicode.IsSpace)
		if b, _, again := cutMention(text, user); !again || b != "" {
			return text
		}
	}
}

// join closes the gap that a mention leaves.
func join(before, after string) string {
	trimmed := strings.TrimLeft(after, " ")
	if trimmed == "" {
		return strings.TrimRightFunc(before, unicode.IsSpace)
	}
	if strings.HasSuffix(before, " ") {
		return before + trimmed
	}
	// What is around it must not become a mention in its turn.
	if open := strings.LastIndexAny(before, "<>"); open >= 0 && before[open] == '<' {
		return before + " " + trimmed
	}
	return before + after
}
