package tencent

import (
	"context"
	"errors"
	"time"

	"github.com/silenceper/wechat/v2/cache"
)

// Try sees whether the credentials work, and changes nothing: it asks for a
// token by Config.Trial and forgets it, whatever the nodes share. Its error is a
// *chat.SendError and shows no secret.
func (c *Client) Try(ctx context.Context) error {
	grant := c.cfg.Trial
	if grant == nil {
		grant = c.cfg.Grant
	}
	token, err := grant(forgetful{}).GetAccessTokenContext(c.with(ctx))
	if err != nil {
		err = plainly(err)
	} else if token == "" {
		err = errNoToken
	}
	return classify(err, c.cfg.Classes)
}

// errNoToken is what is wrong with an answer that has everything else.
var errNoToken = errors.New("the answer of Tencent has no access token")

// forgetful is a cache that keeps nothing.
type forgetful struct{}

var _ cache.Cache = forgetful{}

// Get implements cache.Cache.
func (forgetful) Get(string) any { return nil }

// IsExist implements cache.Cache.
func (forgetful) IsExist(string) bool { return false }

// Set implements cache.Cache.
func (forgetful) Set(string, any, time.Duration) error { return nil }

// Delete implements cache.Cache.
func (forgetful) Delete(string) error { return nil }
