package teams

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

func TestIDOfWhatWasSentIsReturned(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	ref := mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	if ref.ID != "1:message-1" {
		t.Errorf("the reference is %+v", ref)
	}
	ref = mustSend(t, s, chat.Outbound{ID: "b", To: far.place(), Text: "hello again", Edit: &ref})
	if call := far.got()[1]; call.Method != http.MethodPut || !strings.HasSuffix(call.Path, "/activities/1:message-1") {
		t.Errorf("the edit was %s %s", call.Method, call.Path)
	}
	if ref.ID == "" {
		t.Error("an edit loses the reference")
	}
}

func TestAnEditIsKnownByItsOldIDWhereNoneIsReturned(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	ref := mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	far.answers(http.StatusOK, "")
	for _, text := range []string{"one", "two"} {
		ref = mustSend(t, s, chat.Outbound{ID: text, To: far.place(), Text: text, Edit: &ref})
		if ref.ID != "1:message-1" {
			t.Fatalf("the reference is %+v", ref)
		}
	}
}

func TestRepliesAreAddressedByWhatTheyReplyTo(t *testing.T) {
	t.Parallel()
	far := newService(t)
	s := far.sender(t)
	mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	mustSend(t, s, chat.Outbound{ID: "b", To: far.place(func(c *conversation) { c.Asked = "" }), Text: "hello"})
	for i, want := range []string{
		"/amer/v3/conversations/a:1conversation/activities/1700000000001",
		"/amer/v3/conversations/a:1conversation/activities",
	} {
		if call := far.got()[i]; call.Method != http.MethodPost || call.Path != want {
			t.Errorf("it was %s %s, want POST %s", call.Method, call.Path, want)
		}
	}
}

func TestIDsAreEscaped(t *testing.T) {
	t.Parallel()
	const slash = "a:1/../x?y#z%2Fä;messageid=1&b=+ c"
	for name, id := range map[string]string{
		"thread": "19:abc_def@thread.tacv2;messageid=1700000000001",
		"odd":    slash,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			mustSend(t, far.sender(t), chat.Outbound{ID: "a", To: far.place(func(c *conversation) { c.ID, c.Asked = id, slash }), Text: "hello"})
			parts := strings.Split(far.got()[0].Path, "/")
			if len(parts) != 7 {
				t.Fatalf("the path is %q", parts)
			}
			for i, want := range map[int]string{4: id, 6: slash} {
				if got, err := url.PathUnescape(parts[i]); err != nil || got != want {
					t.Errorf("the ID is %q, want %q (%v)", got, want, err)
				}
			}
		})
	}
	for _, id := range []string{".", "..", ""} {
		if u, err := activitiesURL("https://smba.trafficmanager.net/amer", id, ""); err == nil {
			t.Errorf("the ID %q makes %s", id, u)
		}
	}
	c := &call{}
	for _, err := range []error{c.UpdateActivity(schema.Activity{}), c.DeleteActivity(schema.Activity{}), c.SendActivity(schema.Activity{})} {
		isClass(t, err, chat.Permanent, 0)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	far := newService(t)
	far.answers(http.StatusNoContent, "")
	c := &call{connector: far.sender(t).connector, ctx: t.Context()}
	a := message("")
	a.ID, a.ServiceURL, a.Conversation.ID = "1:x", far.URL, "a:1"
	if err := c.DeleteActivity(a); err != nil {
		t.Fatal(err)
	}
	if got := far.got()[0]; got.Method != http.MethodDelete || got.Path != "/v3/conversations/a:1/activities/1:x" || len(got.Body) > 0 {
		t.Errorf("it was %+v", got)
	}
}

func TestTheTokenGoesToAllowedHostsOnly(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"another host":     "https://evil.example/amer",
		"a host below":     "https://smba.trafficmanager.net.evil.example/",
		"a host above":     "https://evil.smba.trafficmanager.net/",
		"a user":           "https://smba.trafficmanager.net@evil.example/",
		"another port":     "https://smba.trafficmanager.net:8443/",
		"without TLS":      "http://smba.trafficmanager.net/amer",
		"this machine":     "http://127.0.0.1:1/",
		"nonsense":         "smba.trafficmanager.net",
		"a query":          "https://smba.trafficmanager.net/?x=",
		"another protocol": "file:///etc/passwd",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			cfg := far.config()
			cfg.ServiceHosts, cfg.AllowHTTPLoopback, cfg.TokenURL = nil, false, ""
			env := far.env()
			env.HTTP.Transport = refusing{t}
			_, err := send(t.Context(), t, newSender(cfg, env), chat.Outbound{
				ID: "a", To: far.place(func(c *conversation) { c.ServiceURL = address }), Text: "hello",
			})
			isClass(t, err, chat.Permanent, 0)
		})
	}
}

// refusing fails the test if anything is called.
type refusing struct{ t *testing.T }

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	r.t.Errorf("%s was called", req.URL.Host)
	return nil, errors.New("refused")
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed with %v", r.Header)
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		far := newService(t)
		s := far.sender(t)
		far.answers(status, "", "Location", elsewhere.URL)
		_, err := send(t.Context(), t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
		isClass(t, err, chat.Temporary, 0)
		far.set(nil, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		_, err = send(t.Context(), t, far.sender(t), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
		isClass(t, err, chat.Temporary, 0)
	}
}

func TestEveryRequestHasADeadline(t *testing.T) {
	t.Parallel()
	far := newService(t)
	env := far.env()
	seen := 0
	env.HTTP = &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		seen++
		if at, ok := r.Context().Deadline(); !ok || time.Until(at) > time.Minute {
			t.Errorf("%s may take until %v", r.URL.Path, at)
		}
		return http.DefaultTransport.RoundTrip(r)
	})}
	mustSend(t, newSender(far.config(), env), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	if seen != 2 {
		t.Errorf("%d requests were made, want one for a token and one with it", seen)
	}
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSendingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"token", "connector"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			ctx, cancel := context.WithCancel(t.Context())
			end := make(chan struct{})
			t.Cleanup(func() { close(end) })
			hold := func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				select {
				case <-end:
				case <-r.Context().Done():
				}
			}
			if path == "token" {
				far.set(nil, hold)
			} else {
				far.set(hold, nil)
			}
			_, err := send(ctx, t, far.sender(t), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
			isClass(t, err, chat.Temporary, 0)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	page := "<html>Please log in to the network</html>"
	for name, answer := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) },
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"id": "1`))
		},
		"no end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
					return
				}
			}
		},
		"a connection cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			far := newService(t)
			far.set(answer, nil)
			_, err := send(t.Context(), t, far.sender(t), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
			isClass(t, err, chat.Temporary, 0)
			far.set(nil, answer)
			_, err = send(t.Context(), t, far.sender(t), chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
			isClass(t, err, chat.Temporary, 0)
		})
	}
}

func TestATestPeerGetsNoToken(t *testing.T) {
	t.Parallel()
	far := newService(t)
	cfg := far.config()
	cfg.AppPassword, cfg.UnauthenticatedLoopback = "", true
	s := newSender(cfg, far.env())
	if err := s.logIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustSend(t, s, chat.Outbound{ID: "a", To: far.place(), Text: "hello"})
	if got := far.got()[0]; got.Auth != "" || far.granted() != 0 {
		t.Errorf("it came with %q, and %d tokens were asked for", got.Auth, far.granted())
	}
}
