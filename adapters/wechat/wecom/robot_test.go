package wecom

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

var discard = slog.New(slog.DiscardHandler)

// group is the far side of a robot.
type group struct {
	srv *httptest.Server

	mu     sync.Mutex
	posts  [][]byte
	answer map[string]any
	status int
}

const robotKey = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"

func newGroup(t *testing.T) *group {
	g := &group{}
	g.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		raw, _ := io.ReadAll(r.Body)
		answer := map[string]any{"errcode": 0, "errmsg": "ok"}
		switch {
		case g.status != 0:
			w.WriteHeader(g.status)
			return
		case g.answer != nil:
			answer = g.answer
		case r.URL.Path != "/cgi-bin/webhook/send" || r.URL.RawQuery != "key="+robotKey:
			answer = fault(93000, "invalid webhook url")
		default:
			g.posts = append(g.posts, raw)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(g.srv.Close)
	return g
}

func newRobot(t *testing.T, g *group, markdown bool) (*Robot, *host) {
	t.Helper()
	h := newHost()
	r, err := NewRobot(RobotConfig{WebhookURL: chat.Secret(g.srv.URL + "/cgi-bin/webhook/send?key=" + robotKey), Markdown: markdown}, h.env(t))
	if err != nil {
		t.Fatal(err)
	}
	return r, h
}

func TestRobotOnTheWire(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"text", "markdown"} {
		for name, m := range outbounds {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				g := newGroup(t)
				r, _ := newRobot(t, g, kind == "markdown")
				if _, err := r.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				var wire []byte
				for _, p := range g.posts {
					wire = append(wire, p...)
				}
				golden(t, "robot_"+kind+"_"+name, wire)
			})
		}
	}
}

// TestRobotFails sorts what can go wrong, and shows the address nowhere.
func TestRobotFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer map[string]any
		status int
		class  chat.Class
		after  time.Duration
	}{
		"too many":   {fault(45009, "api freq out of limit"), 0, chat.RateLimited, time.Minute},
		"no robot":   {fault(93000, "invalid webhook url, key: "+robotKey), 0, chat.Auth, 0},
		"busy":       {fault(-1, "system busy"), 0, chat.Temporary, 0},
		"too long":   {fault(40058, "content exceed max length"), 0, chat.Permanent, 0},
		"a gateway":  {nil, http.StatusBadGateway, chat.Temporary, 0},
		"no access":  {nil, http.StatusForbidden, chat.Auth, 0},
		"redirected": {nil, http.StatusFound, chat.Temporary, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGroup(t)
			g.answer, g.status = c.answer, c.status
			r, _ := newRobot(t, g, false)
			_, err := r.Send(t.Context(), chat.Outbound{ID: "a", Text: "hello"})
			se := chat.Classify(err)
			if err == nil || se.Class != c.class || se.RetryAfter != c.after {
				t.Errorf("%v after %s", err, se.RetryAfter)
			}
			if strings.Contains(err.Error(), robotKey) {
				t.Error("the robot's key is in the error")
			}
		})
	}
}

func TestRobotPace(t *testing.T) {
	t.Parallel()
	g := newGroup(t)
	r, h := newRobot(t, g, false)
	for range 20 {
		if _, err := r.Send(t.Context(), chat.Outbound{Text: "hello"}); err != nil {
			t.Fatal(err)
		}
	}
	long := chat.Outbound{ID: "long", Text: strings.Repeat("世", r.Capabilities().MaxBytes/3)}
	_, err := r.Send(t.Context(), long)
	se := chat.Classify(err)
	if se.Class != chat.RateLimited || se.RetryAfter < 30*time.Second {
		t.Fatalf("the 21st message: %v after %s", err, se.RetryAfter)
	}
	h.forward(se.RetryAfter)
	if _, err := r.Send(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if n := len(g.posts); n != 22 {
		t.Errorf("%d messages came, want 22: a long one is two", n)
	}
}

func TestWebhookRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "x", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=",
		"https://qyapi.weixin.qq.com/cgi-bin/message/send?key=a1b2c3", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a1b2c3&debug=1",
		"https://u:p@qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a1b2c3", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a1b2c3#x", "://\x7f",
	} {
		err := CheckWebhook(chat.Secret(raw))
		if err == nil || strings.Contains(err.Error(), "a1b2c3") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
