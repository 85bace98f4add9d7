package teams

import (
	"encoding/json"
	"fmt"
	"html"
	"regexp"
	"strings"

	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

// shown is an activity as people see it.
type shown struct {
	Text     string   // with the titles of its buttons, each on a line
	Notified []string // IDs of accounts
	// Orders are the commands of its buttons, by title.
	Orders map[string]string
}

// wire is what of an activity can be seen, read independently of what wrote it.
type wire struct {
	Type        string `json:"type"`
	Text        string `json:"text"`
	TextFormat  string `json:"textFormat"`
	Summary     string `json:"summary"`
	Attachments []struct {
		ContentType string  `json:"contentType"`
		Content     element `json:"content"`
	} `json:"attachments"`
	Entities []struct {
		Type      string `json:"type"`
		Text      string `json:"text"`
		Mentioned struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"mentioned"`
	} `json:"entities"`
}

// element is any part of an Adaptive Card.
type element struct {
	Type    string          `json:"type"`
	Version string          `json:"version"`
	Text    string          `json:"text"`
	Title   string          `json:"title"`
	Items   []element       `json:"items"`
	Inlines []element       `json:"inlines"`
	Body    []element       `json:"body"`
	Actions []element       `json:"actions"`
	Data    json.RawMessage `json:"data"`
	Teams   struct {
		Entities []any `json:"entities"`
	} `json:"msteams"`
	URL          string `json:"url"`
	SelectAction any    `json:"selectAction"`
}

// tags are those of XML that a text may have.
var tags = regexp.MustCompile(`<[^>]*>`)

// asShown reads an activity as Teams would. It fails for what could be markup
// that nobody wrote on purpose.
func asShown(body []byte) (shown, error) {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return shown{}, err
	}
	s := shown{Orders: make(map[string]string)}
	text := w.Text
	if text != "" && w.TextFormat != "xml" {
		return s, fmt.Errorf("the text is of the format %q", w.TextFormat)
	}
	for _, e := range w.Entities {
		if e.Type != "mention" || !strings.Contains(text, e.Text) {
			return s, fmt.Errorf("the entity %+v has no part in %q", e, text)
		}
		text = strings.Replace(text, e.Text, html.EscapeString(e.Mentioned.Name), 1)
		s.Notified = append(s.Notified, e.Mentioned.ID)
	}
	if n := strings.Count(text, "<pre>"); n > 1 || n != strings.Count(text, "</pre>") || strings.Index(text, "</pre>") < strings.Index(text, "<pre>") {
		return s, fmt.Errorf("what keeps its columns does not begin and end once: %.200q", text)
	}
	for _, tag := range tags.FindAllString(text, -1) {
		if tag != "<br/>" && tag != "<pre>" && tag != "</pre>" {
			return s, fmt.Errorf("there is the tag %s in %.200q", tag, text)
		}
	}
	// A block stands on lines of its own.
	text = strings.ReplaceAll(strings.TrimPrefix(text, "<pre>"), "<pre>", "\n")
	text = strings.ReplaceAll(strings.TrimSuffix(text, "</pre>"), "</pre>", "\n")
	text = strings.ReplaceAll(text, "<br/>", "\n")
	if strings.ContainsAny(text, "<>*_`[]{}") {
		return s, fmt.Errorf("there is markup in %.200q", text)
	}
	lines := []string{html.UnescapeString(text)}
	for _, a := range w.Attachments {
		if a.ContentType != "application/vnd.microsoft.card.adaptive" || a.Content.Type != "AdaptiveCard" || a.Content.Version != "1.5" {
			return s, fmt.Errorf("the attachment is %s, %s %s", a.ContentType, a.Content.Type, a.Content.Version)
		}
		if err := a.Content.read(&lines, s.Orders); err != nil {
			return s, err
		}
	}
	s.Text = strings.ReplaceAll(strings.Join(lines, "\n"), "\u00a0", " ")
	return s, nil
}

func (e element) read(lines *[]string, orders map[string]string) error {
	if len(e.Teams.Entities) > 0 || e.URL != "" || e.SelectAction != nil {
		return fmt.Errorf("a card mentions, links or shows an image: %+v", e)
	}
	switch e.Type {
	case "AdaptiveCard", "Container":
		for _, part := range append(e.Body, e.Items...) {
			if err := part.read(lines, orders); err != nil {
				return err
			}
		}
		for _, action := range e.Actions {
			var data struct {
				Command string `json:"command"`
			}
			if err := json.Unmarshal(action.Data, &data); err != nil || action.Type != "Action.Execute" {
				return fmt.Errorf("the action %s has the data %s (%w)", action.Type, action.Data, err)
			}
			*lines, orders[action.Title] = append(*lines, action.Title), data.Command
		}
	case "RichTextBlock":
		line := ""
		for _, run := range e.Inlines {
			if run.Type != "TextRun" || run.SelectAction != nil {
				return fmt.Errorf("a paragraph has the part %+v", run)
			}
			line += run.Text
		}
		*lines = append(*lines, line)
	default: // a TextBlock among them, whose text would be Markdown
		return fmt.Errorf("a card has a part of the type %q", e.Type)
	}
	return nil
}

// displayed is how text of a message without a card is to be seen.
func displayed(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(chat.Readable(text), "\t", "    "), "\u00a0", " ")
}

// displayedOutput is how output on a card is to be seen.
func displayedOutput(text string) string {
	return strings.ReplaceAll(aligned(text), "\u00a0", " ")
}

// message is an activity with a text alone.
func message(text string) schema.Activity {
	return schema.Activity{Type: schema.Message, Text: text, TextFormat: schema.XML}
}
