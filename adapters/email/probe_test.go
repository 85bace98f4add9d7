package email

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// greets is a server that begins in plain text, as those for STARTTLS do.
func greets(t *testing.T, greeting string) (port int) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, greeting)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port
}

// TestCheckOfAPortWithoutTLS holds that who takes the one port for the other is
// told so.
func TestCheckOfAPortWithoutTLS(t *testing.T) {
	t.Parallel()
	cfg := fine()
	cfg.IMAP.Host, cfg.IMAP.Port = "127.0.0.1", greets(t, "* OK hello\r\n")
	cfg.SMTP.Host, cfg.SMTP.Port = "127.0.0.1", greets(t, "220 hello\r\n")
	a, err := New(cfg, chat.Env{Account: "inbox"})
	if err != nil {
		t.Fatal(err)
	}
	found := []chat.Finding{login("imap", a.mailbox.Check(t.Context())), login("smtp", a.smtp.check(t.Context()))}
	for i, want := range []string{"write tls: starttls in imap, or use the port that does, 993", "write tls: starttls in smtp, or use the port that does, 465"} {
		if found[i].Level != chat.Wrong || !strings.Contains(found[i].Fix, want) {
			t.Errorf("%+v, want %q", found[i], want)
		}
	}
	if got := login("imap", errors.New("no route")); !strings.Contains(got.Fix, "docs/email.md") {
		t.Errorf("%+v", got)
	}
}
