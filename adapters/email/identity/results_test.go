package identity_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/letserverrun/skadi/adapters/email/identity"
	"github.com/letserverrun/skadi/adapters/email/message"
)

// told is a verifier that takes the word of a server, and a DNS with nothing in
// it.
func told(t *testing.T, r identity.Results) *world {
	t.Helper()
	w := newWorld(t)
	clear(w.txt)
	w.v.Results = &r
	w.v.Now = func() time.Time { return time.Date(2026, 11, 29, 16, 5, 0, 0, time.UTC) }
	return w
}

func sample(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSamples reads headers in the shape that big mail services, forwarders and
// servers of one's own write them.
func TestSamples(t *testing.T) {
	t.Parallel()
	const (
		gmail = "mx.google.com"
		own   = "mx.skadi.example"
	)
	tests := []struct {
		name, file string
		results    identity.Results
		want       string // an address, or a reason
	}{
		{"Gmail", "gmail.eml", identity.Results{AuthservID: gmail, Hops: 2}, "alice.mueller@gmail.com"},
		{"Gmail, in other letters", "gmail.eml", identity.Results{AuthservID: "MX.Google.com", Hops: 2}, "alice.mueller@gmail.com"},
		{"Gmail, and one hop", "gmail.eml", identity.Results{AuthservID: gmail}, string(identity.BadSignature)},
		{"Gmail, and too many hops", "gmail.eml", identity.Results{AuthservID: gmail, Hops: 3}, string(identity.BadSignature)},
		{"Gmail, and another server", "gmail.eml", identity.Results{AuthservID: own, Hops: 2}, string(identity.BadSignature)},
		{"Microsoft 365 says no name", "m365-external.eml", identity.Results{AuthservID: "mail.protection.outlook.com", Hops: 2}, string(identity.BadSignature)},
		{"Microsoft 365, and nothing is its name", "m365-external.eml", identity.Results{AuthservID: "spf=pass", Hops: 2}, string(identity.BadSignature)},
		{"inside of Microsoft 365", "m365-inside.eml", identity.Results{AuthservID: "mail.protection.outlook.com", Hops: 1, Unsigned: true}, string(identity.Unsigned)},
		{"from Microsoft 365", "m365-sender.eml", identity.Results{AuthservID: own}, string(identity.NotCovered)},
		{"from Microsoft 365, if that is enough", "m365-sender.eml", identity.Results{AuthservID: own, Unsigned: true}, "alice@contoso.example"},
		{"forwarded", "forwarded.eml", identity.Results{AuthservID: own, Unsigned: true}, string(identity.BadSignature)},
		{"forwarded, and who forwards is believed", "forwarded.eml", identity.Results{AuthservID: "mx.forward.example", Hops: 2}, string(identity.BadSignature)},
		{"a server of one's own, whose second field nobody believes", "postfix.eml", identity.Results{AuthservID: own, Hops: 2, Unsigned: true}, string(identity.BadSignature)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, err := told(t, tt.results).verify(t, sample(t, tt.file))
			if strings.Contains(tt.want, "@") {
				if err != nil || id.Address != tt.want || id.Proof != identity.ByResults {
					t.Errorf("%+v, %v", id, err)
				}
				if (id.Signature == "") != tt.results.Unsigned {
					t.Errorf("signature %q", id.Signature)
				}
				return
			}
			wants(t, err, identity.Reason(tt.want))
		})
	}
}

