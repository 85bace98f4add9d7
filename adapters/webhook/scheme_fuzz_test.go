package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

// FuzzSchemes makes up headers. Without a secret nobody signs anything.
func FuzzSchemes(f *testing.F) {
	f.Add("sha256=00", "v1,AAAA v1,", "1700000000", "msg_1", "{}")
	f.Add("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "1614265330", "msg_p5jXN8AQM9LWM0D4loKWxJek", `{"test": 2432232314}`)
	f.Add("", "", "", "", "")
	schemes := []scheme{
		schemeOf(Config{Provider: GitHub, Secrets: []chat.Secret{farSecret}}),
		schemeOf(Config{Provider: GitLab, Secrets: []chat.Secret{farSecret, farSigning}}),
		schemeOf(Config{Provider: Standard, Secrets: []chat.Secret{farSigning}}),
		schemeOf(Config{Provider: Generic, Secrets: []chat.Secret{farSecret}, IDHeader: "X-Id", Signature: Signature{
			Header: githubSignature, Prefix: "sha256=", TimestampHeader: standardTime, Signed: "{timestamp}.{id}.{body}",
		}}),
	}
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, hub, standard, at, id, body string) {
		h := http.Header{}
		for name, value := range map[string]string{
			githubSignature: hub, githubDelivery: id, githubEvent: "push", standardSignature: standard,
			standardTime: at, standardID: id, gitlabToken: hub, "X-Id": id,
		} {
			h.Set(name, value)
		}
		for _, s := range schemes {
			if got, err := s.verify(h, []byte(body), now); err == nil {
				t.Errorf("%T believes it and calls it %q", s, got)
			}
			if err := s.claim(h); err != nil && err.Error() == "" {
				t.Error("a refusal without a reason")
			}
		}
		_ = recent(at, time.Minute, now)
	})
}
