package teams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/infracloudio/msbotbuilder-go/connector/client"
	"github.com/infracloudio/msbotbuilder-go/core/activity"
	"github.com/infracloudio/msbotbuilder-go/schema"

	"github.com/letserverrun/skadi/core/chat"
)

// callTimeout bounds one call of the Bot Connector.
const callTimeout = 15 * time.Second

// connector calls the Bot Connector of a tenant:
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
// Calls are made only to the hosts that the config allows, and redirects are
// not followed, so that the token reaches nobody else.
type connector struct {
	http  *http.Client
	clock chat.Clock
	// check says what is wrong with an address that is to be called.
	check func(address string) error
	// tokens is nil where the far side is a test peer that asks for none.
	tokens *tokens
}

func newConnector(cfg Config, env chat.Env) *connector {
	plain := http.Client{Timeout: callTimeout}
	if env.HTTP != nil {
		plain = *env.HTTP
	}
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &connector{http: &plain, clock: env.Clock, check: cfg.checkService}
	if c.clock == nil {
		c.clock = time.Now
	}
	if !cfg.anonymous() {
		c.tokens = newTokens(cfg, c.http, c.clock)
	}
	return c
}

// call is one activity on its way. It stands behind the interfaces of the
// library, which have no room for a context, for mentions, and for the ID that
// the far side gives to what was sent.
type call struct {
	*connector
	ctx      context.Context
	mentions []schema.Mention
	// id is that of the activity that was sent or edited, once it was; empty
	// if the far side does not tell.
	id string
}

var (
	_ activity.Response = (*call)(nil)
	_ client.Client     = (*call)(nil)
)

// SendActivity sends a to its conversation, as a reply if it names what it
// replies to.
func (c *call) SendActivity(a schema.Activity) error {
	target, err := activitiesURL(a.ServiceURL, a.Conversation.ID, a.ReplyToID)
	if err != nil {
		return permanent(err)
	}
	return c.Post(*target, a)
}

// UpdateActivity puts a in the place of the activity that has its ID.
func (c *call) UpdateActivity(a schema.Activity) error {
	target, err := activityURL(a)
	if err != nil {
		return permanent(err)
	}
	return c.Put(*target, a)
}

// DeleteActivity deletes the activity that has the ID of a.
func (c *call) DeleteActivity(a schema.Activity) error {
	target, err := activityURL(a)
	if err != nil {
		return permanent(err)
	}
	return c.Delete(*target, a)
}

// Post implements client.Client.
func (c *call) Post(target url.URL, a schema.Activity) error {
	return c.send(http.MethodPost, target, &a)
}

// Put implements client.Client.
func (c *call) Put(target url.URL, a schema.Activity) error {
	c.id = a.ID
	return c.send(http.MethodPut, target, &a)
}

// Delete implements client.Client.
func (c *call) Delete(target url.URL, _ schema.Activity) error {
	return c.send(http.MethodDelete, target, nil)
}

func (c *call) send(method string, target url.URL, a *schema.Activity) error {
	var body []byte
	if a != nil {
		var err error
		if body, err = encode(outgoing{Activity: *a, Entities: c.mentions}); err != nil {
			return permanent(err)
		}
	}
	id, err := c.do(c.ctx, method, target, string(body))
	if err == nil && id != "" {
		c.id = id
	}
	return err
}

// outgoing is an activity as it is sent. The library's has no room for
// mentions, and of what is not set it would write empty objects and the year
// 1. What stands here takes the place of those fields.
type outgoing struct {
	schema.Activity
	Entities         []schema.Mention `json:"entities,omitempty"`
	Timestamp        *struct{}        `json:"timestamp,omitempty"`
	LocalTimestamp   *struct{}        `json:"localTimestamp,omitempty"`
	Expiration       *struct{}        `json:"expiration,omitempty"`
	SuggestedActions *struct{}        `json:"suggestedActions,omitempty"`
	RelatesTo        *struct{}        `json:"relatesTo,omitempty"`
	SemanticAction   *struct{}        `json:"semanticAction,omitempty"`
}

// activitiesURL is where the activities of a conversation are sent, or the
// replies to one of them. IDs have characters that mean something in a path.
func activitiesURL(service, conversation, replyTo string) (*url.URL, error) {
	parts := []string{"v3", "conversations", conversation, "activities"}
	if replyTo != "" {
		parts = append(parts, replyTo)
	}
	address := strings.TrimRight(service, "/")
	for _, p := range parts {
		if p == "" || p == "." || p == ".." {
			return nil, fmt.Errorf("%q is no ID of a conversation or an activity", p)
		}
		address += "/" + url.PathEscape(p)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the serviceUrl of the conversation is no URL")
	}
	return u, nil
}

func activityURL(a schema.Activity) (*url.URL, error) {
	if a.ID == "" {
		return nil, errors.New("the activity has no ID")
	}
	return activitiesURL(a.ServiceURL, a.Conversation.ID, a.ID)
}

// do makes a call and returns the ID in its answer. If the token is refused,
// it tries once more with a new one. Its errors are *chat.SendError.
func (c *connector) do(ctx context.Context, method string, target url.URL, body string) (id string, err error) {
	if err := c.check(target.String()); err != nil {
		return "", permanent(fmt.Errorf("nothing is sent there: %w", err))
	}
	if c.tokens == nil {
		return c.once(ctx, method, target, body, "")
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		return "", err
	}
	id, err = c.once(ctx, method, target, body, token)
	if !unauthorized(err) {
		return id, err
	}
	c.tokens.forget(token)
	if token, err = c.tokens.get(ctx); err != nil {
		return "", err
	}
	return c.once(ctx, method, target, body, token)
}

func (c *connector) once(ctx context.Context, method string, target url.URL, body, token string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), strings.NewReader(body))
	if err != nil {
		return "", permanent(withoutURL(err))
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := exchange(c.http, req, c.clock)
	if err != nil {
		return "", temporary(fmt.Errorf("calling %s: %w", target.Host, err))
	}
	switch a.status {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent:
	default:
		return "", a.connectorError(target.Host)
	}
	var sent schema.ResourceResponse
	if len(a.body) == 0 {
		return "", nil
	}
	if err := json.Unmarshal(a.body, &sent); err != nil {
		return "", temporary(fmt.Errorf("%s answered %d, but not as the Bot Connector does; is a proxy in between?", target.Host, a.status))
	}
	return sent.ID, nil
}
