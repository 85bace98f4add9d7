package strictyaml

import (
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"
)

// rejoin puts plain text such as group:ops together again. YAML splits text at
// a colon only if white space follows, but within braces this lexer always
// does (github.com/goccy/go-yaml/issues/832), so that a rule written as
// {who: [group:ops, token:*]} would mean something else.
//
// Keys of a flow mapping stay split: {a:b} is a slip for {a: b} and nothing
// else that a config could mean.
func rejoin(tokens token.Tokens) token.Tokens {
	var joined token.Tokens
	var open []token.Type
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open = append(open, t.Type)
		case token.SequenceEndType, token.MappingEndType:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case token.StringType:
			if len(open) == 0 || open[len(open)-1] != token.SequenceStartType {
				break
			}
			if end := splitText(tokens[i:]); end > 0 {
				t = joinText(tokens[i : i+end])
				i += end - 1
			}
		default:
		}
		joined.Add(t)
	}
	return joined
}

// splitText returns how many of the tokens are one text that was split at its
// colon; 0 if the first is not such a text.
func splitText(tokens token.Tokens) int {
	if len(tokens) < 3 || tokens[1].Type != token.MappingValueType || !adjacent(tokens[0], tokens[1]) || !adjacent(tokens[1], tokens[2]) {
		return 0
	}
	switch tokens[2].Type {
	case token.AliasType: // the * of account:*
		if len(tokens) > 3 && tokens[3].Type == token.StringType && adjacent(tokens[2], tokens[3]) {
			return 4
		}
		return 3
	case token.StringType, token.IntegerType, token.FloatType, token.BoolType, token.NullType,
		token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType, token.InfinityType, token.NanType:
		return 3
	default:
		return 0
	}
}

// adjacent reports whether b begins where the text of a ends.
func adjacent(a, b *token.Token) bool {
	return a.Position.Line == b.Position.Line &&
		a.Position.Column+utf8.RuneCountInString(a.Value) == b.Position.Column
}

func joinText(parts token.Tokens) *token.Token {
	var value, origin string
	for _, p := range parts {
		value += p.Value
		origin += p.Origin
	}
	return token.String(value, origin, parts[0].Position)
}
