package chattest

import (
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// complete checks that a harness leaves nothing out that its adapter has, so
// that nothing goes untested without a word.
func complete(t *testing.T, h Harness) {
	s := start(t, h)
	lacks := func(what, since string) { t.Helper(); t.Errorf("the harness needs %s, since %s", what, since) }
	if h.Conversations < 1 {
		lacks("Conversations", "people write somewhere")
	}
	if _, pushed := s.Adapter().(chat.Pushed); pushed {
		const called = "the adapter is called over HTTP"
		if _, ok := s.Far.(Requests); !ok {
			lacks("a Far that is Requests", called)
		}
		if _, ok := s.Far.(Redelivers); !ok {
			lacks("a Far that is Redelivers", called)
		}
		if h.AnswerWithin == 0 {
			lacks("AnswerWithin", called)
		}
	}
	if _, ok := s.Far.(Clicks); !ok && s.Adapter().Capabilities().Buttons {
		lacks("a Far that is Clicks", "the adapter has buttons")
	}
	if _, ok := s.Far.(Locks); !ok && len(h.Secrets) > 0 {
		lacks("a Far that is Locks", "the adapter has credentials")
	}
	s.send(t, outbound("a", s.conversation(t, 0), "hello"))
	if s.net.called() > 0 && h.OverHTTP == nil {
		lacks("OverHTTP", "the adapter sends by calls over HTTP")
	}
}
