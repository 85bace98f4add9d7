//go:build unix

package programs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/internal/throwaway"
)

// Far is a far side: a program in node that plays a platform. The first line
// that it prints is the URL where it listens on 127.0.0.1; tests steer it and
// ask what it saw by POST of JSON to /control/METHOD.
type Far struct {
	*Program
	URL string
}

// toFar waits for as long as the test does: a far side that is busy takes its time
// to accept a connection.
var toFar = http.Client{Transport: &http.Transport{}}

// StartFar starts a script of a folder in which npm has installed what it needs.
func StartFar(t *testing.T, dir, script string, env ...string) *Far {
	t.Helper()
	node := throwaway.Program(t, "node", "nodejs")
	p := New(t, t.TempDir(), script, node, filepath.Join(dir, script))
	p.Env = append(p.Env, env...)
	p.Start()
	f := &Far{Program: p}
	Eventually(t, "the far side to listen", func(context.Context) error {
		line, _, whole := strings.Cut(p.Printed(), "\n")
		if f.URL = line; !whole || !strings.HasPrefix(line, "http://127.0.0.1:") {
			return fmt.Errorf("it printed %q", line)
		}
		return nil
	})
	return f
}

// Ask calls a control method of the far side. The answer is decoded into out
// unless that is nil; a status other than 200 fails the test.
func (f *Far) Ask(method string, in, out any) {
	f.t.Helper()
	Must(f.t, f.TryAsk(f.t.Context(), method, in, out))
}

// TryAsk is Ask for what may go wrong.
func (f *Far) TryAsk(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.URL+"/control/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	a, err := toFar.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("the far side answers %s with %d %s", method, a.StatusCode, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
