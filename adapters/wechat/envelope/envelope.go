// Package envelope opens what WeChat and WeCom send to a callback address, and
// seals what is answered. Both use the same scheme: a SHA-1 signature over the
// sorted parts with a shared token, and AES in CBC mode around the message, its
// length, and the ID of whom it is for.
//
// The scheme's parts are those of silenceper/wechat; what that does not check is
// checked here: the signature in constant time, all of the padding, the age of a
// call, and that a call which was seen is not sent again with another message.
package envelope

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/silenceper/wechat/v2/util"

	"github.com/letserverrun/skadi/core/chat"
)

// The reasons to refuse a call. Errors of the package wrap one of them and say
// more.
var (
	// ErrSignature: the call is signed by somebody else, or not at all.
	ErrSignature = errors.New("the signature is wrong")
	// ErrStale: the call was signed too long ago, or in the future.
	ErrStale = errors.New("the timestamp is out of the allowed time")
	// ErrReplay: the call's nonce came before, with another message.
	ErrReplay = errors.New("the nonce was used before")
	// ErrPlain: the message is not encrypted.
	ErrPlain = errors.New("the message is not encrypted")
	// ErrSealed: what is encrypted cannot be opened.
	ErrSealed = errors.New("the encrypted message cannot be opened")
	// ErrReceiver: the message is for somebody else.
	ErrReceiver = errors.New("the message is for another receiver")
	// ErrXML: the body is not the XML that a callback has.
	ErrXML = errors.New("the XML is refused")
	// ErrTooLong: the body is longer than any that is sent.
	ErrTooLong = errors.New("the body is too long")
)

const (
	// DefaultWindow is how far a call's timestamp may be from the clock.
	DefaultWindow = 5 * time.Minute
	// keyLength is of an EncodingAESKey, base64 without its last character.
	keyLength = 43
	// maxParam bounds each parameter of a call, in bytes; an echostr is the
	// longest.
	maxParam = 1 << 10
)

// Config is what both ends know.
type Config struct {
	Token chat.Secret
	// Key is the EncodingAESKey of 43 characters. It may be empty where nothing
	// is encrypted; Open and Seal then refuse.
	Key chat.Secret
	// Receiver is the app ID or the corp ID.
	Receiver string
	Clock    chat.Clock
	// Window is how far a call's timestamp may be from the clock; 0 means
	// DefaultWindow.
	Window time.Duration
}

// Codec opens and seals for one account. It is safe for concurrent use.
type Codec struct {
	cfg  Config
	seen nonces
}

// New returns a codec, or what is wrong with the config. Its error shows no
// secret.
func New(cfg Config) (*Codec, error) {
	if cfg.Token == "" {
		return nil, errors.New("the token is empty, and anybody could send messages")
	}
	if cfg.Key != "" {
		if err := CheckKey(cfg.Key); err != nil {
			return nil, err
		}
		if cfg.Receiver == "" {
			return nil, errors.New("the receiver's ID is empty, so messages for others could not be told")
		}
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Window <= 0 {
		cfg.Window = DefaultWindow
	}
	return &Codec{cfg: cfg, seen: nonces{keep: 2 * cfg.Window}}, nil
}

// CheckKey says what is wrong with an EncodingAESKey, without showing it.
func CheckKey(key chat.Secret) error {
	if n := len(key.Reveal()); n != keyLength {
		return fmt.Errorf("the AES key has %d characters, want %d letters and digits", n, keyLength)
	}
	if raw, err := base64.StdEncoding.DecodeString(key.Reveal() + "="); err != nil || len(raw) != 32 {
		return fmt.Errorf("the AES key must be %d letters and digits", keyLength)
	}
	return nil
}

// Verify checks a call that is signed over its token, timestamp and nonce
// alone, as a test of the address (GET) and the outer signature of an official
// account are. It says nothing about the body.
func (c *Codec) Verify(q url.Values) error {
	return c.verify(q, "signature")
}

// OpenEcho checks the test of an address where the echo is encrypted, and
// returns what is to be answered, and nothing else.
func (c *Codec) OpenEcho(q url.Values) ([]byte, error) {
	echo, err := param(q, "echostr")
	if err != nil {
		return nil, err
	}
	if err := c.verify(q, "msg_signature", echo); err != nil {
		return nil, err
	}
	return c.open(echo)
}

// Open checks a call whose body is encrypted and returns the message in it. A
// body that is not encrypted is refused, whatever the query says of it.
func (c *Codec) Open(q url.Values, body []byte) ([]byte, error) {
	if t := q.Get("encrypt_type"); len(q["encrypt_type"]) > 1 || t != "" && t != "aes" {
		return nil, fmt.Errorf("%w: encrypt_type is %.20q, want aes", ErrPlain, t)
	}
	outer, err := Parse(body)
	if err != nil {
		return nil, err
	}
	sealed := outer["Encrypt"]
	if sealed == "" {
		return nil, fmt.Errorf("%w: it has no Encrypt; the far side must be set to encrypt all messages", ErrPlain)
	}
	if err := c.verify(q, "msg_signature", sealed); err != nil {
		return nil, err
	}
	message, err := c.open(sealed)
	if err != nil {
		return nil, err
	}
	return message, c.once(q, message)
}

// OpenPlain checks a call whose body is not encrypted, where the config allows
// that, and returns the body. The signature does not cover it: of what is caught
// on the way, only another message under the same nonce is told.
func (c *Codec) OpenPlain(q url.Values, body []byte) ([]byte, error) {
	if err := c.verify(q, "signature"); err != nil {
		return nil, err
	}
	return body, c.once(q, body)
}

// once refuses a nonce that came before with another message. With the same
// one it is a redelivery, which the message's ID makes harmless.
func (c *Codec) once(q url.Values, message []byte) error {
	if !c.seen.add(q.Get("timestamp")+" "+q.Get("nonce"), message, c.cfg.Clock()) {
		return fmt.Errorf("%w, with another message", ErrReplay)
	}
	return nil
}

// verify checks the signature that the query gives as name, and then how old it
// is.
func (c *Codec) verify(q url.Values, name string, parts ...string) error {
	signature, err := param(q, name)
	if err != nil {
		return err
	}
	timestamp, err := param(q, "timestamp")
	if err != nil {
		return err
	}
	nonce, err := param(q, "nonce")
	if err != nil {
		return err
	}
	want := util.Signature(append([]string{c.cfg.Token.Reveal(), timestamp, nonce}, parts...)...)
	if subtle.ConstantTimeCompare([]byte(want), []byte(signature)) != 1 {
		return fmt.Errorf("%w: %s does not fit the token", ErrSignature, name)
	}
	at, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: it is no number", ErrStale)
	}
	if age := c.cfg.Clock().Sub(time.Unix(at, 0)); age > c.cfg.Window || age < -c.cfg.Window {
		return fmt.Errorf("%w: it is %s old, at most %s are allowed; check the clock of this machine",
			ErrStale, age.Round(time.Second), c.cfg.Window)
	}
	return nil
}

