package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/silenceper/wechat/v2/util"
	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
	"github.com/letserverrun/skadi/core/chat"
)

// What Tencent publishes as a sample.
const (
	token    = "QDG6eK"
	key      = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	receiver = "wx5823bf96d3bd56c7"
)

var signedAt = time.Unix(1409659589, 0)

func newCodec(t testing.TB, change ...func(*envelope.Config)) *envelope.Codec {
	t.Helper()
	cfg := envelope.Config{Token: token, Key: key, Receiver: receiver, Clock: func() time.Time { return signedAt }}
	for _, f := range change {
		f(&cfg)
	}
	c, err := envelope.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPublishedVector(t *testing.T) {
	t.Parallel()
	q, err := url.ParseQuery("msg_signature=5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3&timestamp=1409659589&nonce=263014780" +
		"&echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp%2B4RPcs8TgAE7OaBO%2BFZXvnaqQ%3D%3D")
	if err != nil {
		t.Fatal(err)
	}
	echo, err := newCodec(t).OpenEcho(q)
	if err != nil || string(echo) != "1616140317555161061" {
		t.Fatalf("it says %q (%v)", echo, err)
	}
	for _, late := range []time.Duration{-301 * time.Second, 301 * time.Second} {
		c := newCodec(t, func(cfg *envelope.Config) { cfg.Clock = func() time.Time { return signedAt.Add(late) } })
		if _, err := c.OpenEcho(q); !errors.Is(err, envelope.ErrStale) {
			t.Errorf("%s later: %v", late, err)
		}
		wide := newCodec(t, func(cfg *envelope.Config) {
			cfg.Clock, cfg.Window = func() time.Time { return signedAt.Add(late) }, time.Hour
		})
		if _, err := wide.OpenEcho(q); err != nil {
			t.Errorf("%s later, with an hour's window: %v", late, err)
		}
	}
}

// plaintext is what is encrypted, built by hand.
func plaintext(message, to string) []byte {
	b := append([]byte("0123456789abcdef"), binary.BigEndian.AppendUint32(nil, uint32(len(message)))...)
	b = append(append(b, message...), to...)
	pad := 32 - len(b)%32
	return append(b, bytes.Repeat([]byte{byte(pad)}, pad)...)
}

func encrypt(t testing.TB, plain []byte) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key + "=")
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		t.Fatal(err)
	}
	sealed := make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, raw[:16]).CryptBlocks(sealed, plain)
	return base64.StdEncoding.EncodeToString(sealed)
}

// call signs what was sealed as the far side does.
func call(sealed string, at time.Time, nonce string) (url.Values, []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	return url.Values{
		"msg_signature": {util.Signature(token, timestamp, nonce, sealed)},
		"timestamp":     {timestamp}, "nonce": {nonce},
	}, []byte("<xml><ToUserName><![CDATA[x]]></ToUserName><Encrypt><![CDATA[" + sealed + "]]></Encrypt></xml>")
}

