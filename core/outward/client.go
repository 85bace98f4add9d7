package outward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Config is what a Client works with. Its zero value is ready.
type Config struct {
	Allow Allow
	// Timeout bounds a call with its answer; 0 stands for 15 s.
	Timeout time.Duration
	// MaxAnswer is how much of an answer is read, in bytes; 0 stands for 64 KiB.
	MaxAnswer int64
	// Resolver resolves names; nil is the system's.
	Resolver Resolver
	// TLS is what certificates are held against; nil is the system's.
	TLS *tls.Config
}

// Resolver is what net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

const (
	dialTimeout   = 5 * time.Second
	callTimeout   = 15 * time.Second
	maxAnswer     = 64 << 10
	maxHeader     = 32 << 10
	maxIdlePerHop = 4
)

// Client calls what strangers name. It may be used concurrently.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a client. Close it when done.
func New(cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = callTimeout
	}
	if cfg.MaxAnswer <= 0 {
		cfg.MaxAnswer = maxAnswer
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.TLS != nil {
		tlsConfig = cfg.TLS.Clone()
	}
	c := &Client{cfg: cfg}
	c.http = &http.Client{
		Timeout: cfg.Timeout,
		// A redirect is an answer like any other: nobody is followed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  nil, // none of the environment: it could reach what is refused here
			DialContext:            c.dial,
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    dialTimeout,
			ResponseHeaderTimeout:  cfg.Timeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    maxIdlePerHop,
			MaxIdleConns:           64,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // so that a small answer cannot be a large one
		},
	}
	return c
}

// Close gives back what is kept for the next call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Check is that of the client's Allow.
func (c *Client) Check(raw string) error { return c.cfg.Allow.Check(raw) }

// Answer is what came of a call.
type Answer struct {
	Status int
	Header http.Header
	// Body is the beginning of the body.
	Body []byte
}

// Post sends a body. An answer with any status is no error, a redirect
// included. A *RefusedError says that nothing was sent since the address may
// not be called. No error shows the URL, which may have a secret in it.
func (c *Client) Post(ctx context.Context, raw string, header http.Header, body string) (Answer, error) {
	u, err := c.cfg.Allow.parse(raw)
	if err != nil {
		return Answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(body))
	if err != nil {
		return Answer{}, &RefusedError{Host: u.Hostname(), Why: "cannot be called by that URL"}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, withoutURL(u.Hostname(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := Answer{Status: resp.StatusCode, Header: resp.Header}
	// What it answers is for people to read; that it breaks off changes nothing.
	a.Body, _ = io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxAnswer))
	return a, nil
}

// withoutURL leaves the URL out of an error of the HTTP client.
func withoutURL(host string, err error) error {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused
	}
	var outer interface{ Unwrap() error }
	if errors.As(err, &outer) && outer.Unwrap() != nil { // *url.Error
		err = outer.Unwrap()
	}
	return fmt.Errorf("call %.100q: %w", host, err)
}

// dial resolves the name and connects to the first of its addresses that may
// be called and answers. If none may, the error is a *RefusedError.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{
		Timeout: dialTimeout,
		// The last word is said about the address that is connected to.
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return &RefusedError{Host: host, Why: "has an address that cannot be read"}
			}
			return c.cfg.Allow.judge(host, to.Addr())
		},
	}
	var errs []error
	for _, ip := range addrs {
		if err := c.cfg.Allow.judge(host, ip); err != nil {
			errs = append(errs, err)
			continue
		}
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		// What may be called and does not answer is the better reason.
		errs = append([]error{err}, errs...)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errs[0]
}

// maxAddrs is how many addresses of a name are tried.
const maxAddrs = 8

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := c.cfg.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("the name %.100q has no address", host)
	}
	return addrs[:min(len(addrs), maxAddrs)], nil
}
