package slack

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	a := &Adapter{env: chat.Env{Account: "work"}}
	chattest.Names{
		"T0123/U0456": "", "T0123/W0456": "", "E0123/U0456": "", "T0123/S0456": "", "T0123/*": "",
		"U0456": "lacks its workspace: write T0123/U0456", "ada": "not of the form workspace/user", "@ada": "not of the form workspace/user",
		"t0123/u0456": "\"t0123\" is no workspace's ID", "acme/U0456": "\"acme\" is no workspace's ID", "acme/*": "no workspace's ID",
		"T0123/@ada": "\"@ada\" is neither a person's ID", "T0123/u0456": "in capitals", "T0123/ops-team": "neither", "T0123/C0789": "neither", "T0123/": "neither",
	}.Hold(t, a.CheckSender)
	places := chattest.Names{
		"C0789": "", "G0789": "", "D0789": "", "U0456": "", "#ops": "no channel's ID", "ops": "no channel's ID", "c0789": "in capitals", "T0123": "no channel's ID", "": "no channel's ID",
	}
	places.Hold(t, a.CheckConversation)
	places.Hold(t, a.CheckChannel)
}
