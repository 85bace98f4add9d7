package teams

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	const (
		tenant = "8c1b7a52-3f0e-4c55-b0d7-1d2e3f405162"
		ada    = "5b2d0c3e-8f41-4a6b-9d27-1c0e5f7a9b13"
		place  = "19:abc@thread.tacv2"
	)
	a := &Adapter{cfg: Config{TenantID: strings.ToUpper(tenant)}}
	chattest.Names{
		tenant + "/" + ada: "", tenant + "/*": "",
		strings.ToUpper(tenant + "/" + ada):       "must be in small letters: write " + tenant + "/" + ada,
		tenant + "/" + strings.ToUpper(ada):       "must be in small letters: write " + tenant + "/" + ada,
		strings.ToUpper(tenant) + "/*":            "must be in small letters: write " + tenant + "/*",
		tenant + "/ada@example.com":               "is no person's object ID",
		"ada@example.com":                         "not of the form tenant/object",
		ada + "/" + ada:                           "the tenants are " + tenant,
		"example.onmicrosoft.com/ada@example.com": "the tenants are " + tenant,
	}.Hold(t, a.CheckSender)
	chattest.Names{
		place: "", "a:1abc": "", strings.Repeat("a:", 200): "",
		place + threadMark + "1": "write the channel's ID alone", "General": "no ID of a channel or chat", "19%3aabc%40thread.tacv2": "%3a is the colon", "": "no ID", "19:a b": "no ID",
	}.Hold(t, a.CheckConversation)
	chattest.Names{place: "", "General": "no ID of a channel", strings.Repeat("a:", 200): "too long"}.Hold(t, a.CheckChannel)

	a.cfg.UnauthenticatedLoopback = true // whose IDs are of any form
	chattest.Names{tenant + "/user-1": "", tenant + "/User-1": "small letters", "x/user-1": "the tenants are"}.Hold(t, a.CheckSender)
	chattest.Names{"personal-chat": "", "": "no ID"}.Hold(t, a.CheckConversation)
}
