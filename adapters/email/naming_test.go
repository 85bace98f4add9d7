package email

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	a := &Adapter{inbox: newInbox("Inbox@Example.com")}
	chattest.Names{
		"alice@example.com": "", "o'hara+x@example.com": "", "a..b@example.com": "", "alice@xn--bcher-kva.example": "", "a/b@example.com": "",
		"Alice@Example.com": "write alice@example.com", "alice@bücher.example": "write alice@xn--bcher-kva.example", "A..b@example.com": "write a..b@example.com",
		"alice": "no address", "example.com/*": "no address", "@example.com": "no address", "alice@": "no address", "*": "no address",
	}.Hold(t, a.CheckSender)
	chattest.Names{"inbox@example.com": "", "Inbox@example.com": "write inbox@example.com", "inbox+web-1@example.com": "write inbox@example.com"}.Hold(t, a.CheckConversation)
}