// param returns a parameter that a call must have once.
func param(q url.Values, name string) (string, error) {
	switch v := q[name]; {
	case len(v) == 0 || v[0] == "":
		return "", fmt.Errorf("%w: the call has no %s", ErrSignature, name)
	case len(v) > 1:
		return "", fmt.Errorf("%w: the call has %s more than once", ErrSignature, name)
	case len(v[0]) > maxParam:
		return "", fmt.Errorf("%w: %s is longer than %d bytes", ErrSignature, name, maxParam)
	default:
		return v[0], nil
	}
}

// open decrypts what was verified.
func (c *Codec) open(sealed string) ([]byte, error) {
	if c.cfg.Key == "" {
		return nil, fmt.Errorf("%w: the config has no AES key", ErrSealed)
	}
	key := c.cfg.Key.Reveal()
	random, message, receiver, err := decrypt(sealed, key)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(receiver, []byte(c.cfg.Receiver)) != 1 {
		return nil, fmt.Errorf("%w: it is for %.64q, want %q", ErrReceiver, receiver, c.cfg.Receiver)
	}
	// The library looks at the last byte of the padding alone. There is one way
	// only to seal a message, so sealing it again shows whatever is odd about it.
	again, err := util.EncryptMsg(random, message, c.cfg.Receiver, key)
	if err != nil || subtle.ConstantTimeCompare(again, []byte(sealed)) != 1 {
		return nil, fmt.Errorf("%w: its padding or its encoding is not as it must be", ErrSealed)
	}
	return message, nil
}

// decrypt undoes the encryption. The library's errors are about what the caller
// has sent, and are not shown; it turns panics of its own into errors.
func decrypt(sealed, key string) (random, message, receiver []byte, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: it is broken", ErrSealed)
		}
	}()
	ciphertext, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: it is no base64", ErrSealed)
	}
	raw, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: the AES key is none", ErrSealed)
	}
	random, message, receiver, err = util.AESDecryptMsg(ciphertext, raw)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: it was encrypted with another key, or is broken", ErrSealed)
	}
	return random, message, receiver, nil
}

// Seal encrypts and signs a message as the answer to a call.
func (c *Codec) Seal(message []byte) ([]byte, error) {
	if c.cfg.Key == "" {
		return nil, errors.New("the config has no AES key to seal answers with")
	}
	if len(message) > MaxBody {
		return nil, fmt.Errorf("%w: the answer has %d bytes", ErrTooLong, len(message))
	}
	random, number := make([]byte, 16), make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	_, _ = rand.Read(number)
	sealed, err := util.EncryptMsg(random, message, c.cfg.Receiver, c.cfg.Key.Reveal())
	if err != nil {
		return nil, errors.New("the answer cannot be sealed with the AES key of the config")
	}
	timestamp := strconv.FormatInt(c.cfg.Clock().Unix(), 10)
	nonce := strconv.FormatUint(binary.BigEndian.Uint64(number)>>1, 10)
	signature := util.Signature(c.cfg.Token.Reveal(), timestamp, nonce, string(sealed))
	return []byte("<xml><Encrypt><![CDATA[" + string(sealed) + "]]></Encrypt><MsgSignature><![CDATA[" + signature +
		"]]></MsgSignature><TimeStamp>" + timestamp + "</TimeStamp><Nonce><![CDATA[" + nonce + "]]></Nonce></xml>"), nil
}
