package tencent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/silenceper/wechat/v2/util"

	"github.com/letserverrun/skadi/core/chat"
)

// callTimeout bounds a call where the host does not.
const callTimeout = 30 * time.Second

// Config says whose calls they are.
type Config struct {
	// Origin is where the library's addresses lead, such as
	// https://api.weixin.qq.com.
	Origin string
	// Base stands in for Origin; empty means Origin itself.
	Base string
	// Grant gets tokens; nil where the account has none.
	Grant Grant
	// Trial gets a token to try the credentials with, where asking Grant for one
	// would spend the token in use; nil means that it would not.
	Trial Grant
	// Identity is what the token is given for, such as the app ID. Accounts of
	// one identity share a token.
	Identity string
	// Secret seals the token where it is kept for all nodes.
	Secret chat.Secret
	// Classes say what codes mean to this kind of account, beside those that
	// both kinds have.
	Classes map[int64]chat.Class
}

// Client calls Tencent's API for one account. It is safe for concurrent use.
type Client struct {
	cfg          Config
	origin, base *url.URL
	http         *http.Client
	clock        chat.Clock
	token        *token
}

// New returns a client. It calls nobody. Base and Origin were checked before;
// one that is no URL is an error of every call.
func New(cfg Config, env chat.Env) *Client {
	if cfg.Base == "" {
		cfg.Base = cfg.Origin
	}
	client := http.Client{Timeout: callTimeout}
	if env.HTTP != nil {
		client = *env.HTTP
	}
	// Tencent redirects no call of its API, and a token must not go elsewhere.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &Client{cfg: cfg, origin: parse(cfg.Origin), base: parse(cfg.Base), http: &client, clock: env.Clock}
	c.base.Path = strings.TrimSuffix(c.base.Path, "/")
	if cfg.Grant != nil {
		c.token = newToken(c, env)
	}
	return c
}

// Base is where the calls go, for people to read: a scheme and a host.
func (c *Client) Base() string { return c.base.Scheme + "://" + c.base.Host }

// parse returns the URL, or one that leads nowhere.
func parse(raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// LogIn gets a token, if there is none yet, and so sees whether the credentials
// work. Its error is a *chat.SendError.
func (c *Client) LogIn(ctx context.Context) error {
	_, err := c.token.get(ctx)
	return classify(err, c.cfg.Classes)
}

// Post makes a call with the access token: it posts in as JSON to the path and
// decodes the answer into out, which may be nil. A token that is not taken is
// renewed once. Its error is a *chat.SendError and shows no secret.
func (c *Client) Post(ctx context.Context, path string, in, out any) error {
	key, err := c.token.get(ctx)
	if err != nil {
		return classify(err, c.cfg.Classes)
	}
	err = c.post(ctx, path, url.Values{"access_token": {key}}, in, out)
	if refused(err) {
		if key, err = c.token.renew(ctx, key); err == nil {
			err = c.post(ctx, path, url.Values{"access_token": {key}}, in, out)
		}
	}
	return classify(err, c.cfg.Classes)
}

// PostWith is Post with a query in place of the access token.
func (c *Client) PostWith(ctx context.Context, path string, query url.Values, in, out any) error {
	return classify(c.post(ctx, path, query, in, out), c.cfg.Classes)
}

func (c *Client) post(ctx context.Context, path string, query url.Values, in, out any) error {
	body, err := util.PostJSONContext(c.with(ctx), c.cfg.Origin+path+"?"+query.Encode(), in)
	if err != nil {
		return plainly(err)
	}
	if err := util.DecodeWithCommonError(body, path); err != nil {
		return errors.New("the answer of Tencent cannot be read")
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer of Tencent cannot be read: %w", err)
	}
	return nil
}

// plainly takes from an error of the library what it wraps: an *Error if there
// is one, and no address in any case.
func plainly(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return withoutURL(err)
}
