package outward

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func mustAllow(t testing.TB, entries ...string) Allow {
	t.Helper()
	a, err := ParseAllow(entries)
	require.NoError(t, err)
	return a
}

// attacks are URLs that must not be called, with what the refusal says.
var attacks = map[string]string{
	"https://169.254.169.254/latest/meta-data":                 "metadata service",
	"https://[fd00:ec2::254]/latest":                           "metadata service",
	"https://100.100.100.200/":                                 "metadata service",
	"https://localhost/":                                       "this machine",
	"https://LOCALHOST./":                                      "this machine",
	"https://x.localhost:8443/":                                "this machine",
	"https://127.0.0.1/":                                       "loopback",
	"https://127.8.8.8/":                                       "loopback",
	"https://[::1]/":                                           "loopback",
	"https://[::]/":                                            "unspecified",
	"https://0.0.0.0/":                                         "unspecified",
	"https://[::ffff:127.0.0.1]/":                              "loopback",
	"https://[::ffff:7f00:1]/":                                 "loopback",
	"https://[::ffff:169.254.169.254]/":                        "metadata service",
	"https://[::127.0.0.1]/":                                   "reserved",
	"https://[64:ff9b::7f00:1]/":                               "loopback",
	"https://[64:ff9b::169.254.169.254]/":                      "metadata service",
	"https://[64:ff9b:1::7f00:1]/":                             "reserved",
	"https://[2002:7f00:1::]/":                                 "6to4",
	"https://[2001:0:4136:e378:8000:63bf::]/":                  "Teredo",
	"https://[fe80::1]/":                                       "link-local",
	"https://[fe80::1%25eth0]/":                                "link-local",
	"https://[2606:4700::1%25eth0]/":                           "link-local",
	"https://[fd12::1]/":                                       "private",
	"https://[fec0::1]/":                                       "reserved",
	"https://[ff02::1]/":                                       "multicast",
	"https://10.0.0.1/":                                        "private",
	"https://172.31.255.255/":                                  "private",
	"https://192.168.1.1/":                                     "private",
	"https://100.64.0.1/":                                      "carrier",
	"https://169.254.0.1/":                                     "link-local",
	"https://224.0.0.1/":                                       "multicast",
	"https://255.255.255.255/":                                 "broadcast",
	"https://2130706433/":                                      "is a number",
	"https://0x7f000001/":                                      "is a number",
	"https://0177.0.0.1/":                                      "is a number",
	"https://0x7f.1/":                                          "is a number",
	"https://127.1/":                                           "is a number",
	"https://127.0.0.1./":                                      "is a number",
	"https://１２７.０.０.１/":                                       "not ASCII",
	"https://%31%32%37.0.0.1/":                                 "not of the form",
	"https://user:secret@hooks.example.com/":                   "user or password",
	"https://hooks.example.com@127.0.0.1/":                     "user or password",
	"https://hooks.example.com/#x":                             "fragment",
	"http://hooks.example.com/":                                "over https:// alone",
	"ftp://hooks.example.com/":                                 "not of the form",
	"file:///etc/passwd":                                       "not of the form",
	"gopher://127.0.0.1:25/":                                   "not of the form",
	"https:///path":                                            "not of the form",
	"https:hooks.example.com":                                  "not of the form",
	"//hooks.example.com/":                                     "not of the form",
	"https://hooks.example.com:0/":                             "no port",
	"https://hooks.example.com:99999/":                         "no port",
	"https://a..b/":                                            "no name",
	"https://hooks.example.com/\r\nHost: other":                "blanks",
	"https://hooks.example.com/" + strings.Repeat("a", maxURL): "longer than",
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for raw, why := range attacks {
		err := Allow{}.Check(raw)
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), why) {
			t.Errorf("%.80s: %v, want a refusal about %q", raw, err, why)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the refusal shows a password: %v", raw, err)
		}
	}
}

func TestCheckAllows(t *testing.T) {
	t.Parallel()
	a := mustAllow(t, "10.1.2.0/24", "CI.internal", "::1", "127.0.0.1")
	for _, raw := range []string{
		"https://hooks.example.com/done?job=1", "https://hooks.example.com:8443/", "https://8.8.8.8/", "https://[2606:4700::1111]/",
		"https://[64:ff9b::808:808]/", "https://xn--bcher-kva.example/", "https://10.1.2.3/", "http://10.1.2.3:8080/", "http://ci.internal./x",
		"https://[::1]/", "http://[::ffff:127.0.0.1]/", "https://a_b.example.com/",
	} {
		if err := a.Check(raw); err != nil {
			t.Errorf("%s is refused: %v", raw, err)
		}
	}
	for _, raw := range []string{"https://10.1.3.1/", "http://sub.ci.internal/", "http://hooks.example.com/"} {
		if a.Check(raw) == nil {
			t.Errorf("%s is not refused", raw)
		}
	}
}

func TestParseAllowNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "10.0.0.1/8", "*.example.com", "https://example.com", "example.com:443", "a b", "0x7f.1", "300.1.1.1", "fe80::1%eth0"} {
		_, err := ParseAllow([]string{"10.0.0.0/8", bad})
		if err == nil || !strings.Contains(err.Error(), "[1]") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// names answers what a test says, in turn; the last answer stays.
type names struct {
	mu      sync.Mutex
	answers [][]netip.Addr
	asked   int
}

func (n *names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answer := n.answers[min(n.asked, len(n.answers)-1)]
	n.asked++
	return answer, nil
}

func resolves(addrs ...string) *names {
	n := &names{}
	for _, a := range addrs {
		n.answers = append(n.answers, []netip.Addr{netip.MustParseAddr(a)})
	}
	return n
}

// listenAt serves at an address of this machine.
func listenAt(t *testing.T, addr string, h http.HandlerFunc) (port string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Skipf("this machine cannot listen at %s: %v", addr, err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	srv.Start()
	t.Cleanup(srv.Close)
	_, port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c := New(cfg)
	t.Cleanup(c.Close)
	return c
}

func TestDialRefusesWhatNamesResolveTo(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	port := listenAt(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	for _, addr := range []string{"127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "fd00:ec2::254", "0.0.0.0", "::"} {
		c := newClient(t, Config{Resolver: resolves(addr)})
		_, err := c.Post(t.Context(), "https://hooks.example.com:"+port+"/?token=hidden", nil, "x")
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v, want a refusal", addr, err)
		} else if strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the refusal shows the URL: %v", addr, err)
		}
	}
	assert.Zero(t, calls.Load())
}

func TestDialRefusesAFamilyOfMixedAddresses(t *testing.T) {
	t.Parallel()
	n := &names{answers: [][]netip.Addr{{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.1")}}}
	_, err := newClient(t, Config{Resolver: n}).Post(t.Context(), "https://hooks.example.com/", nil, "")
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
}

// 127.0.0.2 stands for a public address here, and 127.0.0.1 for what is behind
// the wall.
func TestRebindingNamesAreRefusedEachTime(t *testing.T) {
	t.Parallel()
	var inside atomic.Int32
	var port string
	var l net.Listener
	for l == nil { // a port that is free at both
		port = listenAt(t, "127.0.0.2", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
		})
		var err error
		if l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:"+port); err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }), ReadHeaderTimeout: time.Minute}}
	srv.Start()
	t.Cleanup(srv.Close)
	a := mustAllow(t, "127.0.0.2")
	c := newClient(t, Config{Allow: a, Resolver: resolves("127.0.0.2", "127.0.0.1")})
	// Plain HTTP is for listed names; the test's name is not, so it goes round
	// the check of the URL and to the dialling itself.
	post := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rebind.example.com:"+port+"/", http.NoBody)
		require.NoError(t, err)
		resp, err := c.http.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		return withoutURL("rebind.example.com", err)
	}
	require.NoError(t, post(), "the first time it is a public address")
	var refused *RefusedError
	require.ErrorAs(t, post(), &refused)
	require.ErrorAs(t, post(), &refused)
	assert.Zero(t, inside.Load())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var inside atomic.Int32
	secret := listenAt(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { inside.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		port := listenAt(t, "127.0.0.1", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:"+secret+"/latest", status)
		})
		c := newClient(t, Config{Allow: mustAllow(t, "hooks.example.com"), Resolver: resolves("127.0.0.1")})
		answer, err := c.Post(t.Context(), "http://hooks.example.com:"+port+"/", nil, "body")
		require.NoError(t, err)
		assert.Equal(t, status, answer.Status)
	}
	assert.Zero(t, inside.Load())
}

func TestNoProxyOfTheEnvironment(t *testing.T) {
	var proxied atomic.Int32
	proxy := listenAt(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+proxy)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+proxy)
	t.Setenv("ALL_PROXY", "http://127.0.0.1:"+proxy)
	_, err := newClient(t, Config{Resolver: resolves("10.0.0.1")}).Post(t.Context(), "https://hooks.example.com/", nil, "")
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	assert.Zero(t, proxied.Load())
}

func TestPost(t *testing.T) {
	t.Parallel()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "v1", r.Header.Get("X-Test"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(strings.Repeat("a", 100)))
	}))
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	require.NoError(t, err)
	c := newClient(t, Config{
		Allow: mustAllow(t, "127.0.0.0/8"), Resolver: resolves("127.0.0.1"), MaxAnswer: 10,
		TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
	})
	answer, err := c.Post(t.Context(), "https://example.com:"+port+"/", http.Header{"X-Test": {"v1"}}, "body")
	require.NoError(t, err)
	assert.Equal(t, http.StatusAccepted, answer.Status)
	assert.Len(t, answer.Body, 10, "an answer is read to its limit")
	_, err = c.Post(t.Context(), "https://other.test:"+port+"/", nil, "body")
	require.Error(t, err, "the certificate is of another name")
}

func TestAnAnswerThatNeverComesEnds(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	port := listenAt(t, "127.0.0.1", func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	c := newClient(t, Config{Allow: mustAllow(t, "127.0.0.1"), Timeout: 20 * time.Millisecond})
	_, err := c.Post(t.Context(), "http://127.0.0.1:"+port+"/", nil, "")
	require.Error(t, err)
}

func FuzzCheck(f *testing.F) {
	for raw := range attacks {
		f.Add(raw)
	}
	f.Add("https://hooks.example.com/done")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := Allow{}.parse(raw)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q passed as %v", raw, u)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && unfit(ip) != "" {
			t.Fatalf("%q passed with address %s", raw, ip)
		}
		if net.ParseIP(u.Hostname()) == nil && checkName(u.Hostname()) != nil {
			t.Fatalf("%q passed with name %q", raw, u.Hostname())
		}
	})
}
