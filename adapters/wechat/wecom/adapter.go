// Package wecom is the channel of one application of WeCom (企业微信), or of one
// of its group robots. An application receives encrypted callbacks over HTTP and
// answers by messages to the member who asked; a robot only speaks, in the group
// that it was added to.
package wecom

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/silenceper/wechat/v2/cache"
	"github.com/silenceper/wechat/v2/credential"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/adapters/wechat/tencent"
	"github.com/letserverrun/skadi/core/chat"
)

// API is where Tencent's API for WeCom is.
const API = "https://qyapi.weixin.qq.com"

const (
	// retryFirst, retryMost and waitMost are how long Run waits until it asks
	// for a token again.
	retryFirst = time.Second
	retryMost  = time.Minute
	waitMost   = 10 * time.Minute
)

// Config says which application it is. All of it is checked before.
type Config struct {
	CorpID  string
	AgentID int64
	Secret  chat.Secret
	// Token and EncodingAESKey are what was entered for receiving messages.
	Token          chat.Secret
	EncodingAESKey chat.Secret
	// Markdown shows jobs in Markdown where nothing in them could be taken for
	// it. Who reads in WeChat sees no Markdown.
	Markdown bool
	// APIURL stands in for API.
	APIURL string
}

// Adapter is one application.
type Adapter struct {
	cfg       Config
	env       chat.Env
	codec     *envelope.Codec
	api       *tencent.Client
	pace      pace
	progress  progress
	strangers chat.Rarely
}

var (
	_ chat.Adapter = (*Adapter)(nil)
	_ chat.Pushed  = (*Adapter)(nil)
	_ chat.Entered = (*Adapter)(nil)
)

// New makes an application's account. It calls nobody before Run.
func New(cfg Config, env chat.Env) (*Adapter, error) {
	codec, err := envelope.New(envelope.Config{
		Token: cfg.Token, Key: cfg.EncodingAESKey, Receiver: cfg.CorpID, Clock: env.Clock,
	})
	if err != nil {
		return nil, fmt.Errorf("account %s: %w", env.Account, err)
	}
	agent := strconv.FormatInt(cfg.AgentID, 10)
	return &Adapter{cfg: cfg, env: env, codec: codec, pace: pace{windows: memberWindows}, api: tencent.New(tencent.Config{
		Origin: API, Base: cfg.APIURL, Identity: cfg.CorpID + "/" + agent, Secret: cfg.Secret, Classes: classes,
		Grant: func(c cache.Cache) credential.AccessTokenContextHandle {
			return credential.NewWorkAccessToken(cfg.CorpID, cfg.Secret.Reveal(), agent, credential.CacheKeyWorkPrefix, c)
		},
	}, env)}, nil
}

// Capabilities implements chat.Adapter. A card can be changed once after it was
// sent, which is too little to show a job's life in it; so nothing is edited.
func (a *Adapter) Capabilities() chat.Capabilities {
	return chat.Capabilities{Buttons: true, MaxBytes: maxText}
}

// Run checks the credentials and waits for ctx to end: what is received comes
// by the Handler.
func (a *Adapter) Run(ctx context.Context) error {
	if err := a.logIn(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// logIn tries until the credentials were taken or refused.
func (a *Adapter) logIn(ctx context.Context) error {
	err := a.api.KeepLoggingIn(ctx, tencent.Patience{First: retryFirst, Most: retryMost, Asked: waitMost}, a.env, mendable)
	if err == nil {
		a.env.Logger.Info("logged in to WeCom", "corp", a.cfg.CorpID, "agent", a.cfg.AgentID)
	}
	return err
}

// Handler implements chat.Pushed.
func (a *Adapter) Handler() http.Handler {
	mux := http.NewServeMux()
	// A pattern with GET takes HEAD, too, which nobody sends.
	mux.HandleFunc("GET /"+callbackPath, a.serveTest)
	mux.HandleFunc("POST /"+callbackPath, a.serveMessage)
	return mux
}

// Endpoints implements chat.Entered.
func (a *Adapter) Endpoints() []chat.Endpoint {
	return []chat.Endpoint{{Path: callbackPath, Where: "应用管理, the application, 接收消息 (Receive Messages), 设置API接收, URL"}}
}
