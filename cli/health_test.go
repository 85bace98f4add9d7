package cli

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters"
)

// healthy answers like a server that serves and can do no work.
func healthy(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
	case "/slow/healthz":
		<-r.Context().Done()
	case "/moved/healthz":
		http.Redirect(w, r, "/healthz", http.StatusFound)
	default:
		http.Error(w, `{"detail":"database"}`, http.StatusServiceUnavailable)
	}
}

func askHealth(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Main(adapters.Factories(), append([]string{"health"}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(healthy))
	t.Cleanup(server.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"it serves":            {[]string{"--url", server.URL}, exitOK, "/healthz: yes"},
		"as JSON":              {[]string{"--url", server.URL + "/", "--json"}, exitOK, `"ok": true`},
		"not ready":            {[]string{"--url", server.URL, "--ready"}, exitFailed, "database"},
		"nobody there":         {[]string{"--url", gone.URL}, exitFailed, "refused"},
		"it hangs":             {[]string{"--url", server.URL + "/slow", "--timeout", "50ms"}, exitFailed, "no answer in time"},
		"a redirect is no":     {[]string{"--url", server.URL + "/moved"}, exitFailed, "302"},
		"no address":           {[]string{"--url", "localhost"}, exitUsage, "--url takes"},
		"no config":            {[]string{"-c", "/nowhere/skadi.yaml"}, exitFailed, "/nowhere/skadi.yaml"},
		"an argument too many": {[]string{"now"}, exitUsage, "too much"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, out, errs := askHealth(t, tc.args...); code != tc.code || !strings.Contains(out+errs, tc.says) {
				t.Errorf("code %d, stdout %q, stderr %q; want %d and %q", code, out, errs, tc.code, tc.says)
			}
		})
	}
}

// TestHealthByConfig finds the server where its config has it listen, and
// believes no certificate but the config's.
func TestHealthByConfig(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.HandlerFunc(healthy))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(healthy))
	defer secure.Close()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pair := secure.TLS.Certificates[0]
	cert := write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	port := func(s *httptest.Server) string { return s.URL[strings.LastIndex(s.URL, ":")+1:] }

	file := write("plain.yaml", "listen: 0.0.0.0:"+port(plain)+"\ntrusted_proxies: [10.0.0.7]\n")
	if code, out, errs := askHealth(t, "-c", file); code != exitOK || out != "http://127.0.0.1:"+port(plain)+"/healthz: yes\n" {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
	tls := "tls: {cert: " + cert + ", key: " + cert + "}\n"
	file = write("tls.yaml", "listen: 127.0.0.1:"+port(secure)+"\n"+tls)
	if code, out, errs := askHealth(t, "-c", file); code != exitOK {
		t.Errorf("code %d, %q, %q", code, out, errs)
	}
	if code, _, errs := askHealth(t, "--url", secure.URL); code != exitFailed || !strings.Contains(errs, "certificate") {
		t.Errorf("a strange certificate: code %d, %q", code, errs)
	}
	file = write("any.yaml", "listen: 127.0.0.1:0\n")
	if code, _, errs := askHealth(t, "-c", file); code != exitUsage || !strings.Contains(errs, "--url") {
		t.Errorf("code %d, %q", code, errs)
	}
}

func TestReachable(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8080":   "127.0.0.1:8080",
		"0.0.0.0:8443":     "127.0.0.1:8443",
		"[::]:8443":        "localhost:8443",
		":8443":            "localhost:8443",
		"skadi.local:8443": "skadi.local:8443",
		"[fd00::1]:80":     "[fd00::1]:80",
	} {
		if got, err := reachable(listen); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", listen, got, err, want)
		}
	}
}
