package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// Check implements chat.Checker: it logs in at both servers, and finds out
// whether it can be proved who sends mail, as it is configured.
func (a *Adapter) Check(ctx context.Context) []chat.Finding {
	return append([]chat.Finding{
		login("imap", a.mailbox.Check(ctx)), login("smtp", a.smtp.check(ctx)),
	}, a.proof(ctx)...)
}

func login(server string, err error) chat.Finding {
	if err != nil {
		fix := "see the keys of " + server + " in docs/email.md"
		if errors.As(err, new(tls.RecordHeaderError)) {
			fix = fmt.Sprintf("this port speaks no TLS at once: write tls: %s in %s, or use the port that does, %d", tlsStart, server, wellKnown[server][tlsImplicit])
		}
		return chat.Finding{Level: chat.Wrong, Text: server + ": " + err.Error(), Fix: fix}
	}
	return chat.Finding{Level: chat.Fine, Text: server + ": the server takes the login"}
}

// proof says what is doubtful about how senders are proved.
func (a *Adapter) proof(ctx context.Context) (list []chat.Finding) {
	doubt := func(text, fix string) {
		list = append(list, chat.Finding{Level: chat.Doubtful, Text: "identity: " + text, Fix: fix})
	}
	find := a.verifier.TXT
	if find == nil {
		find = net.DefaultResolver.LookupTXT
	}
	records, err := find(ctx, "_dmarc."+a.inbox.domain)
	var dns *net.DNSError
	if err != nil && (!errors.As(err, &dns) || !dns.IsNotFound) {
		return []chat.Finding{{
			Level: chat.Wrong, Text: "identity: the DNS does not answer, so no signature can be checked: " + err.Error(),
			Fix: "name a resolver that this server reaches in the key dns",
		}}
	}
	if !strings.Contains(strings.ToLower(strings.Join(records, " ")), "v=dmarc1") {
		doubt("the domain "+a.inbox.domain+" has no DMARC record; its people's mail counts only if it is signed by that domain (DKIM)", "publish a DMARC record for the domain")
	}
	if a.cfg.AuthservID == "" {
		doubt("only mail with a DKIM signature of its sender's domain is believed; mail within a Microsoft 365 tenant is often unsigned and would be refused", "see docs/email.md, and set authserv_id where your own server checks mail")
	}
	if a.cfg.Unsigned {
		doubt("a mail that the server of authserv_id let pass without a signature can be replayed by whoever reads it on the way", "leave allow_unsigned out if you can")
	}
	return list
}
