package agentapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	// callTimeout is how long the server may take beyond the wait that the
	// call asks for.
	callTimeout = 30 * time.Second
	// maxAnswer bounds the body of an answer: a batch of 1,000 jobs fits.
	maxAnswer = 64 << 20
	// maxProblem bounds the body of an error.
	maxProblem = 1 << 20
	// maxDetail cuts an error that is not problem+json, in bytes.
	maxDetail = 300
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	// Server is the server's address: https, or http on loopback.
	Server string
	// Token is the bearer token. SetToken changes it later.
	Token string
	// HTTP is used instead of a client of its own. Its CheckRedirect is
	// overruled, so that a token never follows a redirect, and it should
	// have no Timeout, since polls and streams are long.
	HTTP      *http.Client
	UserAgent string
}

// Client calls the HTTP API. Its methods may be called concurrently.
//
// An answer that is not 2xx is a *Problem. No method tries again by itself,
// except JobOutput, which resumes. Each call ends by itself some time after
// the wait that it asks for.
type Client struct {
	base      *url.URL
	http      *http.Client
	userAgent string
	token     atomic.Pointer[string]
}

// NewClient makes a Client. It checks the address and the token's form and
// calls nothing.
func NewClient(cfg ClientConfig) (*Client, error) {
	base, err := CheckServer(cfg.Server)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, userAgent: cfg.UserAgent}
	if c.userAgent == "" {
		c.userAgent = "skadi-client"
	}
	hc := http.Client{Transport: newTransport()}
	if cfg.HTTP != nil {
		hc = *cfg.HTTP
	}
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &hc
	if err := c.SetToken(cfg.Token); err != nil {
		return nil, err
	}
	return c, nil
}

// newTransport is the default one with room for many calls at once to one
// server, and with pings that notice a dead connection under a long poll.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 256
	t.MaxIdleConnsPerHost = 256
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 15 * time.Second}
	return t
}

// SetToken replaces the token for calls that begin from now on. The error
// never repeats the token.
func (c *Client) SetToken(token string) error {
	if token == "" {
		return errors.New("the token is empty")
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("the token has a character at position %d that no token has; look for a line break or a quote", i+1)
		}
	}
	c.token.Store(&token)
	return nil
}

// CloseIdle closes the connections that no call is using.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, wait time.Duration, in, out any, header ...string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, max(wait, 0)+callTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return 0, fmt.Errorf("encode the body of %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return 0, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, c.explain(err)
	}
	defer func() {
		drain(res.Body)
		_ = res.Body.Close()
	}()
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return res.StatusCode, c.problem(req, res)
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return res.StatusCode, nil
	}
	if err := decode(res.Body, out); err != nil {
		return res.StatusCode, fmt.Errorf("the answer to %s %s: %w", method, path, err)
	}
	return res.StatusCode, nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+*c.token.Load())
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// errAnswerTooLarge is an answer beyond what any call can need.
var errAnswerTooLarge = fmt.Errorf("is larger than %d MiB", maxAnswer>>20)

func decode(r io.Reader, out any) error {
	limited := &io.LimitedReader{R: r, N: maxAnswer}
	err := json.NewDecoder(limited).Decode(out)
	if err != nil && limited.N <= 0 {
		return errAnswerTooLarge
	}
	if err != nil {
		return fmt.Errorf("is not the JSON expected: %w", err)
	}
	return nil
}

// drain reads a little of what is left, so that the connection can be used
// again.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 64<<10) }

// problem reads an answer to req that is not 2xx.
func (c *Client) problem(req *http.Request, res *http.Response) *Problem {
	data, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(data, p) != nil {
		p = &Problem{Type: "about:blank", Detail: plainDetail(kind, data)}
	}
	p.Status = res.StatusCode
	if p.Title == "" {
		p.Title = fmt.Sprintf("the server answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		p.Title = "the server redirects elsewhere"
		p.Detail = fmt.Sprintf("the server at %s redirects (%d) and the token does not follow; use its final address", c.base, res.StatusCode)
	}
	switch {
	case c.base.Scheme == "http" && res.StatusCode == http.StatusBadRequest && wantsTLS(data):
		p.Detail = fmt.Sprintf("the server at %s speaks https: write https://%s", c.base, c.base.Host+c.base.Path)
	case res.StatusCode == http.StatusNotFound && (p.Type == "about:blank" || p.Type == ProblemNotFound):
		at := *req.URL
		at.RawQuery = ""
		p.Detail = fmt.Sprintf("the server answered 404 Not Found to %s %s: is its address right?", req.Method, &at)
	}
	// A proxy's error page may repeat the request's headers.
	token := *c.token.Load()
	p.Title = strings.ReplaceAll(p.Title, token, "<token>")
	p.Detail = strings.ReplaceAll(p.Detail, token, "<token>")
	p.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now)
	return p
}

// explain says what to do about a server that has no TLS where it is expected,
// which is no use to ask again.
func (c *Client) explain(err error) error {
	if !errors.Is(err, http.ErrSchemeMismatch) {
		return err
	}
	mend := "it needs a certificate, or a proxy that has one before it"
	if loopback(c.base.Hostname()) {
		mend = fmt.Sprintf("write http://%s", c.base.Host+c.base.Path)
	}
	return &Problem{
		Type: "about:blank", Title: "the server speaks http", Status: http.StatusBadRequest,
		Detail: fmt.Sprintf("the server at %s speaks http: %s", c.base, mend),
	}
}

// wantsTLS reports whether the answer to a call over plain HTTP is what servers
// written in Go, nginx or Apache say to that where they expect TLS.
func wantsTLS(body []byte) bool {
	for _, said := range []string{"HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port", "speaking plain HTTP to an SSL-enabled server port"} {
		if bytes.Contains(body, []byte(said)) {
			return true
		}
	}
	return false
}

// plainDetail is the text of an error that is no problem+json, such as a
// proxy's: one line, without markup.
func plainDetail(kind string, body []byte) string {
	if kind != "text/plain" && kind != "application/json" {
		return ""
	}
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "\uFFFD")), " ")
	if len(s) <= maxDetail {
		return s
	}
	cut := maxDetail
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + " …"
}

// retryAfter reads a Retry-After header: seconds or a date.
func retryAfter(value string, now func() time.Time) time.Duration {
	const longest = 24 * time.Hour
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds > int64(longest/time.Second) {
			return longest
		}
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(0, at.Sub(now())), longest)
	}
	return 0
}

// seconds writes a wait as the API's wait parameter; none for 0.
func seconds(wait time.Duration) url.Values {
	if wait <= 0 {
		return nil
	}
	return url.Values{"wait": {wait.Round(time.Millisecond).String()}}
}
