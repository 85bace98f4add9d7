package message_test

import (
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters/email/message"
)

// TestQuotes shows the answers that mail programs write in their users'
// languages: what their user typed is "status", in one or two places.
func TestQuotes(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"Gmail":               "status\n\nOn Sun, Nov 29, 2026 at 4:00 PM Skadi <inbox@example.com> wrote:\n\n> done\n> more\n",
		"Gmail, broken":       "status\n\nOn Sun, Nov 29, 2026 at 4:00 PM Skadi the exchanger <\ninbox@example.com> wrote:\n\n> done\n",
		"Gmail, below":        "On Sun, Nov 29, 2026 at 4:00 PM Skadi <inbox@example.com> wrote:\n> done\n> more\n\nstatus\n",
		"Gmail, between":      "status\n\nOn Sun, Nov 29, 2026 at 4:00 PM Skadi <inbox@example.com> wrote:\n> done\n\nthanks for that\n> more\n",
		"Gmail, German":       "status\n\nAm So., 29. Nov. 2026 um 16:00 Uhr schrieb Skadi <inbox@example.com>:\n\n> fertig\n",
		"Gmail, French":       "status\n\nLe dim. 29 nov. 2026 à 16:00, Skadi <inbox@example.com> a écrit :\n\n> fini\n",
		"Gmail, Spanish":      "status\n\nEl dom, 29 nov 2026 a las 16:00, Skadi (<inbox@example.com>) escribió:\n\n> hecho\n",
		"Gmail, Italian":      "status\n\nIl giorno dom 29 nov 2026 alle ore 16:00 Skadi <inbox@example.com> ha scritto:\n\n> fatto\n",
		"Gmail, Portuguese":   "status\n\nEm dom., 29 de nov. de 2026 às 16:00, Skadi <inbox@example.com> escreveu:\n\n> feito\n",
		"Gmail, Dutch":        "status\n\nOp zo 29 nov 2026 om 16:00 schreef Skadi <inbox@example.com>:\n\n> klaar\n",
		"Gmail, Swedish":      "status\n\nDen sön 29 nov. 2026 kl 16:00 skrev Skadi <inbox@example.com>:\n\n> klart\n",
		"Gmail, Polish":       "status\n\nniedz., 29 lis 2026 o 16:00 Skadi <inbox@example.com> napisał(a):\n\n> gotowe\n",
		"Gmail, Russian":      "status\n\nвс, 29 нояб. 2026 г. в 16:00, Skadi <inbox@example.com>:\n\n> готово\n",
		"Yandex, Russian":     "status\n\n29.11.2026, 16:00, \"Skadi\" <inbox@example.com> пишет:\n\n> готово\n",
		"Gmail, Turkish":      "status\n\nSkadi <inbox@example.com>, 29 Kas 2026 Paz, 16:00 tarihinde şunu yazdı:\n\n> bitti\n",
		"Gmail, Chinese":      "status\n\nSkadi <inbox@example.com> 于2026年11月29日周日 16:00写道：\n\n> 完成\n",
		"Gmail, Japanese":     "status\n\n2026年11月29日(日) 16:00 Skadi <inbox@example.com>:\n\n> 完了\n",
		"Gmail, Korean":       "status\n\n2026년 11월 29일 (일) 오후 4:00, Skadi <inbox@example.com>님이 작성:\n\n> 완료\n",
		"Apple Mail":          "status\n\n> On 29. Nov 2026, at 16:00, Skadi <inbox@example.com> wrote:\n> \n> done\n",
		"Apple Mail, iOS":     "status\n\nSent from my iPhone\n\n> On 29 Nov 2026, at 16:00, Skadi <inbox@example.com> wrote:\n> \n> done\n",
		"Apple Mail, German":  "status\n\nVon meinem iPhone gesendet\n\n> Am 29.11.2026 um 16:00 schrieb Skadi <inbox@example.com>:\n> \n> fertig\n",
		"Outlook":             "status\n\nFrom: Skadi <inbox@example.com>\nSent: Sunday, November 29, 2026 4:00 PM\nTo: Alice <alice@example.com>\nSubject: Re: web-1\n\ndone\n",
		"Outlook, ruled":      "status\n\n________________________________\nFrom: Skadi <inbox@example.com>\nSent: Sunday\nTo: Alice\nSubject: Re: web-1\n\ndone\n",
		"Outlook, old":        "status\n\n-----Original Message-----\nFrom: Skadi\n\ndone\n",
		"Outlook, German":     "status\n\nVon: Skadi <inbox@example.com>\nGesendet: Sonntag, 29. November 2026 16:00\nAn: Alice <alice@example.com>\nBetreff: AW: web-1\n\nfertig\n",
		"Outlook, old German": "status\n\n-----Ursprüngliche Nachricht-----\nVon: Skadi\n\nfertig\n",
		"Outlook, French":     "status\n\nDe : Skadi <inbox@example.com>\nEnvoyé : dimanche 29 novembre 2026 16:00\nÀ : Alice\nObjet : RE: web-1\n\nfini\n",
		"Outlook, Chinese":    "status\n\n发件人: Skadi <inbox@example.com>\n发送时间: 2026年11月29日 16:00\n收件人: Alice\n主题: Re: web-1\n\n完成\n",
		"Outlook, starred":    "status\n\n*From:* Skadi <inbox@example.com>\n*Sent:* Sunday, November 29, 2026 4:00 PM\n*To:* Alice\n*Subject:* Re: web-1\n\ndone\n",
		"Outlook, iOS":        "status\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n________________________________\nFrom: Skadi\nSent: Sunday\nTo: Alice\nSubject: x\n\ndone\n",
		"QQ":                  "status\n\n------------------ 原始邮件 ------------------\n发件人: \"Skadi\" <inbox@example.com>;\n完成\n",
		"Thunderbird":         "On 11/29/26 16:00, Skadi wrote:\n> done\n\nstatus\n\n-- \nAlice\nExample Ltd.\n",
		"forwarded":           "status\n\n---------- Forwarded message ---------\nFrom: eve@example.com\n\nrm -rf\n",
		"forwarded, Apple":    "status\n\nBegin forwarded message:\n\nFrom: eve@example.com\n\nrm -rf\n",
		"signature":           "status\n\n-- \nAlice\n",
		"signature, bare":     "status\n--\nAlice\n",
		"mobile":              "status\n\nSent from my Galaxy\n",
		"mobile, French":      "status\n\nEnvoyé de mon iPhone\n",
		"mobile, Japanese":    "status\n\niPhoneから送信\n",
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := parse(t, headed("Content-Type: text/plain; charset=utf-8", "", strings.ReplaceAll(body, "\n", "\r\n")))
			if m.Text != "status" {
				t.Errorf("%q", m.Text)
			}
			if !strings.Contains(m.Whole, "status") || len(m.Whole) <= len("status") {
				t.Errorf("whole %q", m.Whole)
			}
		})
	}
}