// TestResults changes one header at a time.
func TestResults(t *testing.T) {
	t.Parallel()
	const received = "Received: from a by mx.skadi.example; Sun, 29 Nov 2026 16:00:04 +0000\r\n"
	mail := func(top, signed string) string {
		return top + "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=" + signed + "; bh=AAAA; b=QUJDRA==\r\n" +
			"From: alice@example.com\r\nTo: inbox@skadi.example\r\nSubject: status\r\nDate: Sun, 29 Nov 2026 16:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nx\r\n"
	}
	const good = "From:To:Subject:Date:Message-ID"
	ar := func(s string) string { return "Authentication-Results: mx.skadi.example" + s + "\r\n" }
	const pass = "; dkim=pass header.d=example.com"
	tests := []struct {
		name, mail string
		want       identity.Reason // empty: it passes
	}{
		{"dkim below", mail(received+ar(pass), good), ""},
		{"dkim above", mail(ar(pass)+received, good), ""},
		{"dkim and dmarc", mail(received+ar(pass+"; dmarc=pass header.from=example.com"), good), ""},
		{"a version", mail(received+ar(" 1"+pass), good), ""},
		{"comments and spaces", mail(received+ar(" (a (b) \\) c) 1; dkim / 1 = pass (ok; dmarc=fail) header.d = (x) example.com"), good), ""},
		{"folded", mail(received+"Authentication-Results:\r\n\tmx.skadi.example;\r\n\tdkim=pass\r\n\theader.d=example.com\r\n", good), ""},
		{"SPF between", mail(received+"Received-SPF: pass\r\n"+ar(pass), good), ""},
		{"one that cannot be read beside", mail(received+ar("; x; dkim=; "+pass[2:]), good), ""},
		{"one that failed beside", mail(received+ar("; dkim=fail header.d=other.example"+pass), good), ""},

		{"below a stranger's Received", mail(received+received+ar(pass), good), identity.BadSignature},
		{"below other fields", mail(received+"X-Mailer: y\r\n"+ar(pass), good), identity.BadSignature},
		{"no Received", mail(ar(pass), good), identity.BadSignature},
		{"the topmost failed", mail(received+ar("; dkim=fail header.d=example.com")+ar(pass), good), identity.BadSignature},
		{"dmarc failed", mail(received+ar(pass+"; dmarc=fail header.from=example.com"), good), identity.BadSignature},
		{"dmarc of another", mail(received+ar(pass+"; dmarc=pass header.from=eve.example"), good), identity.NotAligned},
		{"dkim of another", mail(received+ar("; dkim=pass header.d=eve.example"), good), identity.NotAligned},
		{"dkim of a part", mail(received+ar("; dkim=pass header.d=mail.example.com"), good), identity.BadSignature},
		{"dkim of two", mail(received+ar("; dkim=pass header.d=eve.example header.d=example.com"), good), identity.BadSignature},
		{"another selector", mail(received+ar(pass+" header.s=t"), good), identity.BadSignature},
		{"another b", mail(received+ar(pass+" header.b=XYZ"), good), identity.BadSignature},
		{"another identity", mail(received+ar("; dkim=pass header.i=@mail.example.com"), good), identity.BadSignature},
		{"not covered", mail(received+ar(pass), "From:Subject:Date:Message-ID"), identity.NotCovered},
		{"in a comment", mail(received+ar(" (; dkim=pass header.d=example.com)"), good), identity.BadSignature},
		{"in quotes", mail(received+ar("; dkim=fail reason=\"; dkim=pass header.d=example.com\""), good), identity.BadSignature},
		{"in quotes, as mail addresses have", mail(received+ar("; spf=pass smtp.mailfrom=\"x; dkim=pass header.d=example.com; y\"@eve.example"), good), identity.BadSignature},
		{"quotes in a comment", mail(received+ar("; dkim=fail (\") header.d=x \"; dkim=pass header.d=example.com"), good), identity.BadSignature},
		{"a comment without end", mail(received+ar(pass+" (x"), good), identity.BadSignature},
		{"another id that begins alike", mail(received+strings.Replace(ar(pass), "mx.skadi.example", "mx.skadi.example.eve.example", 1), good), identity.BadSignature},
		{"an id in a comment", mail(received+strings.Replace(ar(pass), "mx.skadi.example", "(mx.skadi.example) eve.example", 1), good), identity.BadSignature},
		{"a version of tomorrow", mail(received+ar(" 2"+pass), good), identity.BadSignature},
		{"a name that is Authentication-Results", mail(received+strings.Replace(ar(pass), "Authentication-Results", "X-Authentication-Results", 1), good), identity.BadSignature},
		{"by SPF alone", mail(received+ar("; spf=pass smtp.mailfrom=example.com; dmarc=pass header.from=example.com"), good), identity.BadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, err := told(t, identity.Results{AuthservID: "mx.skadi.example"}).verify(t, tt.mail)
			if tt.want != "" {
				wants(t, err, tt.want)
				return
			}
			if err != nil || id.Address != "alice@example.com" || id.Domain != "example.com" || id.Signature != "QUJDRA==" {
				t.Errorf("%+v, %v", id, err)
			}
		})
	}
}

// TestTwoSignaturesThatOneResultCouldMean must not choose the better one.
func TestTwoSignaturesThatOneResultCouldMean(t *testing.T) {
	t.Parallel()
	mail := "Received: by x\r\nAuthentication-Results: mx.skadi.example; dkim=pass header.d=example.com\r\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=From:To:Subject:Date:Message-ID; bh=AAAA; b=AAAA\r\n" +
		"DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s; h=From:Subject:Date:Message-ID; bh=AAAA; b=QUJDRA==\r\n" +
		"From: alice@example.com\r\nTo: inbox@skadi.example\r\nSubject: status\r\nDate: Sun, 29 Nov 2026 16:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nx\r\n"
	_, err := told(t, identity.Results{AuthservID: "mx.skadi.example"}).verify(t, mail)
	wants(t, err, identity.NotCovered)
}

