package envelope_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/letserverrun/skadi/adapters/wechat/envelope"
)

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := envelope.Parse([]byte("\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n<FromUserName><![CDATA[ada]]></FromUserName>" +
		"<CreateTime>4102444800</CreateTime><MsgId>9223372036854775807</MsgId><Content><![CDATA[a <b> & ]]]]><![CDATA[> c]]></Content>" +
		"<Escaped>&lt;&#20320;&#x597d;</Escaped><EventKey/><Card><Box><Id>1</Id></Box><Box><Id>2</Id></Box></Card></xml>\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"FromUserName": "ada", "Content": "a <b> & ]]> c", "Escaped": "<你好", "EventKey": "", "Card": "", "Card/Box/Id": "1",
	} {
		if got, ok := f[name]; !ok || got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]int64{"CreateTime": 4102444800, "MsgId": 9223372036854775807, "AgentID": 0} {
		if got, err := f.Int(name); err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", name, got, err, want)
		}
	}
	if _, err := f.Int("FromUserName"); !errors.Is(err, envelope.ErrXML) {
		t.Errorf("a number that is none: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("<a>", 6) + strings.Repeat("</a>", 6)
	for name, doc := range map[string]string{
		"nothing":         "",
		"text":            "hello",
		"JSON":            `{"xml":1}`,
		"another root":    "<html></html>",
		"text for a root": "<xml>hello</xml>",
		"cut":             "<xml><Content>hel",
		"cut CDATA":       "<xml><Content><![CDATA[hel]]",
		"crossed":         "<xml><A><B></A></B></xml>",
		"too many ends":   "<xml></xml></xml>",
		"document type":   `<!DOCTYPE xml [<!ENTITY a "b">]><xml><A>1</A></xml>`,
		"external entity": `<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml></xml>`,
		"entity":          "<xml><A>&a;</A></xml>",
		"HTML entity":     "<xml><A>&nbsp;</A></xml>",
		"instruction":     "<xml><?php 1 ?></xml>",
		"two roots":       "<xml></xml><xml></xml>",
		"text behind":     "<xml></xml>x",
		"twice":           "<xml><Encrypt>1</Encrypt><Encrypt>2</Encrypt></xml>",
		"attribute":       `<xml><A b="c">1</A></xml>`,
		"namespace":       `<xml><a:A>1</a:A></xml>`,
		"deep":            "<xml>" + deep + "</xml>",
		"many":            "<xml><L>" + strings.Repeat("<a></a>", 500) + "</L></xml>",
		"long":            "<xml><A>" + strings.Repeat("x", envelope.MaxBody) + "</A></xml>",
		"control":         "<xml><A>\x01</A></xml>",
		"no UTF-8":        "<xml><A>\xff</A></xml>",
		"UTF-16":          `<?xml version="1.0" encoding="UTF-16"?><xml></xml>`,
	} {
		f, err := envelope.Parse([]byte(doc))
		if want := envelope.ErrXML; name != "long" && !errors.Is(err, want) || name == "long" && !errors.Is(err, envelope.ErrTooLong) {
			if name != "text for a root" || err != nil || len(f) > 0 {
				t.Errorf("%s: %v, %v", name, f, err)
			}
		}
	}
}

func TestReadBody(t *testing.T) {
	t.Parallel()
	if b, err := envelope.ReadBody(strings.NewReader(strings.Repeat("x", envelope.MaxBody))); err != nil || len(b) != envelope.MaxBody {
		t.Errorf("the longest: %d bytes, %v", len(b), err)
	}
	endless := &counter{}
	if _, err := envelope.ReadBody(endless); !errors.Is(err, envelope.ErrTooLong) || endless.n > 4*envelope.MaxBody {
		t.Errorf("an endless one: %v, after %d bytes", err, endless.n)
	}
	if _, err := envelope.ReadBody(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("one that breaks: %v", err)
	}
}

type counter struct{ n int }

func (c *counter) Read(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

func TestCDATA(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[\]>a<!\[]{0,20}`)).Draw(rt, "text")
		f, err := envelope.Parse([]byte("<xml><Content>" + envelope.CDATA(text) + "</Content></xml>"))
		if err != nil {
			rt.Fatalf("%q: %v", text, err)
		}
		clean := strings.Map(func(r rune) rune {
			if r < 0x20 && r != '\n' && r != '\t' && r != '\r' || r == 0xfffe || r == 0xffff {
				return '\ufffd'
			}
			return r
		}, text)
		if want := strings.ReplaceAll(strings.ReplaceAll(clean, "\r\n", "\n"), "\r", "\n"); f["Content"] != want {
			rt.Fatalf("%q came back as %q", text, f["Content"])
		}
	})
}

// Real callbacks have line ends between their elements.
func TestParseLineEnds(t *testing.T) {
	t.Parallel()
	f, err := envelope.Parse([]byte("<xml>\n<A>\n<B>\n<C>\n<D>1</D>\n</C>\n</B>\n</A>\n<E>2</E>\n</xml>\n"))
	if err != nil || f["A/B/C/D"] != "1" || f["E"] != "2" {
		t.Errorf("it has %q: %v", f, err)
	}
}
