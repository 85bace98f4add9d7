package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	// liveEvery is the shortest time between two pieces of live output.
	liveEvery = 100 * time.Millisecond
	// livePiece is the longest piece, in bytes.
	livePiece = 32 << 10
	// livePending is how much may wait while the server is slow; beyond it
	// the oldest is skipped, as the result has the output anyway.
	livePending = 256 << 10
)

// live sends what a job writes while it runs. It is for people who watch: it
// gives up rather than hold up the job.
type live struct {
	s    *session
	hold agentapi.Hold

	mu      sync.Mutex
	pending []byte
	skipped int
	sending bool // a goroutine sends
	stopped bool
	end     context.CancelFunc // ends a pause between two tries
	ctx     context.Context

	// The goroutine's own.
	seq int64
}

func newLive(s *session, h agentapi.Hold) *live { return &live{s: s, hold: h} }

// add takes more output; the first goes out at once.
func (l *live) add(text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	l.pending = append(l.pending, text...)
	if over := len(l.pending) - livePending; over > 0 {
		for over < len(l.pending) && !utf8.RuneStart(l.pending[over]) {
			over++
		}
		l.skipped += over
		l.pending = append(l.pending[:0], l.pending[over:]...)
	}
	if !l.sending {
		l.sending = true
		if l.ctx == nil {
			l.ctx, l.end = context.WithCancel(l.s.all)
		}
		l.s.spawn(l.send)
	}
}

// stop drops what is not sent: the result has it.
func (l *live) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped, l.pending = true, nil
	if l.end != nil {
		l.end()
	}
}

// next takes a piece to send; none ends the goroutine.
func (l *live) next() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.pending), livePiece)
	for n > 0 && n < len(l.pending) && !utf8.RuneStart(l.pending[n]) {
		n--
	}
	if n == 0 || l.stopped {
		l.sending = false
		return ""
	}
	text := string(l.pending[:n])
	l.pending = append(l.pending[:0], l.pending[n:]...)
	if l.skipped > 0 {
		text = fmt.Sprintf("\n… %d bytes skipped …\n%s", l.skipped, text)
		l.skipped = 0
	}
	return text
}

func (l *live) send() {
	for {
		text := l.next()
		if text == "" {
			return
		}
		l.seq++
		if !l.piece(text) {
			l.mu.Lock()
			l.stopped, l.sending, l.pending = true, false, nil
			l.mu.Unlock()
			return
		}
		if !pause(l.ctx, liveEvery) {
			return
		}
	}
}

// piece sends one piece until the server has it, and reports whether there is
// any use in going on.
func (l *live) piece(text string) bool {
	gaps := 0
	for tries := 0; ; tries++ {
		// Not l.ctx: breaking off a call costs its connection.
		err := l.s.client.Output(l.s.all, l.hold.ID, agentapi.Output{Lease: l.hold.Lease, Seq: l.seq, Text: text})
		if err == nil {
			return true
		}
		var p *agentapi.Problem
		if errors.As(err, &p) {
			switch {
			case p.Status == http.StatusConflict && p.Expected > 0 && gaps == 0:
				// The server has lost pieces, or has one that we do not
				// know of: go on where it is.
				gaps++
				l.seq = p.Expected
				continue
			case !p.Temporary() && p.Status != http.StatusUnauthorized:
				return false
			}
		}
		wait := min(retryFirst<<min(tries, 5), 10*time.Second)
		if p != nil {
			wait = max(wait, p.RetryAfter)
		}
		if !pause(l.ctx, wait) {
			return false
		}
	}
}
