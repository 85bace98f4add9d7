package official

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	a := &Adapter{cfg: Config{AppID: "wx0123"}}
	chattest.Names{
		"wx0123/oABC-def_1": "", "wx0123/*": "", "oABC": "write wx0123/ and the OpenID", "wx9/oABC": "write wx0123/", "wx0123/a/b": "no OpenID", "wx0123/": "no OpenID", "wx0123/李": "no OpenID",
	}.Hold(t, a.CheckSender)
	chattest.Names{"oABC-def_1": "", "wx0123/oABC": "no OpenID"}.Hold(t, a.CheckConversation)
}