func TestOpen(t *testing.T) {
	t.Parallel()
	const message = "<xml><Content>hi</Content></xml>"
	good := plaintext(message, receiver)
	with := func(change func(b []byte)) []byte {
		b := bytes.Clone(good)
		change(b)
		return b
	}
	last := len(good) - 1
	for name, c := range map[string]struct {
		sealed string
		want   error
	}{
		"good":                      {encrypt(t, good), nil},
		"first padding byte wrong":  {encrypt(t, with(func(b []byte) { b[last-int(b[last])+1]++ })), envelope.ErrSealed},
		"padding of 0":              {encrypt(t, with(func(b []byte) { b[last] = 0 })), envelope.ErrSealed},
		"padding of 33":             {encrypt(t, with(func(b []byte) { b[last] = 33 })), envelope.ErrSealed},
		"padding of two blocks":     {encrypt(t, append(bytes.Clone(good), bytes.Repeat([]byte{32}, 32)...)), envelope.ErrReceiver},
		"length beyond the end":     {encrypt(t, with(func(b []byte) { b[19] = 255 })), envelope.ErrSealed},
		"length of 4 GiB":           {encrypt(t, with(func(b []byte) { copy(b[16:], "\xff\xff\xff\xff") })), envelope.ErrSealed},
		"length one short":          {encrypt(t, with(func(b []byte) { b[19]-- })), envelope.ErrReceiver},
		"another receiver":          {encrypt(t, plaintext(message, "wx5823bf96d3bd56c8")), envelope.ErrReceiver},
		"a longer receiver":         {encrypt(t, plaintext(message, receiver+"x")), envelope.ErrReceiver},
		"no receiver":               {encrypt(t, plaintext(message, "")), envelope.ErrSealed},
		"no block":                  {"", envelope.ErrPlain},
		"half a block":              {encrypt(t, good[:16]), envelope.ErrSealed},
		"cut":                       {encrypt(t, good[:len(good)-16]), envelope.ErrSealed},
		"a block only":              {encrypt(t, good[:32]), envelope.ErrSealed},
		"no base64":                 {"!!!", envelope.ErrSealed},
		"base64 with lines":         {encrypt(t, good)[:10] + "\n" + encrypt(t, good)[10:], envelope.ErrSealed},
		"base64 without its end":    {strings.TrimRight(encrypt(t, plaintext("", receiver)), "="), envelope.ErrSealed},
		"something behind":          {encrypt(t, good) + "AAAA", envelope.ErrSealed},
		"a message that is empty":   {encrypt(t, plaintext("", receiver)), nil},
		"a message of a full block": {encrypt(t, plaintext(strings.Repeat("x", 64-20-len(receiver)), receiver)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, body := call(c.sealed, signedAt, "n")
			got, err := newCodec(t).Open(q, body)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("%q, %v; want %v", got, err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), token)) {
				t.Errorf("a secret is in %v", err)
			}
		})
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	sealed := encrypt(t, plaintext("<xml></xml>", receiver))
	for name, c := range map[string]struct {
		change func(q url.Values)
		want   error
	}{
		"as it is":          {func(url.Values) {}, nil},
		"told as encrypted": {func(q url.Values) { q.Set("encrypt_type", "aes") }, nil},
		"downgrade":         {func(q url.Values) { q.Set("encrypt_type", "raw") }, envelope.ErrPlain},
		"two ways at once":  {func(q url.Values) { q["encrypt_type"] = []string{"aes", "raw"} }, envelope.ErrPlain},
		"no signature":      {func(q url.Values) { q.Del("msg_signature") }, envelope.ErrSignature},
		"no timestamp":      {func(q url.Values) { q.Del("timestamp") }, envelope.ErrSignature},
		"no nonce":          {func(q url.Values) { q.Del("nonce") }, envelope.ErrSignature},
		"two nonces":        {func(q url.Values) { q.Add("nonce", "m") }, envelope.ErrSignature},
		"another nonce":     {func(q url.Values) { q.Set("nonce", "m") }, envelope.ErrSignature},
		"another time":      {func(q url.Values) { q.Set("timestamp", "1409659590") }, envelope.ErrSignature},
		"in capitals": {func(q url.Values) {
			q.Set("msg_signature", strings.ToUpper(q.Get("msg_signature")))
		}, envelope.ErrSignature},
		"the outer signature": {func(q url.Values) {
			q.Set("msg_signature", util.Signature(token, q.Get("timestamp"), q.Get("nonce")))
		}, envelope.ErrSignature},
		"a long nonce": {func(q url.Values) { q.Set("nonce", strings.Repeat("n", 2000)) }, envelope.ErrSignature},
		"a time that is none": {func(q url.Values) {
			q.Set("timestamp", "x")
			q.Set("msg_signature", util.Signature(token, "x", "n", sealed))
		}, envelope.ErrStale},
		"a time beyond 64 bits": {func(q url.Values) {
			q.Set("timestamp", "99999999999999999999")
			q.Set("msg_signature", util.Signature(token, "99999999999999999999", "n", sealed))
		}, envelope.ErrStale},
		"the end of time": {func(q url.Values) {
			q.Set("timestamp", "9223372036854775807")
			q.Set("msg_signature", util.Signature(token, "9223372036854775807", "n", sealed))
		}, envelope.ErrStale},
		"the beginning of time": {func(q url.Values) {
			q.Set("timestamp", "-9223372036854775808")
			q.Set("msg_signature", util.Signature(token, "-9223372036854775808", "n", sealed))
		}, envelope.ErrStale},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, body := call(sealed, signedAt, "n")
			c.change(q)
			if _, err := newCodec(t).Open(q, body); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestEveryByteCounts changes each byte of a call in turn.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	sealed := encrypt(t, plaintext("<xml><Content>hi</Content></xml>", receiver))
	q, _ := call(sealed, signedAt, "nonce")
	for i := range sealed {
		b := []byte(sealed)
		b[i] ^= 1
		// As it was signed: the signature tells.
		_, body := call(string(b), signedAt, "nonce")
		if m, err := newCodec(t).Open(q, body); err == nil {
			t.Errorf("byte %d changed: %q", i, m)
		}
		// Signed anew: what remains is not what was sealed, or not sealed well.
		again, body := call(string(b), signedAt, "nonce")
		if m, err := newCodec(t).Open(again, body); err == nil && string(m) == "<xml><Content>hi</Content></xml>" && i > 22 {
			t.Errorf("byte %d changed and signed: it opens as if nothing were", i)
		}
	}
	for _, name := range []string{"msg_signature", "timestamp", "nonce"} {
		for i := range q.Get(name) {
			changed, body := call(sealed, signedAt, "nonce")
			b := []byte(changed.Get(name))
			b[i] ^= 1
			changed.Set(name, string(b))
			if _, err := newCodec(t).Open(changed, body); !errors.Is(err, envelope.ErrSignature) {
				t.Errorf("byte %d of %s changed: %v", i, name, err)
			}
		}
	}
}

