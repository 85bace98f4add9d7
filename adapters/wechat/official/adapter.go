// Package official is the channel of one official account of WeChat (公众号). It
// receives callbacks over HTTP and answers them within the call where the answer
// is there in time, and otherwise by customer-service messages.
package official

import (
	"context"
	"errors"

	"github.com/letserverrun/skadi/core/chat"
)

// API is where Tencent's API for official accounts is.
const API = "https://api.weixin.qq.com"

// Config says which account it is. All of it is checked before.
type Config struct {
	AppID     string
	AppSecret chat.Secret
	Token     chat.Secret
	// EncodingAESKey is empty where Plain is set.
	EncodingAESKey chat.Secret
	// Plain takes messages that are not encrypted.
	Plain bool
	// Greeting is said to who follows the account.
	Greeting string
	// APIURL stands in for API.
	APIURL string
}

// Adapter is one account.
type Adapter struct {
	cfg Config
	env chat.Env
}

var _ chat.Adapter = (*Adapter)(nil)

// New makes an account. It calls nobody before Run.
func New(cfg Config, env chat.Env) *Adapter {
	return &Adapter{cfg: cfg, env: env}
}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities { return chat.Capabilities{MaxBytes: 2048} }

// Run waits for ctx to end.
func (a *Adapter) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Send implements chat.Adapter.
func (a *Adapter) Send(context.Context, chat.Outbound) (chat.MessageRef, error) {
	return chat.MessageRef{}, errors.New("not yet")
}
