package throwaway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const postfixPackage = "postfix"

// PostfixServer is an SMTP server of its own test. It delivers into the
// mailboxes of a Dovecot, whose users may also hand mail in; everything else it
// refuses.
type PostfixServer struct {
	*server
	// Submission is where mail is handed in: by TLS from the first byte on, after
	// a login. Addr takes mail from anybody, without TLS, as from the world.
	Submission string
	// CAFile is the certificate to trust for Submission; it is for 127.0.0.1 and
	// localhost.
	CAFile string
}

// Postfix starts a server that serves the domains of the users. Mail to
// user+anything@domain is the user's. Only root can start one; others' tests are
// skipped.
func Postfix(t testing.TB, box *DovecotServer, users ...string) *PostfixServer {
	t.Helper()
	control := Program(t, "postfix", postfixPackage)
	if os.Geteuid() != 0 {
		t.Skip("Postfix can be started by root only")
	}
	if _, err := osuser.Lookup("postfix"); err != nil {
		t.Skipf("Postfix is not installed in full: %v", err)
	}
	program := "/usr/lib/postfix/sbin/master"
	if out, err := exec.Command("postconf", "-dh", "daemon_directory").Output(); err == nil { //nolint:noctx // ends at once
		program = filepath.Join(strings.TrimSpace(string(out)), "master")
	}
	certs := newCertificates(t)
	p := &PostfixServer{CAFile: certs.caFile}
	s, err := launch(func(port int) (*server, error) {
		dir, err := os.MkdirTemp("", "skadi-postfix-")
		if err != nil {
			return nil, err
		}
		p.Submission = loopback(port + busAbove)
		s := &server{dir: dir, program: program, ready: p.greets}
		p.server = s
		// Its processes run as another user.
		err = os.Chmod(dir, 0o755) //nolint:gosec // of a test
		if err == nil {
			err = p.configure(port, certs, box, users)
		}
		if err == nil {
			err = checkPostfix(control, dir)
		}
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		s.args = []string{"-c", filepath.Join(dir, "etc"), "-d"}
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.own(t)
	return p
}

// checkPostfix makes the folders of the queue, and looks whether all is there.
func checkPostfix(control, dir string) error {
	check := exec.Command(control, "-c", filepath.Join(dir, "etc"), "check") //nolint:noctx,gosec // ends at once
	if out, err := check.CombinedOutput(); err != nil {
		return fmt.Errorf("postfix check: %w\n%s", err, out)
	}
	return nil
}

// configure writes all that Postfix reads. It delivers as who owns the mail.
func (p *PostfixServer) configure(port int, certs *certificates, box *DovecotServer, users []string) error {
	me, err := osuser.Lookup("postfix")
	if err != nil {
		return err
	}
	owner, err := strconv.Atoi(me.Uid)
	if err != nil {
		return err
	}
	for _, name := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(p.dir, name), 0o755); err != nil { //nolint:gosec // of a test
			return err
		}
	}
	if err := os.Chown(filepath.Join(p.dir, "data"), owner, -1); err != nil {
		return err
	}
	var boxes strings.Builder
	domains := map[string]bool{}
	for _, user := range users {
		_, domain, _ := strings.Cut(user, "@")
		domains[domain] = true
		fmt.Fprintf(&boxes, "%s %s/\n", user, box.Maildir(user))
	}
	var served []string
	for domain := range domains {
		served = append(served, domain)
	}
	fill := strings.NewReplacer(
		"DIR", p.dir, "CERT", certs.certFile, "KEY", certs.keyFile, "DOMAINS", strings.Join(served, " "),
		"UID", strconv.Itoa(box.UID), "GID", strconv.Itoa(box.GID),
		"TLSPORT", strconv.Itoa(port+busAbove), "PORT", strconv.Itoa(port), "LOGIN", filepath.Join(box.dir, "login"),
	)
	for name, text := range map[string]string{"main.cf": fill.Replace(postfixMain), "master.cf": fill.Replace(postfixMaster), "boxes": boxes.String()} {
		if err := os.WriteFile(filepath.Join(p.dir, "etc", name), []byte(text), 0o644); err != nil { //nolint:gosec // of a test
			return err
		}
	}
	return nil
}

const postfixMain = `compatibility_level = 3.6
maillog_file = /dev/stdout
queue_directory = DIR/queue
data_directory = DIR/data
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test.example
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
mynetworks =
relayhost =
default_transport = error:this server delivers nowhere else
virtual_mailbox_domains = DOMAINS
virtual_mailbox_base = /
virtual_mailbox_maps = texthash:DIR/etc/boxes
recipient_delimiter = +
virtual_uid_maps = static:UID
virtual_gid_maps = static:GID
virtual_minimum_uid = 1
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_tls_cert_file = CERT
smtpd_tls_key_file = KEY
smtpd_sasl_type = dovecot
smtpd_sasl_path = LOGIN
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
`

const postfixMaster = `127.0.0.1:PORT inet n - n - 50 smtpd
127.0.0.1:TLSPORT inet n - n - 50 smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

// greets waits for the greeting.
func (p *PostfixServer) greets(ctx context.Context) error {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return readGreeting(ctx, c)
}