func TestNonceIsGoodForOneMessage(t *testing.T) {
	t.Parallel()
	now := signedAt
	c := newCodec(t, func(cfg *envelope.Config) { cfg.Clock = func() time.Time { return now } })
	q, body := call(encrypt(t, plaintext("<xml>1</xml>", receiver)), signedAt, "n")
	for range 3 { // as often as it is delivered
		if _, err := c.Open(q, body); err != nil {
			t.Fatal(err)
		}
	}
	q, body = call(encrypt(t, plaintext("<xml>2</xml>", receiver)), signedAt, "n")
	if _, err := c.Open(q, body); !errors.Is(err, envelope.ErrReplay) {
		t.Errorf("another message: %v", err)
	}
	q = url.Values{"timestamp": {"1409659589"}, "nonce": {"p"}}
	q.Set("signature", util.Signature(token, "1409659589", "p"))
	if err := c.Verify(q); err != nil {
		t.Error(err)
	}
	for i := range 2 { // what is not encrypted is not signed either
		if _, err := c.OpenPlain(q, []byte("<xml>good</xml>")); err != nil {
			t.Errorf("plain, %d: %v", i, err)
		}
	}
	if _, err := c.OpenPlain(q, []byte("<xml>evil</xml>")); !errors.Is(err, envelope.ErrReplay) {
		t.Errorf("another body under a signature that was caught: %v", err)
	}
	now = now.Add(6 * time.Minute)
	if _, err := c.OpenPlain(q, []byte("<xml>good</xml>")); !errors.Is(err, envelope.ErrStale) {
		t.Errorf("later: %v", err)
	}
}

func TestPlainIsNoWayAround(t *testing.T) {
	t.Parallel()
	q := url.Values{"timestamp": {"1409659589"}, "nonce": {"p"}, "signature": {util.Signature(token, "1409659589", "p")}}
	for _, kind := range []string{"", "raw", "aes"} {
		if q.Set("encrypt_type", kind); kind == "" {
			q.Del("encrypt_type")
		}
		if _, err := newCodec(t).Open(q, []byte("<xml><Content>evil</Content></xml>")); !errors.Is(err, envelope.ErrPlain) {
			t.Errorf("encrypt_type %q: %v", kind, err)
		}
	}
	none := newCodec(t, func(cfg *envelope.Config) { cfg.Key = "" })
	q, body := call(encrypt(t, plaintext("<xml></xml>", receiver)), signedAt, "n")
	if _, err := none.Open(q, body); !errors.Is(err, envelope.ErrSealed) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := none.Seal([]byte("x")); err == nil {
		t.Error("something was sealed without a key")
	}
}

// parts returns what the far side reads of an answer.
func parts(t interface{ Fatal(...any) }, answer []byte) (url.Values, []byte) {
	f, err := envelope.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{
		"msg_signature": {f["MsgSignature"]}, "timestamp": {f["TimeStamp"]}, "nonce": {f["Nonce"]},
	}, answer
}

func TestWhatIsSealedOpens(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	rapid.Check(t, func(rt *rapid.T) {
		message := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "message")
		answer, err := c.Seal(message)
		if err != nil {
			rt.Fatal(err)
		}
		q, body := parts(rt, answer)
		if got, err := c.Open(q, body); err != nil || !bytes.Equal(got, message) {
			rt.Fatalf("%q came back as %q (%v)", message, got, err)
		}
	})
	one, _ := c.Seal([]byte("x"))
	other, _ := c.Seal([]byte("x"))
	if bytes.Equal(one, other) {
		t.Error("two answers are the same")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]envelope.Config{
		"no token":    {Key: key, Receiver: receiver},
		"short key":   {Token: token, Key: chat.Secret(key[1:]), Receiver: receiver},
		"long key":    {Token: token, Key: key + "A", Receiver: receiver},
		"odd key":     {Token: token, Key: chat.Secret("!" + key[1:]), Receiver: receiver},
		"key in line": {Token: token, Key: chat.Secret("\n" + key[1:]), Receiver: receiver},
		"no receiver": {Token: token, Key: key},
	} {
		if _, err := envelope.New(cfg); err == nil {
			t.Errorf("%s: it was taken", name)
		} else if strings.Contains(fmt.Sprintf("%v %+v", err, cfg), key[5:]) {
			t.Errorf("%s: a secret is in %v", name, err)
		}
	}
	// The last character's spare bits are random in keys that the consoles make.
	if err := envelope.CheckKey(chat.Secret(key[:42] + "D")); err != nil {
		t.Errorf("a key with spare bits: %v", err)
	}
}
