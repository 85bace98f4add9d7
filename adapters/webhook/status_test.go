package webhook

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

type tripper func(r *http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answered makes an account whose calls are answered by f, with no network.
func answered(t *testing.T, provider string, now time.Time, f func(r *http.Request, body string) (int, http.Header, string)) *Adapter {
	t.Helper()
	client := &http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		status, header, body := f(r, string(sent))
		if header == nil {
			header = http.Header{}
		}
		return &http.Response{StatusCode: status, Header: header, Request: r, Body: io.NopCloser(strings.NewReader(body))}, nil
	})}
	a, err := New(Config{
		Provider: provider, Secrets: []chat.Secret{farSecret},
		CommitStatus: CommitStatus{Token: farToken, TargetURL: "https://skadi.example.com/jobs/{code}"},
		Rules:        []Rule{{On: map[string]string{"event": "*"}, Send: "a b"}},
	}, chat.Env{Account: "ci", HTTP: client, Clock: func() time.Time { return now }})
	require.NoError(t, err)
	return a
}

// to is the conversation of a recorded event's commit.
func to(t *testing.T, a *Adapter, file string) chat.ConversationRef {
	t.Helper()
	c, err := a.rules[0].commit(a.cfg.Provider, recorded(t, file))
	require.NoError(t, err)
	return c.ref("ci")
}

var sources = map[string]string{GitHub: "github/workflow_run.json", GitLab: "gitlab/pipeline.json"}

// TestStatuses shows what goes over the wire.
func TestStatuses(t *testing.T) {
	t.Parallel()
	one := 1
	card := func(mark chat.Mark, change func(c *chat.Card)) *chat.Card {
		c := &chat.Card{Mark: mark, Code: "k7f3q2", Agent: "web-1", Message: "deploy acb5820ced9479c074f688cc328bf03f341a511d"}
		if change != nil {
			change(c)
		}
		return c
	}
	messages := []struct {
		name string
		m    chat.Outbound
	}{
		{"waiting", chat.Outbound{Card: card(chat.MarkWaiting, nil)}},
		{"approval", chat.Outbound{Card: card(chat.MarkWaiting, func(c *chat.Card) { c.Note = "It waits for somebody to approve it." })}},
		{"running", chat.Outbound{Card: card(chat.MarkRunning, func(c *chat.Card) { c.Elapsed = 2300 * time.Millisecond })}},
		{"succeeded", chat.Outbound{Card: card(chat.MarkSucceeded, func(c *chat.Card) {
			c.Final, c.Elapsed, c.Output = true, 72*time.Second, "unpacking\nthe new pages are live\n\n"
		})}},
		{"failed", chat.Outbound{Card: card(chat.MarkFailed, func(c *chat.Card) { c.Final, c.ExitCode, c.Output = true, &one, strings.Repeat("no ", 100) })}},
		{"expired", chat.Outbound{Card: card(chat.MarkExpired, func(c *chat.Card) { c.Final, c.Note = true, "web-1 is offline." })}},
		{"canceled", chat.Outbound{Card: card(chat.MarkCanceled, func(c *chat.Card) { c.Final = true })}},
		{"long", chat.Outbound{Card: card(chat.MarkRunning, func(c *chat.Card) { c.Message = strings.Repeat("世\n界 \x1b[31m", 5000) })}},
		{"refused", chat.Outbound{Refused: true, Text: "You may not send this: no rule allows it.\nThis refusal is r-1."}},
		{"text", chat.Outbound{Text: "web-1 is online."}},
	}
	for provider, file := range sources {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			a := answered(t, provider, time.Now(), func(r *http.Request, body string) (int, http.Header, string) {
				var sent map[string]string
				require.NoError(t, json.Unmarshal([]byte(body), &sent))
				pretty, err := json.MarshalIndent(sent, "", "  ")
				require.NoError(t, err)
				assert.LessOrEqual(t, len([]rune(sent["description"])), maxDescription)
				fmt.Fprintf(&b, "%s %s\n%s\n", r.Method, r.URL, pretty)
				if provider == GitHub {
					assert.Equal(t, "Bearer "+farToken, r.Header.Get("Authorization"))
				} else {
					assert.Equal(t, farToken, r.Header.Get("Private-Token"))
				}
				return http.StatusCreated, nil, `{"id": 1}`
			})
			for _, one := range messages {
				fmt.Fprintf(&b, "\n# %s\n", one.name)
				one.m.To = to(t, a, file)
				ref, err := a.Send(t.Context(), one.m)
				require.NoError(t, err)
				assert.Equal(t, "1", ref.ID)
			}
			golden(t, "testdata/statuses."+provider+".golden", b.String())
		})
	}
}

// TestStatusStays leaves out what goes on with a message: else the rest of a
// failed job's output would turn its commit green.
func TestStatusStays(t *testing.T) {
	t.Parallel()
	for provider, file := range sources {
		a := answered(t, provider, time.Now(), func(*http.Request, string) (int, http.Header, string) {
			t.Error("the API was called")
			return http.StatusCreated, nil, `{"id": 1}`
		})
		ref, err := a.Send(t.Context(), chat.Outbound{ID: "e.2", To: to(t, a, file), Text: "and more of it", Continues: true})
		require.NoError(t, err)
		assert.Equal(t, "e.2", ref.ID)
	}
}