// TestHeaders holds what is refused whoever signed it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, more string
		want             identity.Reason
	}{
		{"as it should be", "Alice <alice@example.com>", "", ""},
		{"its own address as name", "\"Alice@example.com\" <alice@example.com>", "", ""},
		{"a name in another script", "Алиса <alice@example.com>", "", ""},
		{"a domain in another script", "alice@bücher.example", "", ""},
		{"Reply-To itself", "alice@example.com", "Reply-To: Alice <ALICE@example.com>\r\n", ""},
		{"Sender itself", "alice@example.com", "Sender: alice@example.com\r\n", ""},
		{"two", "alice@example.com, bob@example.com", "", identity.SeveralSenders},
		{"a group of two", "g: alice@example.com, bob@example.com;", "", identity.SeveralSenders},
		{"none", "undisclosed-recipients:;", "", identity.Malformed},
		{"a source route", "<@relay.example:alice@example.com>", "", identity.Malformed},
		{"an IP address", "alice@[192.0.2.1]", "", identity.Malformed},
		{"no domain", "alice@localhost", "", identity.Malformed},
		{"two at signs", "\"alice@example.com\"@eve.example", "", identity.LookAlike},
		{"a space", "\"alice example\"@example.com", "", identity.LookAlike},
		{"another script before the @", "аlice@example.com", "", identity.LookAlike},
		{"dots", "\"alice..b\"@example.com", "", identity.LookAlike},
		{"mixed scripts", "alice@exаmple.com", "", identity.LookAlike},
		{"mixed scripts, encoded", "alice@xn--exmple-4nf.com", "", identity.LookAlike},
		{"all of another script", "alice@аррӏе.com", "", identity.LookAlike},
		{"letters that look like others", "alice@goꜱt.example", "", identity.LookAlike},
		{"no encoding of anything", "alice@xn--a.example", "", identity.Malformed},
		{"another address as name", "\"ceo@example.com\" <alice@example.com>", "", identity.LookAlike},
		{"another address in the name", "\"Boss <ceo@example.com>\" <alice@example.com>", "", identity.LookAlike},
		{"another address with a wide @", "\"ceo＠example.com\" <alice@example.com>", "", identity.LookAlike},
		{"a name that turns", "\"Alice \u202egro.elpmaxe\" <alice@example.com>", "", identity.LookAlike},
		{"a name with nothing in it", "\"Al\u200bice\" <alice@example.com>", "", identity.LookAlike},
		{"another Sender", "alice@example.com", "Sender: bob@example.com\r\n", identity.OtherSender},
		{"another Reply-To", "alice@example.com", "Reply-To: eve@eve.example\r\n", identity.ReplyElsewhere},
		{"two Reply-Tos", "alice@example.com", "Reply-To: alice@example.com, eve@eve.example\r\n", identity.ReplyElsewhere},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.v.Results = &identity.Results{AuthservID: "mx.skadi.example", Unsigned: true}
			domain := "example.com"
			if m, err := message.ParseAddresses(tt.from); err == nil && len(m) > 0 {
				domain = m[0].Domain
			}
			mail := "Received: by x\r\nAuthentication-Results: mx.skadi.example; dmarc=pass header.from=" + domain + "; spf=pass smtp.mailfrom=" + domain + "\r\n" +
				strings.Replace(plain(), "Alice <alice@example.com>", tt.from, 1)
			id, err := w.verify(t, tt.more+mail)
			if tt.want == "" {
				if err != nil || !strings.HasPrefix(id.Address, "alice@") {
					t.Errorf("%+v, %v", id, err)
				}
				return
			}
			wants(t, err, tt.want)
		})
	}
}

func FuzzResults(f *testing.F) {
	for _, seed := range []string{
		"mx.skadi.example; dkim=pass header.d=example.com",
		"mx.skadi.example 1; dmarc=pass (a;b) header.from=\"example.com\"; spf=pass smtp.mailfrom=\"x;y\"@z",
		"mx.skadi.example; dkim / 1 = pass header.b=AAAA== header.d=example.com",
		"spf=pass (x) smtp.mailfrom=y;dkim=none",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\r\n\x00") {
			return
		}
		mail := "Received: by x\r\nAuthentication-Results: " + value + "\r\n" + plain()
		m, err := message.Parse([]byte(mail))
		if err != nil {
			return
		}
		w := told(t, identity.Results{AuthservID: "mx.skadi.example"})
		w.v.Now = func() time.Time { return now }
		// It is not signed, so nothing that is written there can prove it.
		if id, err := w.v.Verify(t.Context(), []byte(mail), m); err == nil {
			t.Errorf("%q proves %+v", value, id)
		}
	})
}
