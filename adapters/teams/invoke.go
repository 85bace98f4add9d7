package teams

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// cardAction is the invoke of a click on Action.Execute, and of a card that
// refreshes itself:
// https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model
const cardAction = "adaptiveCard/action"

// The types of an answer to cardAction.
const (
	messageAnswer = "application/vnd.microsoft.activity.message"
	errorAnswer   = "application/vnd.microsoft.error"
)

// invokeAnswer is the body that answers cardAction. Its status counts; that of
// HTTP only says that there is an answer, and Teams delivers again whatever has
// another than 200.
type invokeAnswer struct {
	StatusCode int    `json:"statusCode"`
	Type       string `json:"type"`
	Value      any    `json:"value"`
}

// invokeError is the value of an errorAnswer.
type invokeError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// told answers a click with a sentence that Teams shows below the card.
func told(text string) verdict {
	return verdict{status: http.StatusOK, body: invokeAnswer{StatusCode: http.StatusOK, Type: messageAnswer, Value: text}}
}

// failed answers a click that nothing comes of.
func failed(status int, text string) verdict {
	code := strings.ReplaceAll(http.StatusText(status), " ", "")
	return verdict{status: http.StatusOK, body: invokeAnswer{
		StatusCode: status, Type: errorAnswer, Value: invokeError{Code: code, Message: text},
	}}
}

// clicked returns the command of a click on a button, and whether the value of
// the activity is one. Clients that do not know Action.Execute send the
// button's data alone, as a message without text.
func (in *incoming) clicked() (command string, ok bool) {
	data := in.Value
	if action, nested := in.Value["action"].(map[string]any); nested {
		data, _ = action["data"].(map[string]any)
	}
	command, ok = data["command"].(string)
	return command, ok && strings.TrimSpace(command) != ""
}

// automatic says that no person clicked: a card that somebody looks at asks to
// be renewed.
func (in *incoming) automatic() bool {
	trigger, _ := in.Value["trigger"].(string)
	return strings.EqualFold(trigger, "automatic")
}

// clickID is the dedupe key of a click: the same person, the same button of the
// same message. Every invoke has an ID of its own, also the second of a double
// click.
func (in *incoming) clickID(command string) string {
	on := in.ReplyToID
	if on == "" {
		on = in.ID
	}
	h := sha256.New()
	for _, part := range []string{in.Conversation.ID, on, in.home, strings.ToLower(in.From.AadObjectID), command} {
		_, _ = h.Write([]byte(part + "\x00"))
	}
	return "click " + hex.EncodeToString(h.Sum(nil))
}