// TestClasses sorts the answers that the two servers document.
func TestClasses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for _, one := range []struct {
		name, provider string
		status         int
		header         http.Header
		body           string
		class          chat.Class
		after          time.Duration
		says           string
	}{
		{"secondary limit", GitHub, 403, headers("Retry-After", "60"), `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}`, chat.RateLimited, time.Minute, "secondary"},
		{"secondary limit that says nothing else", GitHub, 403, nil, `{"message":"You have exceeded a secondary rate limit."}`, chat.RateLimited, time.Minute, "secondary"},
		{"primary limit", GitHub, 403, headers("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1700000300"), `{"message":"API rate limit exceeded for user ID 1."}`, chat.RateLimited, 5 * time.Minute, "exceeded"},
		{"primary limit as 429", GitHub, 429, headers("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1700000300"), `{}`, chat.RateLimited, 5 * time.Minute, "429"},
		{"calls are left", GitHub, 403, headers("X-RateLimit-Remaining", "10", "X-RateLimit-Reset", "1700000300"), `{"message":"Resource not accessible by personal access token"}`, chat.Permanent, 0, "may write statuses"},
		{"a token that ran out", GitHub, 401, nil, `{"message":"Bad credentials"}`, chat.Auth, 0, "commit_status.token"},
		{"a repository that is hidden", GitHub, 404, nil, `{"message":"Not Found"}`, chat.Permanent, 0, "may write statuses"},
		{"too many statuses", GitHub, 422, nil, `{"message":"Validation Failed","errors":[{"code":"custom","message":"This SHA and context has reached the maximum number of statuses."}]}`, chat.Permanent, 0, "Validation Failed"},
		{"moved", GitHub, 301, headers("Location", "https://elsewhere.example.com/"), `{"message":"Moved Permanently"}`, chat.Temporary, 0, "301"},
		{"blocked", GitHub, 451, nil, `{"message":"Repository access blocked"}`, chat.Permanent, 0, "blocked"},
		{"a reset of long ago", GitHub, 403, headers("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1600000000"), `{}`, chat.RateLimited, time.Minute, "403"},
		{"a reset that is none", GitHub, 403, headers("X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "soon"), `{}`, chat.RateLimited, time.Minute, "403"},
		{"limit", GitLab, 429, headers("RateLimit-Remaining", "0", "RateLimit-Reset", "1700000060", "Retry-After", "30"), `Retry later`, chat.RateLimited, 30 * time.Second, "429"},
		{"a mapping of faults", GitLab, 400, nil, `{"message":{"target_url":["is blocked"]}}`, chat.Permanent, 0, "is blocked"},
		{"a scope too few", GitLab, 403, nil, `{"error":"insufficient_scope"}`, chat.Permanent, 0, "insufficient_scope"},
		{"a page", GitLab, 200, nil, `<html>log in</html>`, chat.Temporary, 0, "proxy"},
		{"busy", GitLab, 503, headers("Retry-After", "7"), ``, chat.Temporary, 7 * time.Second, "503"},
	} {
		t.Run(one.provider+"/"+one.name, func(t *testing.T) {
			t.Parallel()
			a := answered(t, one.provider, now, func(*http.Request, string) (int, http.Header, string) { return one.status, one.header, one.body })
			_, err := a.Send(t.Context(), chat.Outbound{ID: "a", To: to(t, a, sources[one.provider]), Text: "x"})
			require.Error(t, err)
			se := chat.Classify(err)
			assert.Equal(t, one.class, se.Class, err)
			assert.Equal(t, one.after, se.RetryAfter, err)
			assert.Contains(t, err.Error(), one.says)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// GitLab refuses the state that a status has already, as when the answer to the
// first try was lost.
func TestTheSameStateAgain(t *testing.T) {
	t.Parallel()
	const body = `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`
	for provider, fine := range map[string]bool{GitLab: true, GitHub: false} {
		a := answered(t, provider, time.Now(), func(*http.Request, string) (int, http.Header, string) { return 400, nil, body })
		_, err := a.Send(t.Context(), chat.Outbound{ID: "a", To: to(t, a, sources[provider]), Text: "x"})
		assert.Equal(t, fine, err == nil, provider)
	}
}

// What a conversation beside it tells already is not told twice.
func TestOnlyWords(t *testing.T) {
	t.Parallel()
	calls := 0
	a := answered(t, GitHub, time.Now(), func(*http.Request, string) (int, http.Header, string) {
		calls++
		return http.StatusCreated, nil, `{"id": 1}`
	})
	c, err := conversationOf(to(t, a, sources[GitHub]))
	require.NoError(t, err)
	c.Words = true
	for _, m := range []chat.Outbound{
		{ID: "a", Card: &chat.Card{Mark: chat.MarkRunning}},
		{ID: "b", Card: &chat.Card{Mark: chat.MarkSucceeded, Final: true}},
		{ID: "c", Text: "You may not do this.", Refused: true},
	} {
		m.To = c.ref("ci")
		_, err := a.Send(t.Context(), m)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, calls)
}

// The token goes where the config says that it belongs, whatever an old
// reference names.
func TestTheTokenStaysAtItsAPI(t *testing.T) {
	t.Parallel()
	a := answered(t, GitHub, time.Now(), func(r *http.Request, _ string) (int, http.Header, string) {
		t.Errorf("%s was called", r.URL)
		return http.StatusCreated, nil, `{"id": 1}`
	})
	for _, c := range []conversation{
		{API: "https://elsewhere.example.com", Repo: "acme/shop", SHA: commit(0), Context: defaultContext},
		{API: githubAPI, Repo: "acme/shop", SHA: commit(0), Context: "other"},
	} {
		_, err := a.Send(t.Context(), chat.Outbound{ID: "a", To: c.ref("ci"), Text: "x"})
		assert.Equal(t, chat.Permanent, chat.Classify(err).Class)
	}
	ref := chat.ConversationRef{Account: "ci", Key: "x", Data: json.RawMessage(`7`)}
	_, err := a.Send(t.Context(), chat.Outbound{ID: "a", To: ref, Text: "x"})
	assert.Equal(t, chat.Permanent, chat.Classify(err).Class)
}
