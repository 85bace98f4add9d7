package httpapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/letserverrun/skadi/core/agentapi"
)

const (
	headerTime  = 10 * time.Second
	idleTime    = 2 * time.Minute
	headerBytes = 32 << 10
	// defaultGrace is how long requests have to end when the server stops.
	defaultGrace = 10 * time.Second
)

// ListenConfig says where and how to serve.
type ListenConfig struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// Setting is where Addr comes from, as errors name it; "" means listen in
	// the config.
	Setting string
	// Cert and Key are PEM files. They are read again when they change.
	// Without them the server speaks plain HTTP, which is allowed on loopback
	// and behind TrustedProxies alone.
	Cert, Key string
	// TrustedProxies may call over plain HTTP from other machines.
	TrustedProxies []netip.Prefix
	// Grace is how long requests have to end when the server stops; 0 means
	// 10 s. Waiting calls are answered at once and need none of it.
	Grace  time.Duration
	Logger *slog.Logger
}

// Server has an address and serves on it once. Make one with Listen.
type Server struct {
	cfg      ListenConfig
	listener net.Listener
	tls      *tls.Config // nil for plain HTTP
}

// Serve listens and serves handler until ctx ends. See Listen and
// Server.Serve.
func Serve(ctx context.Context, cfg ListenConfig, handler http.Handler) error {
	s, err := Listen(ctx, cfg)
	if err != nil {
		return err
	}
	return s.Serve(ctx, handler)
}

// Listen takes the address, so that a caller knows early whether it is free.
// Its errors say what to change. The caller ends it with Serve or Close.
func Listen(ctx context.Context, cfg ListenConfig) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	s := &Server{cfg: cfg}
	if cfg.Cert != "" || cfg.Key != "" {
		certs, err := loadCertificate(cfg.Cert, cfg.Key, cfg.Logger)
		if err != nil {
			return nil, err
		}
		s.tls = &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: certs.get, NextProtos: []string{"h2", "http/1.1"},
		}
	}
	var err error
	s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, listenError(cfg, err)
	}
	if s.tls == nil && len(cfg.TrustedProxies) == 0 && !isLoopback(s.listener.Addr()) {
		_ = s.listener.Close()
		return nil, fmt.Errorf("listen: %s can be reached from other machines, and plain HTTP would show them every token: "+
			"set tls.cert and tls.key, or listen on 127.0.0.1, or list the proxies in front of this server in trusted_proxies", cfg.Addr)
	}
	return s, nil
}

// listenError says which address failed and what to do about it.
func listenError(cfg ListenConfig, err error) error {
	addr, setting := cfg.Addr, cmp.Or(cfg.Setting, "listen in the config")
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen: %s is taken by another program, or by another Skadi: "+
			"stop that one, or choose another address with %s: %w", addr, setting, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen: %s may not be used by this user: ports below 1024 need a privilege; "+
			"choose another address with %s: %w", addr, setting, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("listen: %s is no address of this machine; "+
			"choose another with %s: %w", addr, setting, err)
	}
	return fmt.Errorf("listen: cannot use %q, which must be host:port as in 127.0.0.1:8080: %w", addr, err)
}

// Addr is the address that was taken.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// URL is the server's address for callers on this machine.
func (s *Server) URL() string {
	scheme := "http"
	if s.tls != nil {
		scheme = "https"
	}
	host, port := "localhost", 0
	if a, ok := s.listener.Addr().(*net.TCPAddr); ok {
		port = a.Port
		if !a.IP.IsUnspecified() {
			host = a.IP.String()
		}
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
}

// Close gives the address back without serving.
func (s *Server) Close() error { return s.listener.Close() }

// Serve serves handler until ctx ends. Then calls that wait are answered at
// once with what there is, streams end, others get the grace to finish, and
// Serve returns nil. An error means that serving failed before that.
func (s *Server) Serve(ctx context.Context, handler http.Handler) error {
	// The context of every request ends with stopping, so that what waits
	// needs no other signal; what does not wait goes on without it.
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	listener := s.listener
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	parking := newLot(stopping, listener)
	base := context.WithValue(stopping, lotKey{}, parking)
	srv := &http.Server{
		Handler:           handler,
		TLSConfig:         s.tls,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		// Bodies and answers have deadlines of their own: see call.serve.
	}
	if s.tls == nil && !isLoopback(s.listener.Addr()) {
		srv.Handler = plainOnlyFrom(s.cfg.TrustedProxies, handler)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(parking) }()
	select {
	case err := <-served:
		stop()
		parking.end(context.WithoutCancel(ctx))
		return fmt.Errorf("serve on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	parked := make(chan struct{})
	go func() { defer close(parked); parking.end(grace) }()
	if err := srv.Shutdown(grace); err != nil {
		s.cfg.Logger.Warn("requests were cut off, since they did not end in time", "grace", s.cfg.Grace)
		_ = srv.Close()
	}
	<-parked
	s.cfg.Logger.Debug("no longer serving", "address", s.Addr(), "err", <-served)
	return nil
}

// plainOnlyFrom refuses unencrypted calls of others than this machine and the
// trusted proxies, before anybody looks at their token. Health can be asked
// by anybody.
func plainOnlyFrom(trusted []netip.Prefix, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := peerAddr(r.RemoteAddr)
		if peer.IsLoopback() || contains(trusted, peer) || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		f := fail(agentapi.ProblemPlainHTTP, "%s is not in trusted_proxies, and this server has no certificate: call it over https, through its proxy", peer)
		w.Header().Set("Connection", "close")
		writeProblem(w, &f.problem)
	})
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
