package tencent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/silenceper/wechat/v2/util"

	"github.com/letserverrun/skadi/core/chat"
)

// maxAnswer is the most of an answer that is read, in bytes.
const maxAnswer = 1 << 20

// routed is the library's only client. Without an account in its context a call
// goes nowhere.
var routed = &http.Client{
	Transport:     router{},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func init() { util.DefaultHTTPClient = routed }

// router sends each call by the client of the account in its context.
type router struct{}

// RoundTrip implements http.RoundTripper. An answer that is no success is an
// error here already, as the library would make a text of it.
func (router) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(accountKey{}).(*Client)
	if !ok {
		return nil, errors.New("a call of the library belongs to no account")
	}
	return c.roundTrip(req)
}

// accountKey is the key of a context's account.
type accountKey struct{}

// with leads the library's calls through c.
func (c *Client) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, accountKey{}, c)
}

func (c *Client) roundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != c.origin.Host {
		return nil, fmt.Errorf("%s is not where this account's calls go", req.URL.Host)
	}
	there := *req.URL
	there.Scheme, there.Host, there.Path = c.base.Scheme, c.base.Host, c.base.Path+there.Path
	out := req.Clone(req.Context())
	out.URL, out.Host = &there, ""
	resp, err := c.http.Do(out) //nolint:gosec // the config says where
	if err != nil {
		return nil, withoutURL(err)
	}
	body := resp.Body
	defer func() { _ = body.Close() }()
	a := answer{status: resp.StatusCode, after: retryAfter(resp.Header.Get("Retry-After"), c.clock())}
	if a.body, err = io.ReadAll(io.LimitReader(body, maxAnswer+1)); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", withoutURL(err))
	}
	if err := a.failure(req.URL.Query(), c.cfg.Secret); err != nil {
		return nil, err
	}
	resp.Body = a.again()
	return resp, nil
}

// answer is what Tencent answered.
type answer struct {
	status int
	after  time.Duration // what Retry-After asks for
	body   []byte
}

// failure returns what the answer to a call with this query says went wrong. What
// is secret in the query or the call's body may be repeated there, and is not.
func (a answer) failure(query url.Values, secret chat.Secret) error {
	var said struct {
		Code *int64 `json:"errcode"`
		Text string `json:"errmsg"`
	}
	readable := len(a.body) <= maxAnswer && json.Unmarshal(a.body, &said) == nil
	e := &Error{Status: a.status, RetryAfter: a.after}
	if readable && said.Code != nil {
		e.Code, e.Text = *said.Code, oneLine(withoutSecrets(said.Text, query, secret))
	}
	switch {
	case a.status != http.StatusOK:
		return e
	case !readable:
		e.Text = "an answer that is no JSON"
		return e
	case e.Code != 0:
		return e
	}
	return nil
}

// withoutSecrets takes out of a text what a call has to prove itself with.
func withoutSecrets(text string, query url.Values, secret chat.Secret) string {
	if secret != "" {
		text = strings.ReplaceAll(text, secret.Reveal(), secret.String())
	}
	for _, name := range []string{"access_token", "secret", "corpsecret", "key"} {
		if value := query.Get(name); value != "" {
			text = strings.ReplaceAll(text, value, "<secret>")
		}
	}
	return text
}

// withoutURL returns what went wrong with a request without its address, which
// has a token or a secret in it.
func withoutURL(err error) error {
	for {
		var ue *url.Error
		if !errors.As(err, &ue) {
			return err
		}
		err = ue.Err
	}
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(longest/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), longest)
	}
	return 0
}
