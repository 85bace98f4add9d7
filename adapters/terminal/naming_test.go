package terminal

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/chat/chattest"
)

func TestNames(t *testing.T) {
	t.Parallel()
	a, err := New(Config{User: "ada", In: strings.NewReader("")}, chat.Env{Account: "terminal"})
	if err != nil {
		t.Fatal(err)
	}
	chattest.Names{"ada": "", "grace": "write ada", "w/ada": "write the user alone"}.Hold(t, a.CheckSender)
	chattest.Names{"terminal": "", "c1": "the only one of a terminal is \"terminal\""}.Hold(t, a.CheckConversation)
	if a, err = New(Config{In: strings.NewReader("")}, chat.Env{Account: "terminal"}); err != nil {
		t.Fatal(err)
	}
	chattest.Names{"ada": "", "grace": "", "w/ada": "write the user alone"}.Hold(t, a.CheckSender)
}
