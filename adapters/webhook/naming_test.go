package webhook

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	a := &Adapter{env: chat.Env{Account: "github"}, cfg: Config{Provider: GitHub}}
	chattest.Names{"webhook": "", "alice": "everything that comes by this account is of github:webhook", "acme/*": "github:webhook"}.Hold(t, a.CheckSender)
	chattest.Names{"acme/site": "", "events": "", "site": "no repository, such as owner/name", "main": "no repository"}.Hold(t, a.CheckConversation)
	a.cfg.Provider = Generic
	chattest.Names{"events": "", "acme/site": "all that generic sends comes from \"events\""}.Hold(t, a.CheckConversation)
}

// TestMayBegin holds that only a message which never begins so is denied to.
func TestMayBegin(t *testing.T) {
	t.Parallel()
	for send, may := range map[string]bool{
		"web-1 deploy {{.sha}}": false, "web-1 deploy": false, "status": false, "web-1 deploy approve": false, "web-1 deploy {{.a}} approve": false,
		"approve {{.code}}": true, "Approve: abc": true, "skadi approve {{.code}}": true, "{{.text}}": true, "skadi {{.text}}": true,
		"skadi appr{{.rest}}": true, "app{{.rest}}": true, "ａｐｐｒｏｖｅ {{.code}}": true, "": false,
	} {
		a := &Adapter{cfg: Config{Rules: []Rule{{Send: "web-1 status now"}, {Send: send}}}}
		if got := a.MayBegin("approve"); got != may {
			t.Errorf("%q may begin with approve: %v, want %v", send, got, may)
		}
	}
}