// TestNoQuotes shows what looks like one and is the sender's own.
func TestNoQuotes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"deploy --force\n\nFrom: here it goes on",
		"note: Alice wrote:\nnothing",
		"On monday we deploy:\n- a\n- b",
		"On 3 hosts run:\nuptime",
		"echo a\n-----\necho b",
		"at 12:00 the following:\nstatus",
		"Sent from my desk, this is a long sentence; and it is not the last line\nstatus",
		"date: 12:00\nto: web-1",
		"send original message",
		"a -- b",
	} {
		m := parse(t, headed("", strings.ReplaceAll(body, "\n", "\r\n")))
		if m.Text != body {
			t.Errorf("%q became %q", body, m.Text)
		}
	}
}

func TestHTMLQuotes(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"Gmail":         `<div dir="ltr">status</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" class="gmail_attr">On Sun, Nov 29, 2026 Skadi &lt;<a href="mailto:i@example.com">i@example.com</a>&gt; wrote:<br></div><blockquote class="gmail_quote"><div>done</div></blockquote></div>`,
		"Gmail, below":  `<div dir="ltr"><div class="gmail_quote"><div class="gmail_attr">On Sun wrote:</div><blockquote>x<div>y</div></blockquote></div><div>status</div><div class="gmail_signature"><div>Alice</div></div></div>`,
		"Apple Mail":    `<html><head><meta></head><body style="x">status<br><div><br><blockquote type="cite"><div>On 29. Nov 2026, at 16:00, Skadi &lt;i@example.com&gt; wrote:</div><div>done</div></blockquote></div></body></html>`,
		"Outlook":       `<div class="WordSection1"><p class="MsoNormal">status<o:p></o:p></p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class="MsoNormal"><b>From:</b> Skadi &lt;i@example.com&gt;<br><b>Sent:</b> Sunday, November 29, 2026 4:00 PM<br><b>To:</b> Alice<br><b>Subject:</b> Re: web-1</p></div></div><p>done</p></div>`,
		"Outlook, web":  `<div class="elementToProof">status</div><div id="appendonsend"></div><hr style="width:98%"><div id="divRplyFwdMsg"><b>From:</b> Skadi</div><div>done</div>`,
		"Outlook, sig":  `<div>status</div><div id="Signature"><p>Alice</p></div>`,
		"Thunderbird":   `<div class="moz-cite-prefix">On 11/29/26 16:00, Skadi wrote:<br></div><blockquote type="cite">done</blockquote><p>status</p><pre class="moz-signature">-- <br>Alice</pre>`,
		"Yahoo":         `<div>status</div><div id="x" class="yahoo_quoted">done</div>`,
		"unclosed":      `<div>status<blockquote>done`,
		"closed twice":  `</div></p>status</blockquote>`,
		"comments":      `<!-- a -->sta<!-- > -->tus<![CDATA[ x ]]>`,
		"odd spaces":    "<p>\n  <b> status </b>\n</p>\n",
		"a style in it": `<style>x { y: "<p>" }</style><p>status</p>`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := parse(t, headed("Content-Type: text/html; charset=utf-8", "", body))
			if m.Text != "status" || !m.FromHTML {
				t.Errorf("%q of %q", m.Text, m.Whole)
			}
		})
	}
}

