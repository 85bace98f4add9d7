package message

// What mailers write around the mail that is answered, in the languages that
// most of their users set.

// introductions are those of Gmail, Apple Mail, Thunderbird and others.
var introductions = anyOf(
	`on\b.+\b(?:wrote|writes)\s*:`,           // English
	`am\b.+\bschrieb\b.*:`,                   // German
	`le\b.+\ba [eé]crit\s*:`,                 // French
	`el\b.+\bescribi[oó]\s*:`,                // Spanish
	`il\b.+\bha scritto\s*:`,                 // Italian
	`em\b.+\bescreveu\b.*:`,                  // Portuguese
	`a\b.+\bescreveu\s*:`,                    // Portuguese, of Portugal
	`op\b.+\b(?:schreef|geschreven)\b.*:`,    // Dutch
	`den\b.+\b(?:skrev|skrivit)\b.*:`,        // Swedish, Danish, Norwegian
	`.+\bskrev\b.*:`,                         // the same, date within
	`.+\b(?:kirjoitti)\b.*:`,                 // Finnish
	`.+(?:napisa[łl](?:\(a\)|a)?|pisze)\s*:`, // Polish
	`.+napsal(?:\(a\)|a)?\s*:`,               // Czech
	`.+(?:пишет|написал(?:\(а\)|а)?|написав(?:\(ла\))?|пише)\s*:`, // Russian, Ukrainian
	`.+(?:şunu|tarihinde) .*yazd[ıi]\s*:`,                         // Turkish
	`.+(?:έγραψε)\s*:`,                                            // Greek
	`.*(?:写道|寫道|写到)\s*[:：]`,                                       // Chinese
	`\d{4}年\d{1,2}月\d{1,2}日.*[:：]`,                                // Japanese
	`.+(?:のメール|は書きました|wrote).*[:：]`,                               // Japanese
	`.+(?:작성|님이 씀|썼습니다).*[:：]`,                                    // Korean
	// A date, a time and an address, in whatever language.
	`.*\d{4}.*\d{1,2}[:.]\d{2}.*<[^<>\s]+@[^<>\s]+>\s*[:：]`,
	`.*<[^<>\s]+@[^<>\s]+>\s*(?:wrote|schrieb|a écrit)\s*:`,
)

// dividers are what Outlook writes between dashes.
var dividers = map[string]bool{
	"original message": true, "original appointment": true,
	"ursprüngliche nachricht": true, "originalnachricht": true, "original-nachricht": true,
	"message d'origine": true, "message d’origine": true, "message original": true,
	"mensaje original": true, "messaggio originale": true, "mensagem original": true,
	"oorspronkelijk bericht": true, "ursprungligt meddelande": true, "originalmeddelande": true, "oprindelig meddelelse": true,
	"opprinnelig melding": true, "alkuperäinen viesti": true, "wiadomość oryginalna": true, "oryginalna wiadomość": true,
	"původní zpráva": true, "исходное сообщение": true, "original mesaj": true, "özgün ileti": true,
	"原始邮件": true, "邮件原件": true, "原始郵件": true, "元のメッセージ": true, "원본 메시지": true, "원본 메일": true,
}

// forwards begin a mail that is passed on.
var forwards = map[string]bool{
	"forwarded message": true, "begin forwarded message": true, "forwarded by": true,
	"weitergeleitete nachricht": true, "anfang der weitergeleiteten nachricht": true,
	"message transféré": true, "début du message réexpédié": true, "début du message transféré": true,
	"mensaje reenviado": true, "inicio del mensaje reenviado": true,
	"messaggio inoltrato": true, "inizio messaggio inoltrato": true, "mensagem encaminhada": true,
	"doorgestuurd bericht": true, "begin doorgestuurd bericht": true, "vidarebefordrat meddelande": true,
	"пересылаемое сообщение": true, "пересланное сообщение": true,
	"转发的邮件": true, "转发邮件信息": true, "轉寄郵件": true, "転送メッセージ": true, "전달된 메일": true,
}

