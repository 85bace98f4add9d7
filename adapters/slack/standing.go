package slack

import (
	"errors"
	"fmt"
	"sync"

	"github.com/letserverrun/skadi/core/chat"
)

// errEnded is why there is no connection where Slack gives no reason.
var errEnded = errors.New("it ended the connection")

// standing counts the connections over which Slack delivers, and reports to the
// host whether there is one. While one stands, the other may come and go.
type standing struct {
	mu sync.Mutex
	n  int
}

// begun notes a connection.
func (s *standing) begun(env chat.Env) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	env.Report(nil)
}

// ended notes the end of one that begun has noted.
func (s *standing) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n--
}

// without reports that a connection has ended or was not made, unless another
// stands. err may be nil, and shows no secret.
func (s *standing) without(env chat.Env, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n > 0 {
		return
	}
	if err == nil {
		err = errEnded
	}
	env.Report(fmt.Errorf("no connection to Slack: %w", err))
}
