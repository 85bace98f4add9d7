package httpapi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// recheckCerts is how often the files are looked at, at most.
const recheckCerts = time.Second

// certificate is a certificate that follows its files. A renewal that is
// broken, or of which only one file is written yet, leaves the old one in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	current atomic.Pointer[tls.Certificate]

	mu      sync.Mutex
	checked time.Time
	seen    [2]fileState
}

// fileState tells whether a file was written again.
type fileState struct {
	at   time.Time
	size int64
}

func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("tls: cert and key belong together: set both, or neither")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	c.seen = c.state()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls: cannot use cert %s with key %s: %w", certFile, keyFile, err)
	}
	c.current.Store(&pair)
	c.checked = c.now()
	return c, nil
}

// get is called for every TLS handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	// Whoever finds the lock taken uses what there is.
	if c.mu.TryLock() {
		c.refresh()
		c.mu.Unlock()
	}
	return c.current.Load(), nil
}

func (c *certificate) refresh() {
	now := c.now()
	if now.Sub(c.checked).Abs() < recheckCerts {
		return
	}
	c.checked = now
	state := c.state()
	if state == c.seen {
		return
	}
	c.seen = state
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Error("the renewed certificate cannot be used; the one before stays in use",
			"cert", c.certFile, "key", c.keyFile, "err", err)
		return
	}
	c.current.Store(&pair)
	c.log.Info("the certificate was renewed", "cert", c.certFile, "expires", pair.Leaf.NotAfter)
}

func (c *certificate) state() (s [2]fileState) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			s[i] = fileState{at: info.ModTime(), size: info.Size()}
		}
	}
	return s
}
