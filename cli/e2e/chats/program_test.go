//go:build unix

package chats

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

	"github.com/letserverrun/skadi/cli/e2e/programs"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// far is a far side: a program in node that plays a platform. The first line
// that it prints is the URL where it listens on 127.0.0.1; tests steer it and
// ask what it saw by POST of JSON to /control/METHOD.
type far struct {
	*programs.Program
	t   *testing.T
	url string
}

// startFar starts farside/NAME/SCRIPT.
func startFar(t *testing.T, name, script string, env ...string) *far {
	t.Helper()
	node := throwaway.Program(t, "node", "nodejs")
	dir := install(t, name)
	p := programs.New(t, t.TempDir(), script, node, filepath.Join(dir, script))
	p.Env = append(p.Env, env...)
	p.Start()
	f := &far{Program: p, t: t}
	programs.Eventually(t, "the far side to listen", func(context.Context) error {
		line, _, whole := strings.Cut(p.Printed(), "\n")
		if f.url = line; !whole || !strings.HasPrefix(line, "http://127.0.0.1:") {
			return fmt.Errorf("it printed %q", line)
		}
		return nil
	})
	return f
}

// ask calls a control method of the far side. The answer is decoded into out
// unless that is nil; a status other than 200 fails the test.
func (f *far) ask(method string, in, out any) {
	f.t.Helper()
	programs.Must(f.t, f.tryAsk(f.t.Context(), method, in, out))
}

func (f *far) tryAsk(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"/control/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	a, err := http.DefaultClient.Do(r)
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
