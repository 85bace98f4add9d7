package throwaway

import (
	"context"
	"os/exec"
	"testing"
)

func TestPostfix(t *testing.T) {
	t.Parallel()
	const ada, inbox = "ada@example.org", "inbox@example.com"
	box := Dovecot(t, ada, inbox)
	p := Postfix(t, box, ada, inbox)
	swaks := Program(t, "swaks", "swaks")
	send := func(args ...string) error {
		cmd := exec.Command(swaks, append([]string{"--from", ada, "--header", "Subject: hello", "--body", "hello", "--timeout", "20"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("swaks %q: %s", args, out)
		}
		return err
	}
	if err := send("--server", p.Addr, "--to", "inbox+web-1@example.com"); err != nil {
		t.Error(err)
	}
	login := []string{"--server", p.Submission, "--tls-on-connect", "--auth", "PLAIN", "--auth-user", inbox}
	if err := send(append(login, "--auth-password", box.Password(inbox), "--from", inbox, "--to", ada)...); err != nil {
		t.Error(err)
	}
	if err := send(append(login, "--auth-password", "wrong", "--from", inbox, "--to", ada)...); err == nil {
		t.Error("a wrong password is taken")
	}
	if err := send("--server", p.Addr, "--to", "eve@elsewhere.example"); err == nil {
		t.Error("mail to elsewhere is taken from anybody")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, user := range []string{ada, inbox} {
		c := box.Client(t, user)
		if err := until(ctx, func() error {
			status, err := c.Select("INBOX", true)
			if err == nil && status.Messages != 1 {
				return context.DeadlineExceeded
			}
			return err
		}); err != nil {
			t.Errorf("the mail of %s: %v", user, err)
		}
	}
}
