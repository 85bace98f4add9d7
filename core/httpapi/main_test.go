package httpapi

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if code == 0 && wholeRun() {
			code = checkDocumented()
		}
		os.Exit(code)
	}))
}

// wholeRun reports whether all tests ran, so that what none of them saw is
// worth a complaint.
func wholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.bench", "test.fuzz", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// checkDocumented compares the statuses that tests saw with openapi.yaml.
func checkDocumented() (code int) {
	var d document
	if err := yaml.Unmarshal(OpenAPI(), &d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, w := range checkSeen(d, seen) {
		fmt.Fprintln(os.Stderr, w)
		code = 1
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "openapi.yaml and the handlers disagree")
	}
	return code
}

// record serves one GET as if it came from peer.
func record(h http.Handler, peer, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
	r.RemoteAddr = peer
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// newClient returns a client whose connections are closed when the test ends.
func newClient(t testing.TB) *http.Client {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// get fetches url.
func get(t *testing.T, client *http.Client, url string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req) //nolint:bodyclose // readAnswer does
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, res)
}