// label is a line of a header that is shown.
type label int

const (
	labelFrom label = iota
	labelSent
	labelTo
	labelCc
	labelSubject
)

// labels are those of Outlook and of Apple Mail.
var labels = map[string]label{
	"from": labelFrom, "von": labelFrom, "de": labelFrom, "da": labelFrom, "van": labelFrom, "från": labelFrom, "fra": labelFrom,
	"od": labelFrom, "lähettäjä": labelFrom, "от": labelFrom, "від": labelFrom, "kimden": labelFrom, "gönderen": labelFrom, "από": labelFrom,
	"发件人": labelFrom, "寄件者": labelFrom, "差出人": labelFrom, "送信者": labelFrom, "보낸 사람": labelFrom, "보낸사람": labelFrom,

	"sent": labelSent, "date": labelSent, "gesendet": labelSent, "datum": labelSent, "envoyé": labelSent, "enviado": labelSent,
	"enviado el": labelSent, "fecha": labelSent, "inviato": labelSent, "data": labelSent, "enviada em": labelSent, "enviado em": labelSent,
	"verzonden": labelSent, "skickat": labelSent, "sendt": labelSent, "dato": labelSent, "lähetetty": labelSent, "päiväys": labelSent,
	"wysłano": labelSent, "odesláno": labelSent, "отправлено": labelSent, "дата": labelSent, "gönderildi": labelSent, "tarih": labelSent,
	"发送时间": labelSent, "日期": labelSent, "傳送時間": labelSent, "送信日時": labelSent, "日時": labelSent, "보낸 날짜": labelSent, "날짜": labelSent,

	"to": labelTo, "an": labelTo, "à": labelTo, "para": labelTo, "a": labelTo, "aan": labelTo, "till": labelTo, "til": labelTo,
	"vastaanottaja": labelTo, "do": labelTo, "komu": labelTo, "кому": labelTo, "kime": labelTo, "προς": labelTo,
	"收件人": labelTo, "收件者": labelTo, "宛先": labelTo, "받는 사람": labelTo, "받는사람": labelTo,

	"cc": labelCc, "kopie": labelCc, "kopia": labelCc, "копия": labelCc, "抄送": labelCc, "副本": labelCc, "참조": labelCc,

	"subject": labelSubject, "betreff": labelSubject, "objet": labelSubject, "asunto": labelSubject, "oggetto": labelSubject,
	"assunto": labelSubject, "onderwerp": labelSubject, "ämne": labelSubject, "emne": labelSubject, "aihe": labelSubject,
	"temat": labelSubject, "předmět": labelSubject, "тема": labelSubject, "konu": labelSubject, "θέμα": labelSubject,
	"主题": labelSubject, "主旨": labelSubject, "件名": labelSubject, "제목": labelSubject,
}

// mobile is what phones and mail programs say about themselves.
var mobile = anyOf(
	`sent (?:from|with|via) (?:my )?[\p{L}\p{N} .,'’!()<>:/_-]{2,60}`,
	`get outlook for .+`, `sent from outlook for .+`, `sent from mail for windows.*`,
	`(?:von meinem .+ gesendet|gesendet (?:von|mit|über) .+|outlook für .+ (?:beziehen|herunterladen).*)`,
	`envoyé (?:de|depuis|à partir de) .+`, `(?:enviado desde|enviado de|enviado do) .+`, `obtener outlook para .+`, `obtenha o outlook para .+`,
	`inviato da(?:l| mio)? .+`, `(?:verstuurd|verzonden) (?:vanaf|vanuit|via) .+`, `(?:skickat från|skickades från|sendt fra) .+`,
	`lähetetty .+`, `wysłane z .+`, `odesláno z .+`, `отправлено (?:с|из) .+`, `надіслано з .+`, `.+ uygulamasından gönderildi`,
	`发自我的.+`, `發自我的.+`, `从我的.+发送`, `.+から送信`, `나의 .+에서 보냄`,
)
