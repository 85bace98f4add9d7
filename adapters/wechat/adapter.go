// Package wechat is the channel of one WeChat account: an official account, or
// an application or a group robot of WeCom. What they share is in the rooms
// below; this one reads the config and chooses among them.
package wechat

import (
	"log/slog"
	"time"

	"github.com/letserverrun/skadi/adapters/wechat/official"
	"github.com/letserverrun/skadi/core/chat"
)

var _ chat.Factory = Factory

// Factory makes an account of its block in the config.
func Factory(decode func(cfg any) error, env chat.Env) (chat.Adapter, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	return New(cfg, env)
}

// New makes an account. It calls nobody before Run. Its error is that of
// Validate.
func New(cfg Config, env chat.Env) (chat.Adapter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if env.Clock == nil {
		env.Clock = time.Now
	}
	if env.Logger == nil {
		env.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Account != AccountOfficial {
		return newWeCom(cfg, env)
	}
	return official.New(cfg.official(), env)
}
