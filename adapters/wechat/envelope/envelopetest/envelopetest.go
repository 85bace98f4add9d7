// Package envelopetest seals and opens what Tencent's servers send and get, for
// tests that play such a server. It is written from Tencent's documentation
// alone and shares nothing with the package that it tests:
// https://developer.work.weixin.qq.com/document/path/90968
package envelopetest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" //nolint:gosec // what Tencent signs with
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"slices"
	"strings"
	"testing"
)

// Far is a server of Tencent's that an account knows: the two secrets of the
// callback, and whom messages are for, an app or a company.
type Far struct{ Token, EncodingAESKey, ID string }

// Sign signs the parts of a call or of an answer.
func Sign(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // same
	return hex.EncodeToString(sum[:])
}

// CDATA puts a text into XML.
func CDATA(text string) string {
	return "<![CDATA[" + strings.ReplaceAll(text, "]]>", "]]]]><![CDATA[>") + "]]>"
}

func (f Far) cipher() (block cipher.Block, iv []byte) {
	key, err := base64.StdEncoding.DecodeString(f.EncodingAESKey + "=")
	if err == nil {
		block, err = aes.NewCipher(key)
	}
	if err != nil {
		panic(err)
	}
	return block, key[:aes.BlockSize]
}

// Seal encrypts a message.
func (f Far) Seal(message string) string {
	block, iv := f.cipher()
	b := append([]byte("0123456789abcdef"), binary.BigEndian.AppendUint32(nil, uint32(len(message)))...) //nolint:gosec // short
	b = append(append(b, message...), f.ID...)
	pad := 32 - len(b)%32
	b = append(b, bytes.Repeat([]byte{byte(pad)}, pad)...) //nolint:gosec // at most 32
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(b, b)
	return base64.StdEncoding.EncodeToString(b)
}

// Open decrypts an answer, and fails the test if it is not signed or for
// somebody else.
func (f Far) Open(t *testing.T, body []byte) []byte {
	t.Helper()
	var sealed struct{ Encrypt, MsgSignature, TimeStamp, Nonce string }
	if err := xml.Unmarshal(body, &sealed); err != nil {
		t.Fatalf("an answer is %q: %v", body, err)
	}
	if sealed.MsgSignature != Sign(f.Token, sealed.TimeStamp, sealed.Nonce, sealed.Encrypt) {
		t.Fatal("an answer is not signed")
	}
	b, err := base64.StdEncoding.DecodeString(sealed.Encrypt)
	if err != nil || len(b)%32 != 0 || len(b) == 0 {
		t.Fatalf("an answer has %d bytes: %v", len(b), err)
	}
	block, iv := f.cipher()
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(b, b)
	b = b[16 : len(b)-int(b[len(b)-1])]
	size := binary.BigEndian.Uint32(b)
	if id := string(b[4+size:]); id != f.ID {
		t.Fatalf("an answer is for %q", id)
	}
	return b[4 : 4+size]
}
