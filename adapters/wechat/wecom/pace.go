package wecom

import (
	"errors"
	"sync"
	"time"
)

// window is a limit of the far side: so many messages in a time.
type window struct {
	most int
	span time.Duration
}

// An application may send a member 30 messages a minute and 1,000 an hour; what
// is more is thrown away without a word. A little is added for the way there.
// https://developer.work.weixin.qq.com/document/path/90312
var memberWindows = []window{{30, 63 * time.Second}, {1000, time.Hour + 3*time.Second}}

// A robot may send 20 messages a minute:
// https://developer.work.weixin.qq.com/document/path/91770
var robotWindows = []window{{20, 63 * time.Second}}

// errPace is why a message waits.
var errPace = errors.New("the message waits for its turn: WeCom takes so many a minute, and throws more away")

// pace remembers when messages were sent, to whom. The zero value with windows
// is ready for use, also concurrently.
type pace struct {
	windows []window

	mu   sync.Mutex
	sent map[string][]time.Time // oldest first
	last time.Time              // when old ones were dropped
}

// wait returns 0 if n messages to somebody may be sent now, and counts them; or
// else for how long they are to wait.
func (p *pace) wait(who string, n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	times := p.sent[who]
	var wait time.Duration
	for _, w := range p.windows {
		// n more fit when the one that stands w.most - n from the end is out.
		if i := len(times) - (w.most - min(n, w.most)) - 1; i >= 0 {
			wait = max(wait, times[i].Add(w.span).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	if p.sent == nil {
		p.sent = make(map[string][]time.Time)
	}
	for range n {
		times = append(times, now)
	}
	p.sent[who] = times
	return 0
}

// forget drops what counts no more. It is called with the lock held.
func (p *pace) forget(now time.Time) {
	longest := p.windows[len(p.windows)-1]
	if now.Sub(p.last).Abs() < longest.span/60 {
		return
	}
	p.last = now
	for who, times := range p.sent {
		for len(times) > 0 && (len(times) > longest.most || now.Sub(times[0]).Abs() >= longest.span) {
			times = times[1:]
		}
		if p.sent[who] = times; len(times) == 0 {
			delete(p.sent, who)
		}
	}
}

// progress remembers how much of a message in several parts was sent, so that
// another try goes on where the last one failed. The zero value is ready for
// use, also concurrently.
type progress struct {
	mu   sync.Mutex
	sent map[string]done
	old  []string
}

type done struct {
	parts int
	first string // the ID of the first part
}

// maxProgress bounds the messages that are remembered.
const maxProgress = 1000

func (p *progress) of(id string) done {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[id]
}

// note keeps how far a message has come.
func (p *progress) note(id string, d done) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == nil {
		p.sent = make(map[string]done)
	}
	if _, ok := p.sent[id]; !ok {
		if p.old = append(p.old, id); len(p.old) > maxProgress {
			delete(p.sent, p.old[0])
			p.old = p.old[1:]
		}
	}
	p.sent[id] = d
}
