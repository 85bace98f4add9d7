package official

import (
	"context"
	"sync"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// repeats is for how long WeChat may ask again for an answer that was written
// and did not arrive.
const repeats = 20 * time.Second

// calls are the calls of WeChat that wait for an answer, by the message that
// they bring. An answer is handed to its call, and counts as sent only when it
// was written.
type calls struct {
	clock chat.Clock

	mu      sync.Mutex
	waiting map[string]*call
	// told are answers that were written, so that a message which comes again
	// gets the same; old are their messages, oldest first.
	told map[string]told
	old  []string
	// running is closed when nothing more is handed over; nil before.
	running chan struct{}
}

type told struct {
	text string
	at   time.Time
}

func newCalls(clock chat.Clock) *calls {
	return &calls{clock: clock, waiting: make(map[string]*call), told: make(map[string]told)}
}

// open lets calls wait for answers, until close.
func (c *calls) open() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = make(chan struct{})
}

// close ends the waiting of all calls.
func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.running)
	c.running = nil
}

// call is one call that waits.
type call struct {
	of *calls
	id string
	// offers take an answer, as long as the call waits.
	offers chan offer
	// again gets the answer that an earlier call of the same message was given.
	again chan string
	// over is closed when nothing is taken any more.
	over    chan struct{}
	running chan struct{}
}

// offer is an answer on its way to a call, and where to say whether it was
// written.
type offer struct {
	text    string
	written chan bool
}

// enter begins a call. It takes the place of an earlier call of the same message,
// to which WeChat does not listen any more.
func (c *calls) enter(id string) *call {
	n := &call{of: c, id: id, offers: make(chan offer), again: make(chan string, 1), over: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.running = c.running
	c.forget()
	if t, ok := c.told[id]; ok {
		n.again <- t.text
	}
	c.waiting[id] = n
	return n
}

// forget drops what nobody asks for again. It is called with the lock held.
func (c *calls) forget() {
	for len(c.old) > 0 && c.clock().Sub(c.told[c.old[0]].at).Abs() > repeats {
		delete(c.told, c.old[0])
		c.old = c.old[1:]
	}
}

// leave ends the call.
func (n *call) leave() {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	if n.of.waiting[n.id] == n {
		delete(n.of.waiting, n.id)
	}
	close(n.over)
}

// wait waits for an answer, at most for that long. The caller says by written
// whether it got out.
func (n *call) wait(ctx context.Context, most time.Duration) (text string, written func(bool), ok bool) {
	none := func(bool) {}
	select { // what was told before needs no waiting
	case text := <-n.again:
		return text, none, true
	default:
	}
	if n.running == nil {
		return "", none, false
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case o := <-n.offers:
		return o.text, func(ok bool) { n.tell(o, ok) }, true
	case text := <-n.again:
		return text, none, true
	case <-timer.C:
	case <-n.running:
	case <-ctx.Done():
	}
	return "", none, false
}

// tell says whether an answer was written, and remembers one that was.
func (n *call) tell(o offer, ok bool) {
	c := n.of
	c.mu.Lock()
	if ok {
		c.remember(n.id, o.text)
		if later := c.waiting[n.id]; later != nil && later != n {
			select {
			case later.again <- o.text:
			default: // it has it already
			}
		}
	}
	c.mu.Unlock()
	o.written <- ok
}

// remember keeps an answer for a while. It is called with the lock held.
func (c *calls) remember(id, text string) {
	if _, before := c.told[id]; !before {
		c.old = append(c.old, id)
	}
	c.told[id] = told{text: text, at: c.clock()}
}

// hand gives an answer to the call that waits for it, and reports whether it was
// written there.
func (c *calls) hand(ctx context.Context, id, text string) bool {
	c.mu.Lock()
	n := c.waiting[id]
	c.mu.Unlock()
	if n == nil {
		return false
	}
	o := offer{text: text, written: make(chan bool, 1)}
	select {
	case n.offers <- o:
		return <-o.written // soon: writing has a deadline
	case <-n.over:
	case <-ctx.Done():
	}
	return false
}
