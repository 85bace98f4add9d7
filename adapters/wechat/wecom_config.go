package wechat

import (
	"errors"

	"github.com/letserverrun/skadi/core/chat"
)

func (c Config) validateWeCom(bad complain) {
	bad("account", "is %s, which is not known yet", AccountWeCom)
}

func newWeCom(Config, chat.Env) (chat.Adapter, error) {
	return nil, errors.New("account wecom is not known yet")
}
