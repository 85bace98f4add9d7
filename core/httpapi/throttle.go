package httpapi

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	// failedBurst failed logins of one address are answered one after the
	// other; then one in failedEvery is.
	failedBurst = 10
	failedEvery = 6 * time.Second
	// throttleSize bounds the addresses that are remembered.
	throttleSize = 4096
	// passedSize bounds the tokens that are remembered.
	passedSize = 16384
)

// throttle counts failed logins per address, on each node for itself: with n
// nodes an address has n times as many. Only addresses that failed lately are
// remembered.
//
// Many servers may call from one address, and one with a revoked token must
// not shut the others out. So a token that was good before is looked at even
// when its address is blocked. It is known by a keyed hash of 64 bits, which
// lets nobody in: whoever hits one by chance is only told that the token is
// bad.
type throttle struct {
	seed maphash.Seed

	mu     sync.Mutex
	addrs  map[string]*rate.Limiter
	active atomic.Bool // addrs has entries

	passedMu sync.RWMutex
	passed   map[uint64]struct{}
}

func newThrottle() *throttle {
	return &throttle{seed: maphash.MakeSeed(), addrs: make(map[string]*rate.Limiter), passed: make(map[uint64]struct{})}
}

// pass remembers a good token.
func (t *throttle) pass(token string) {
	if t.hasPassed(token) {
		return
	}
	t.passedMu.Lock()
	defer t.passedMu.Unlock()
	if len(t.passed) >= passedSize {
		clear(t.passed)
	}
	t.passed[maphash.String(t.seed, token)] = struct{}{}
}

func (t *throttle) hasPassed(token string) bool {
	h := maphash.String(t.seed, token)
	t.passedMu.RLock()
	defer t.passedMu.RUnlock()
	_, ok := t.passed[h]
	return ok
}

// blocked reports whether addr has used up its failed logins, and for how
// long it has to wait.
func (t *throttle) blocked(addr string, now time.Time) (wait time.Duration, blocked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.addrs[throttleKey(addr)]
	if !ok {
		return 0, false
	}
	missing := 1 - l.TokensAt(now)
	if missing <= 0 {
		return 0, false
	}
	return time.Duration(missing * float64(failedEvery)), true
}

// failed counts one failed login of addr.
func (t *throttle) failed(addr string, now time.Time) {
	key := throttleKey(addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.addrs[key]
	if !ok {
		if len(t.addrs) >= throttleSize {
			t.forget(now)
		}
		l = rate.NewLimiter(rate.Every(failedEvery), failedBurst)
		t.addrs[key] = l
		t.active.Store(true)
	}
	l.AllowN(now, 1)
}

// forget drops every address that has recovered, and any eighth of the rest
// if none has: a flood from many addresses may free some of them, but never
// takes more memory.
func (t *throttle) forget(now time.Time) {
	for addr, l := range t.addrs {
		if l.TokensAt(now) >= failedBurst {
			delete(t.addrs, addr)
		}
	}
	excess := len(t.addrs) - throttleSize*7/8
	for addr := range t.addrs {
		if excess <= 0 {
			return
		}
		delete(t.addrs, addr)
		excess--
	}
}

// throttleKey counts an IPv6 network as one address, since one host has all
// of it to call from.
func throttleKey(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is4() {
		return addr
	}
	p, err := a.Prefix(64)
	if err != nil {
		return addr
	}
	return p.String()
}
