package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/letserverrun/skadi/core/chat"
)

const (
	headerSignature = "X-Slack-Signature"
	headerTimestamp = "X-Slack-Request-Timestamp"
	// signatureFor is how far a request's time may be from now, so that nobody
	// can send a recorded one again later.
	signatureFor = 5 * time.Minute
)

// Why a request is not Slack's.
var (
	errUnsigned = errors.New("it has no signature of Slack's; check signing_secret if it came from Slack")
	errForged   = errors.New("its signature is not made with signing_secret")
	errStale    = errors.New("it was signed more than 5 minutes ago or ahead; check this machine's clock")
)

// verify checks that Slack signed body, which is the request's body as it came:
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func verify(secret chat.Secret, h http.Header, body []byte, now time.Time) error {
	stamp, signature := h.Get(headerTimestamp), h.Get(headerSignature)
	hexed, ok := strings.CutPrefix(signature, "v0=")
	if !ok || stamp == "" || secret == "" {
		return errUnsigned
	}
	given, err := hex.DecodeString(hexed)
	if err != nil {
		return errForged
	}
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = mac.Write([]byte("v0:" + stamp + ":"))
	_, _ = mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), given) {
		return errForged
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > signatureFor {
		return errStale
	}
	return nil
}
