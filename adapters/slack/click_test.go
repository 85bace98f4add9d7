package slack

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/letserverrun/skadi/core/chat/chattest"
)

// changed makes a delivery of a click with another payload.
func changed(t *testing.T, d delivery, change func(p map[string]any)) delivery {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal(d.payload, &p); err != nil {
		t.Fatal(err)
	}
	change(p)
	return interactionOf(p)
}

func TestClick(t *testing.T) {
	d := setup(t, ModeHTTP)
	card := post{Channel: "C0001", Thread: "1700000000.000001", TS: "1700000100.000000"}
	click := func(who int) delivery { return d.click(card, actionPrefix+"0", "cancel k7f3q2", who) }

	// Of a conversation that Skadi is not known to be in, it answers as a guest.
	d.takes(t, click(0), http.StatusOK)
	first := d.only(t)
	if c, err := conversationOf(first.Conversation); err != nil || !c.Guest || c.ResponseURL == "" || c.Thread != card.Thread {
		t.Errorf("it will be answered at %+v (%v)", c, err)
	}
	d.takes(t, d.event(d.messageFields(chattest.Message{}, "hello")), http.StatusOK)
	d.takes(t, click(0), http.StatusOK)
	second := d.only(t)
	if second.ID != first.ID {
		t.Errorf("a double click came as %q and as %q", first.ID, second.ID)
	}
	if c, err := conversationOf(second.Conversation); err != nil || c.Guest || c.ResponseURL != "" || c.Asked != "" {
		t.Errorf("where Skadi is a member it will be answered at %+v (%v)", c, err)
	}
	d.takes(t, click(1), http.StatusOK)
	if third := d.only(t); third.ID == first.ID || third.Sender.User != person(1) {
		t.Errorf("the click of another came as %+v", third)
	}
	card.TS = "1700000200.000000"
	d.takes(t, click(0), http.StatusOK)
	if other := d.only(t); other.ID == first.ID {
		t.Error("a click on the next card is taken for the same")
	}
}

func TestWhoseClick(t *testing.T) {
	d := setup(t, ModeHTTP)
	card := post{Channel: "C0001", Thread: "1700000000.000001", TS: "1700000100.000000"}
	good := d.click(card, actionPrefix+"0", "cancel k7f3q2", 0)
	for _, c := range []struct {
		name   string
		change func(p map[string]any)
		status int
		want   string // the principal
	}{
		{"of here", func(map[string]any) {}, 200, "work:T0001/U0000"},
		{"from another organization, on the bot's card", func(p map[string]any) {
			p["team"] = map[string]any{"id": "T0EXT"}
			p["user"] = map[string]any{"id": "U0EVE", "team_id": "T0EXT"}
		}, 200, "work:T0EXT/U0EVE"},
		{"without a home, here", func(p map[string]any) { p["user"] = map[string]any{"id": "U0001"} }, 200, "work:T0001/U0001"},
		{"without a home, elsewhere", func(p map[string]any) {
			p["team"] = map[string]any{"id": "T0EXT"}
			p["user"] = map[string]any{"id": "U0001"}
		}, 403, ""},
		{"on somebody else's message, elsewhere", func(p map[string]any) {
			p["team"] = map[string]any{"id": "T0002"}
			p["message"] = map[string]any{"ts": card.TS, "user": "U0OTHER"}
		}, 403, ""},
		{"no message", func(p map[string]any) { p["message"], p["container"] = nil, map[string]any{"type": "message"} }, 400, ""},
		{"nobody", func(p map[string]any) { p["user"] = nil }, 400, ""},
		{"a button of another kind", func(p map[string]any) {
			p["actions"] = []map[string]any{{"type": "button", "action_id": "open", "value": "cancel k7f3q2"}}
		}, 200, ""},
		{"a menu", func(p map[string]any) {
			p["actions"] = []map[string]any{{"type": "static_select", "action_id": actionPrefix + "0", "value": "cancel k7f3q2"}}
		}, 200, ""},
		{"a view that was sent", func(p map[string]any) { p["type"] = "view_submission" }, 200, ""},
		{"nothing was clicked", func(p map[string]any) { p["actions"] = nil }, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.takes(t, changed(t, good, c.change), c.status)
			if c.want == "" {
				d.none(t)
			} else if got := d.only(t); got.Sender.Principal() != c.want {
				t.Errorf("it came from %s, want %s", got.Sender.Principal(), c.want)
			}
		})
	}
}

// Somebody's page has no channel: the answer is a direct message.
func TestClickOnThePage(t *testing.T) {
	d := setup(t, ModeHTTP)
	click := func(hash string) delivery {
		return changed(t, d.click(post{}, actionPrefix+"3", "rerun k7f3q2", 0), func(p map[string]any) {
			p["container"] = map[string]any{"type": "view", "view_id": "V0001"}
			p["view"] = map[string]any{"id": "V0001", "hash": hash, "type": "home"}
			p["message"], p["channel"], p["response_url"] = nil, nil, ""
		})
	}
	d.takes(t, click("1.a"), http.StatusOK)
	first := d.only(t)
	if first.Text != "rerun k7f3q2" || !first.Direct || first.Conversation.Channel != person(0) || first.Conversation.Quota != nil {
		t.Errorf("it came as %+v", first)
	}
	d.takes(t, click("1.a"), http.StatusOK)
	if again := d.only(t); again.ID != first.ID {
		t.Error("a double click is not known as such")
	}
	d.takes(t, click("1.b"), http.StatusOK)
	if next := d.only(t); next.ID == first.ID {
		t.Error("a click after the page was drawn again is taken for the same")
	}
	d.refuses(errors.New("the disk is full"))
	d.takes(t, click("1.c"), http.StatusServiceUnavailable)
}

// The answer to a click is shown to nobody, so whoever clicked in vain is told
// in another way.
func TestClickNotStored(t *testing.T) {
	for _, mode := range []string{ModeHTTP, ModeSocket} {
		for name, change := range map[string]func(p map[string]any){
			"by the response_url": func(map[string]any) {},
			"without one":         func(p map[string]any) { p["response_url"] = "" },
		} {
			t.Run(mode+" "+name, func(t *testing.T) {
				d := setup(t, mode)
				d.refuses(errors.New("the disk is full: /var/lib/skadi"))
				card := post{Channel: "C0001", Thread: "1700000000.000001", TS: "1700000100.000000"}
				d.takes(t, changed(t, d.click(card, actionPrefix+"0", "cancel k7f3q2", 1), change), http.StatusOK)
				told := eventually(t, func() (post, bool) {
					all := d.shown()
					if len(all) == 0 {
						return post{}, false
					}
					return all[0], true
				})
				if told.Text != notTaken && told.Text != escaped.Replace(notTaken) || told.User != person(1) || told.Thread != card.Thread {
					t.Errorf("somebody was told %+v", told)
				}
			})
		}
	}
}
