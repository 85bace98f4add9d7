package envelope

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxNonces bounds how many nonces are kept. Only calls that are signed get
// here, so the far side would have to send more than that in a window.
const maxNonces = 100_000

// nonces remembers calls for as long as their signature is good. The zero value
// with keep set is ready for use, also concurrently.
type nonces struct {
	keep time.Duration

	mu   sync.Mutex
	seen map[[sha256.Size]byte]call
	// old are the keys, in the order of their coming.
	old [][sha256.Size]byte
}

type call struct {
	message [sha256.Size]byte
	at      time.Time
}

// add remembers a call, and reports false if one of that key came before with
// another message.
func (n *nonces) add(key string, message []byte, now time.Time) bool {
	k, m := sha256.Sum256([]byte(key)), sha256.Sum256(message)
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.old) > 0 && (len(n.old) >= maxNonces || now.Sub(n.seen[n.old[0]].at) > n.keep) {
		delete(n.seen, n.old[0])
		n.old = n.old[1:]
	}
	if before, ok := n.seen[k]; ok {
		return before.message == m
	}
	if n.seen == nil {
		n.seen = make(map[[sha256.Size]byte]call)
	}
	n.seen[k] = call{message: m, at: now}
	n.old = append(n.old, k)
	return true
}
