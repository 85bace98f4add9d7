package throwaway_test

import (
	"testing"

	"github.com/letserverrun/skadi/internal/throwaway"
)

func TestDovecot(t *testing.T) {
	t.Parallel()
	d := throwaway.Dovecot(t, "a@example.com", "b@example.com")
	d.Deliver(t, "a@example.com", "INBOX", []byte("Subject: one\r\n\r\none\r\n"))
	for range 2 {
		a := d.Client(t, "a@example.com")
		if status, err := a.Select("INBOX", false); err != nil || status.Messages != 1 {
			t.Fatalf("%+v, %v", status, err)
		}
		if status, err := d.Client(t, "b@example.com").Select("INBOX", false); err != nil || status.Messages != 0 {
			t.Fatalf("%+v, %v", status, err)
		}
		d.Restart()
		<-a.LoggedOut() // all of its processes were killed
	}
	d.Stop()
	d.Cont()
}