func TestHTMLKeepsCommands(t *testing.T) {
	t.Parallel()
	m := parse(t, headed("Content-Type: text/html", "", `<p>deploy v1_2_3 --to=*.example.com &lt;now&gt; #1</p><pre>a  b
c</pre><table><tr><td>d</td><td>e</td></tr></table>`))
	if want := "deploy v1_2_3 --to=*.example.com <now> #1\n\na  b\nc\nd e"; m.Text != want {
		t.Errorf("%q, want %q", m.Text, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, raw := range broken(f) {
		f.Add(raw)
	}
	f.Add(headed("", "status"))
	f.Add(headed("Content-Type: multipart/mixed; boundary=b", "", "--b", "", "one", "--b", "Content-Type: text/html; charset=gb18030", "Content-Transfer-Encoding: base64", "", "PHA+", "--b--"))
	f.Add(headed("Content-Type: multipart/report; report-type=delivery-status; boundary=b", "", "--b", "Content-Type: message/delivery-status", "", "Final-Recipient: rfc822; a@b", "", "--b--"))
	f.Add(headed("Content-Type: text/plain; format=flowed; delsp=yes", "", "a ", ">b ", "On 1 a@b wrote:", "> c"))
	f.Add(headed("Content-Type: text/html", "", "<div class=gmail_quote><pre>x</div>"))
	f.Add(mail("From: =?utf-8?b?x?= <a@b>, g: c@d;", "Subject: =?x?q?y?=", "Date: x", "Message-ID: <>", "Return-Path: <>"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := message.Parse(raw)
		if err != nil {
			return
		}
		_ = m.Check()
		_, _ = m.Automatic()
		_ = m.Paragraph()
		if len(m.Text) > len(m.Whole) {
			t.Errorf("cutting made it longer: %q of %q", m.Text, m.Whole)
		}
		for _, a := range m.From {
			if strings.ContainsAny(a.String(), "\r\n\x00") {
				t.Errorf("%q", a)
			}
		}
		if strings.ContainsAny(m.Subject+m.ID, "\r\n\x00") {
			t.Errorf("%q %q", m.Subject, m.ID)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	for _, seed := range []string{"a@example.com", "A <a@b.example>, g: c@d;", "\"a@b\"@c", "<@a:b@c>", "a@[1.2.3.4]", "=?utf-8?q?x?= <a@xn--a.example>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		all, err := message.ParseAddresses(value)
		if err != nil {
			return
		}
		for _, a := range all {
			if a.Local == "" || a.Domain == "" || strings.ContainsAny(a.String(), "\r\n\x00") {
				t.Errorf("%q: %+v", value, a)
			}
		}
	})
}
