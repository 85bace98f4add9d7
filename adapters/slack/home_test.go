package slack

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// viewer shows one agent to whoever asks.
type viewer struct {
	err    error
	who    chat.Sender
	groups []string
}

func (v *viewer) Overview(_ context.Context, who chat.Sender, groups []string) (chat.Overview, error) {
	v.who, v.groups = who, groups
	return chat.Overview{Agents: []chat.AgentState{{Name: "web-1", Online: true}}}, v.err
}

// TestPublish checks that a page is drawn for whoever opened it, with what they
// may see.
func TestPublish(t *testing.T) {
	t.Parallel()
	b := startBot(t)
	v := &viewer{}
	env := b.env
	env.Viewer = v
	h := newHome(b.api, env)
	if err := h.Publish(t.Context(), ada, []string{"T0001/S0001"}); err != nil {
		t.Fatal(err)
	}
	if v.who != ada || len(v.groups) != 1 {
		t.Errorf("what %+v in %q may see was drawn", v.who, v.groups)
	}
	var got struct {
		User string `json:"user_id"`
		View struct {
			Type   string            `json:"type"`
			Blocks []json.RawMessage `json:"blocks"`
		} `json:"view"`
	}
	c := b.one(t, "views.publish")
	if err := json.Unmarshal([]byte(c.body), &got); err != nil {
		t.Fatal(err)
	}
	if got.User != ada.User || got.View.Type != "home" || len(got.View.Blocks) == 0 || !strings.Contains(c.body, "web-1") {
		t.Errorf("it was drawn as %s", c.body)
	}

	v.err = errors.New("the database is away")
	if err := h.Publish(t.Context(), ada, nil); !errors.Is(err, v.err) {
		t.Errorf("Publish: %v", err)
	}
	b.none(t, "views.publish")

	v.err = nil
	b.answering("views.publish", refused("not_enabled"))
	if err := h.Publish(t.Context(), ada, nil); chat.Classify(err).Class != chat.Permanent || !strings.Contains(err.Error(), "Home Tab") {
		t.Errorf("Publish: %v", err)
	}
	if err := newHome(b.api, b.env).Publish(t.Context(), ada, nil); err == nil {
		t.Error("without a viewer nothing was tried")
	}
}
