// Package official is the channel of one official account of WeChat (公众号). It
// receives callbacks over HTTP and answers them within the call where the answer
// is there in time, and otherwise by customer-service messages.
//
// A call is believed when it is signed with the token, not long ago, and
// encrypted with the key of the account. What it brings is handed to core and
// only then acknowledged.
package official

import (
	"context"
	"net/http"
	"time"

	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/adapters/wechat/tencent"
	"github.com/letserverrun/skadi/core/chat"
)

// API is where Tencent's API for official accounts is.
const API = "https://api.weixin.qq.com"

const (
	retryFirst = 500 * time.Millisecond
	retryMost  = time.Minute
	// waitMost bounds what the far side may ask to wait.
	waitMost = time.Hour
)

// Config says which account it is.
type Config struct {
	AppID     string
	AppSecret chat.Secret
	Token     chat.Secret
	// EncodingAESKey is empty where Plain is set.
	EncodingAESKey chat.Secret
	// Plain takes messages that are not encrypted, and no others.
	Plain bool
	// Greeting is said to who follows the account; empty means that core
	// introduces itself.
	Greeting string
	// APIURL stands in for API.
	APIURL string
}

// Adapter is one account.
type Adapter struct {
	cfg   Config
	env   chat.Env
	codec *envelope.Codec
	api   *tencent.Client
	calls *calls
	// patience is how long an answer is waited for within a call.
	patience time.Duration
	// strangers are those whose calls do not prove to be Tencent's.
	strangers chat.Rarely
}

var (
	_ chat.Adapter = (*Adapter)(nil)
	_ chat.Pushed  = (*Adapter)(nil)
	_ chat.Entered = (*Adapter)(nil)
)

// New makes an account. It calls nobody before Run. env has a clock and a
// logger.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	codec, err := envelope.New(envelope.Config{
		Token: cfg.Token, Key: cfg.EncodingAESKey, Receiver: cfg.AppID, Clock: env.Clock,
	})
	if err != nil {
		return nil, err
	}
	return &Adapter{
		cfg: cfg, env: env, codec: codec, api: newClient(cfg, env), calls: newCalls(env.Clock), patience: answerWithin,
	}, nil
}

func newClient(cfg Config, env chat.Env) *tencent.Client {
	return tencent.New(tencent.Config{
		Origin: API, Base: cfg.APIURL, Identity: cfg.AppID, Secret: cfg.AppSecret, Classes: classes,
		Grant: func(kept cache.Cache) credential.AccessTokenContextHandle {
			return credential.NewDefaultAccessToken(cfg.AppID, cfg.AppSecret.Reveal(), credential.CacheKeyOfficialAccountPrefix, kept)
		},
		// Each token of Grant's spends the one before. Stable ones are apart from
		// those, and asking does not renew them:
		// https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken.html
		Trial: func(kept cache.Cache) credential.AccessTokenContextHandle {
			return credential.NewStableAccessToken(cfg.AppID, cfg.AppSecret.Reveal(), credential.CacheKeyOfficialAccountPrefix, kept)
		},
	}, env)
}

// Endpoints implements chat.Entered.
func (a *Adapter) Endpoints() []chat.Endpoint {
	return []chat.Endpoint{{Path: callbackPath, Where: "微信公众平台, 设置与开发, 基本配置, 服务器地址(URL)"}}
}

// capabilities: nothing is edited, and there are no threads. How many messages
// may answer one is said with each conversation.
var capabilities = chat.Capabilities{MaxBytes: maxText}

// Capabilities implements chat.Adapter.
func (a *Adapter) Capabilities() chat.Capabilities { return capabilities }

// Run sees to it that the account can log in, and then waits for ctx to end.
// Trouble that may pass it waits out. It can be called again once it has
// returned.
func (a *Adapter) Run(ctx context.Context) error {
	if a.cfg.Plain {
		a.env.Logger.Warn("messages of this account are not encrypted, and their text is not signed: " +
			"who can read one on its way can send others; leave plain out and set encoding_aes_key")
	}
	a.calls.open()
	defer a.calls.close()
	if err := a.logIn(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// logIn tries until the credentials were taken or refused.
func (a *Adapter) logIn(ctx context.Context) error {
	err := a.api.KeepLoggingIn(ctx, tencent.Patience{First: retryFirst, Most: retryMost, Asked: waitMost}, a.env, nil)
	if err == nil {
		a.env.Logger.Info("logged in to WeChat", "app", a.cfg.AppID)
	}
	return err
}

// Handler implements chat.Pushed. It serves the callback address of the account.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+callbackPath, a.serveTest)
	mux.HandleFunc("POST /"+callbackPath, a.serveMessage)
	return mux
}
