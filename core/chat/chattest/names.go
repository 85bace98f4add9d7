package chattest

import (
	"errors"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// Names are what a test of a [chat.Naming] or a [chat.ChannelChecker] asks it
// about: names, and of those that are to be refused a part of why.
type Names map[string]string

// Hold checks what is said of each name.
func (n Names) Hold(t *testing.T, check func(name string) error) {
	t.Helper()
	for name, why := range n {
		err := check(name)
		if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
			t.Errorf("%q: %v, want %q", name, err, why)
		}
	}
}

// named checks that an adapter which knows what its people and conversations
// are called knows those of a message that it handed in.
func (s *setup) named(t *testing.T, got chat.Inbound) {
	t.Helper()
	naming, ok := s.Adapter().(chat.Naming)
	if !ok {
		return
	}
	senders := append([]string{got.Sender.User}, got.Groups...)
	if got.Sender.Workspace != "" {
		senders[0] = got.Sender.Workspace + "/" + got.Sender.User
		senders = append(senders, got.Sender.Workspace+"/*")
	}
	for _, name := range senders {
		if err := naming.CheckSender(name); err != nil {
			t.Errorf("a rule about %s:%s would be refused, and it came from there: %v", Account, name, err)
		}
	}
	conversation := got.Conversation.Channel
	if conversation == "" {
		conversation = got.Conversation.Key
	}
	if err := naming.CheckConversation(conversation); err != nil {
		t.Errorf("a rule about %s:%s would be refused, and it came in it: %v", Account, conversation, err)
	}
}

// opensNothing is what no far side calls a channel.
var opensNothing = []string{"", " ", "a channel\nof two lines", "a\x00b"}

// channels checks that what an adapter refuses as a channel's name it does not
// open either.
func channels(t *testing.T, h Harness) {
	s := start(t, h)
	checker, checks := s.Adapter().(chat.ChannelChecker)
	if !checks {
		t.Skip("the adapter does not say what its channels are called")
	}
	opener, opens := s.Adapter().(chat.Opener)
	if !opens {
		t.Fatal("the adapter says what its channels are called, and is no chat.Opener")
	}
	for _, name := range opensNothing {
		if checker.CheckChannel(name) == nil {
			t.Errorf("%q passes for a channel's name", name)
		}
		_, err := opener.Open(t.Context(), name)
		var se *chat.SendError
		if !errors.As(err, &se) || se.Class != chat.Permanent {
			t.Errorf("opening %q: %v, want an error that is %s", name, err, chat.Permanent)
		}
	}
}
