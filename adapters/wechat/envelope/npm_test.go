package envelope_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestPackagesOfOthers has the packages that others use build callbacks and open
// answers.
func TestPackagesOfOthers(t *testing.T) {
	t.Parallel()
	node := throwaway.Program(t, "node", "nodejs")
	dir := filepath.Join(t.TempDir(), "npm")
	throwaway.NPM(t, filepath.Join("testdata", "npm"), dir)
	texts := []string{"", "<xml><Content><![CDATA[hi]]></Content></xml>", "你好，世界 👋🏽", strings.Repeat("x", 31), strings.Repeat("世", 5000)}
	for n := range 34 { // every length of padding
		texts = append(texts, strings.Repeat("p", n))
	}
	c := newCodec(t)
	type sealed struct {
		Encrypt   string `json:"encrypt"`
		Timestamp string `json:"timestamp"`
		Nonce     string `json:"nonce"`
		Signature string `json:"-"`
	}
	var open []sealed
	for _, text := range texts {
		answer, err := c.Seal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		f, err := envelope.Parse(answer)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, sealed{f["Encrypt"], f["TimeStamp"], f["Nonce"], f["MsgSignature"]})
	}
	in, err := json.Marshal(map[string]any{"token": token, "key": key, "id": receiver, "timestamp": "1409659589", "build": texts, "open": open})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "exchange.js")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	var got map[string]struct {
		Built  []struct{ Message, Encrypt, Nonce, Signature string }
		Opened []struct{ Message, ID, Signature string }
	}
	if err := json.Unmarshal(out, &got); err != nil || len(got) != 2 {
		t.Fatalf("%d packages: %v", len(got), err)
	}
	for name, p := range got {
		if len(p.Built) != len(texts) || len(p.Opened) != len(texts) {
			t.Fatalf("%s built %d and opened %d, want %d each", name, len(p.Built), len(p.Opened), len(texts))
		}
		for i, b := range p.Built {
			q := url.Values{"msg_signature": {b.Signature}, "timestamp": {"1409659589"}, "nonce": {b.Nonce}}
			body := "<xml><Encrypt><![CDATA[" + b.Encrypt + "]]></Encrypt></xml>"
			if message, err := c.Open(q, []byte(body)); err != nil || string(message) != texts[i] {
				t.Errorf("%s built text %d, and it opens as %.40q (%v)", name, i, message, err)
			}
		}
		for i, o := range p.Opened {
			if o.Message != texts[i] || o.ID != receiver || o.Signature != open[i].Signature {
				t.Errorf("%s opens text %d as %.40q for %q", name, i, o.Message, o.ID)
			}
		}
	}
}
