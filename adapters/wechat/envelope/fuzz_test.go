package envelope_test

import (
	"net/url"
	"testing"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("<xml><ToUserName><![CDATA[a]]></ToUserName><CreateTime>1</CreateTime></xml>"))
	f.Add([]byte("<!DOCTYPE xml [<!ENTITY a \"b\">]><xml><A>&a;</A></xml>"))
	f.Add([]byte("<xml><A><B/><B>1</B></A></xml>"))
	f.Add([]byte("<xml><A>]]></A>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := envelope.Parse(body)
		if err != nil {
			if fields != nil {
				t.Errorf("%q is refused, and read: %v", body, fields)
			}
			return
		}
		size := 0
		for name, value := range fields {
			size += len(value)
			_, _ = fields.Int(name)
		}
		if size > 3*len(body) { // what is not UTF-8 is refused, and references are longer than what they mean
			t.Errorf("%d bytes grew to %d", len(body), size)
		}
	})
}

func FuzzOpen(f *testing.F) {
	sealed := encrypt(f, plaintext("<xml><Content>hi</Content></xml>", receiver))
	f.Add(sealed, true)
	f.Add("", true)
	f.Add("AAAA", true)
	f.Add(sealed[:40], true)
	f.Add(encrypt(f, make([]byte, 64)), true)
	f.Add(sealed, false)
	f.Fuzz(func(t *testing.T, sealed string, signed bool) {
		c := newCodec(t)
		q, body := call(sealed, signedAt, "n")
		if !signed {
			q.Set("msg_signature", "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3")
		}
		message, err := c.Open(q, body)
		if err == nil && (!signed || encryptedBy(t, c, message) == "") {
			t.Errorf("%q opens as %q", sealed, message)
		}
		q = url.Values{"msg_signature": q["msg_signature"], "timestamp": q["timestamp"], "nonce": q["nonce"], "echostr": {sealed}}
		if _, err := c.OpenEcho(q); err == nil && !signed {
			t.Errorf("%q is an echo without a signature", sealed)
		}
	})
}

// encryptedBy seals a message anew; what was opened can be.
func encryptedBy(t *testing.T, c *envelope.Codec, message []byte) string {
	answer, err := c.Seal(message)
	if err != nil {
		t.Error(err)
	}
	return string(answer)
}
