package httpapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func listen(t testing.TB, cfg ListenConfig) *Server {
	t.Helper()
	s, err := Listen(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start serves h until the test ends, or until stop is called.
func start(t testing.TB, s *Server, h http.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, h) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	taken := listen(t, ListenConfig{Addr: "127.0.0.1:0"})
	t.Cleanup(func() { _ = taken.Close() })
	cert, key := writeCert(t, t.TempDir(), "one")
	for _, tc := range []struct {
		name string
		cfg  ListenConfig
		want []string
	}{
		{"a taken port", ListenConfig{Addr: taken.Addr().String()}, []string{taken.Addr().String(), "is taken", "with listen in the config"}},
		{"a taken port of a flag", ListenConfig{Addr: taken.Addr().String(), Setting: "--listen"}, []string{"is taken", "with --listen"}},
		{"no address", ListenConfig{Addr: "nonsense"}, []string{`"nonsense"`, "host:port"}},
		{"an address of another machine", ListenConfig{Addr: "192.0.2.1:0"}, []string{"192.0.2.1", "no address of this machine"}},
		{"plain HTTP to the world", ListenConfig{Addr: ":0"}, []string{"plain HTTP", "tls.cert", "trusted_proxies", "127.0.0.1"}},
		{"a certificate without key", ListenConfig{Addr: "127.0.0.1:0", Cert: cert}, []string{"belong together"}},
		{"a certificate that is not there", ListenConfig{Addr: "127.0.0.1:0", Cert: cert + "x", Key: key}, []string{cert + "x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := Listen(t.Context(), tc.cfg)
			if err == nil {
				_ = s.Close()
				t.Fatal("it listens; want an error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestPlainHTTPBehindProxies(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	h := plainOnlyFrom(trusted, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, tc := range []struct {
		peer, path string
		want       int
	}{
		{"10.1.2.3:5", "/v1/jobs", http.StatusNoContent},
		{"127.0.0.1:5", "/v1/jobs", http.StatusNoContent},
		{"[::1]:5", "/v1/jobs", http.StatusNoContent},
		{"192.0.2.1:5", "/v1/jobs", http.StatusForbidden},
		{"192.0.2.1:5", "/healthz", http.StatusNoContent},
		{"192.0.2.1:5", "/readyz", http.StatusNoContent},
	} {
		w := record(h, tc.peer, tc.path)
		if w.Code != tc.want {
			t.Errorf("%s from %s: %d; want %d", tc.path, tc.peer, w.Code, tc.want)
		}
		if w.Code == http.StatusForbidden && !strings.Contains(w.Body.String(), "/problems/plain-http") {
			t.Errorf("the refusal does not say why: %s", w.Body)
		}
	}

	s := listen(t, ListenConfig{Addr: ":0", TrustedProxies: trusted})
	start(t, s, h)
	_, port, _ := net.SplitHostPort(s.Addr().String())
	get(t, newClient(t), "http://127.0.0.1:"+port+"/").want(t, http.StatusNoContent)
}

func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := writeCert(t, dir, "one")
	var logged bytes.Buffer
	c, err := loadCertificate(cert, key, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	subject := func() string {
		t.Helper()
		got, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.Subject.CommonName
	}

	writeCert(t, dir, "the second")
	if got := subject(); got != "one" {
		t.Errorf("within a second the files are read again: %q", got)
	}
	now = now.Add(recheckCerts)
	if got := subject(); got != "the second" {
		t.Errorf("after the renewal: %q", got)
	}

	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(recheckCerts)
	if got := subject(); got != "the second" {
		t.Errorf("after a broken renewal: %q", got)
	}
	if !strings.Contains(logged.String(), "cannot be used") {
		t.Errorf("a broken renewal is not logged: %s", &logged)
	}

	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	now = now.Add(recheckCerts)
	if got := subject(); got != "the second" {
		t.Errorf("after the file went: %q", got)
	}
	writeCert(t, dir, "third time")
	now = now.Add(recheckCerts)
	if got := subject(); got != "third time" {
		t.Errorf("after the mended renewal: %q", got)
	}
}

func TestServeTLS(t *testing.T) {
	t.Parallel()
	cert, key := writeCert(t, t.TempDir(), "one")
	s := listen(t, ListenConfig{Addr: "127.0.0.1:0", Cert: cert, Key: key})
	start(t, s, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	if body := get(t, tlsClient(t, cert, true), s.URL()+"/").want(t, http.StatusOK); body != "HTTP/2.0" {
		t.Errorf("got %q; want HTTP/2.0", body)
	}
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") {
		t.Errorf("URL is %s", s.URL())
	}
}

// TestStopIsGraceful stops the server while one request runs: it is finished,
// and what takes longer than the grace is cut off.
func TestStopIsGraceful(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 1), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	})
	s := listen(t, ListenConfig{Addr: "127.0.0.1:0", Grace: time.Minute})
	stop := start(t, s, h)
	body, client := make(chan string, 1), newClient(t)
	go func() {
		res, err := client.Get(s.URL())
		if err != nil {
			body <- err.Error()
			return
		}
		defer func() { _ = res.Body.Close() }()
		b, _ := io.ReadAll(res.Body)
		body <- string(b)
	}()
	<-entered
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release)
	<-stopped
	if got := <-body; got != "done" {
		t.Errorf("the request got %q; want it finished", got)
	}
}

func TestStopCutsOffAfterTheGrace(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 1), make(chan struct{})
	defer close(release)
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	var logged bytes.Buffer
	s := listen(t, ListenConfig{Addr: "127.0.0.1:0", Grace: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	stop := start(t, s, h)
	failed, client := make(chan error, 1), newClient(t)
	go func() {
		res, err := client.Get(s.URL())
		if err == nil {
			_ = res.Body.Close()
		}
		failed <- err
	}()
	<-entered
	stop()
	if err := <-failed; err == nil {
		t.Error("the request was answered; want it cut off")
	}
	if !strings.Contains(logged.String(), "cut off") {
		t.Errorf("nothing says that requests were cut off: %s", &logged)
	}
}

// writeCert writes a certificate for this machine and its key.
func writeCert(t testing.TB, dir, name string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		keyFile:  {Type: "EC PRIVATE KEY", Bytes: keyDER},
		certFile: {Type: "CERTIFICATE", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// tlsClient trusts the certificate in the file, and speaks HTTP/2 if asked to.
func tlsClient(t testing.TB, certFile string, http2 bool) *http.Client {
	t.Helper()
	pemBytes, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pemBytes)
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: http2,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
