package throwaway

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // go-imap asks for it
	"net"
	"os"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-imap/client"
)

const dovecotPackage = "dovecot-imapd"

// DovecotServer is an IMAP server of its own test, with mail in Maildir.
type DovecotServer struct {
	*server
	// StartTLS is the address of the port that turns to TLS; Addr speaks it from
	// the first byte on.
	StartTLS string
	// CAFile is the certificate to trust; the server's is for 127.0.0.1 and
	// localhost.
	CAFile string
	// UID and GID own the mail.
	UID, GID int

	tls       *tls.Config
	passwords map[string]string
	delivered atomic.Int64
}

// Dovecot starts a server with some users, whose names are such as
// inbox@example.com. It keeps what it acknowledged when it is killed, as far as
// Maildir does.
func Dovecot(t testing.TB, users ...string) *DovecotServer {
	t.Helper()
	program := Program(t, "dovecot", dovecotPackage)
	certs := newCertificates(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certs.ca)
	d := &DovecotServer{
		CAFile: certs.caFile, passwords: map[string]string{}, UID: os.Getuid(), GID: os.Getgid(),
		tls: &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12},
	}
	for _, name := range users {
		d.passwords[name] = rand.Text()
	}
	s, err := launch(func(port int) (*server, error) {
		dir, err := os.MkdirTemp("", "skadi-dovecot-")
		if err != nil {
			return nil, err
		}
		d.StartTLS = loopback(port + busAbove)
		s := &server{dir: dir, program: program, group: true, ready: d.ping}
		d.server = s
		if err := d.configure(port, certs); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		s.args = []string{"-F", "-c", filepath.Join(dir, "dovecot.conf")}
		return s, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.own(t)
	return d
}

// Password returns that of a user.
func (d *DovecotServer) Password(user string) string { return d.passwords[user] }

// Maildir returns the folder of a user's INBOX. Others lie in it, with a dot
// before their names.
func (d *DovecotServer) Maildir(user string) string {
	return filepath.Join(d.dir, "mail", user, "Maildir")
}

// Client returns a connection of a user for the test itself.
func (d *DovecotServer) Client(t testing.TB, user string) *client.Client {
	t.Helper()
	c, err := client.DialTLS(d.Addr, d.tls)
	if err != nil {
		t.Fatal(err)
	}
	c.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(func() { _ = c.Terminate(); <-c.LoggedOut() })
	if err := c.Login(user, d.passwords[user]); err != nil {
		t.Fatal(err)
	}
	return c
}

// Deliver puts a mail into a folder of a user's, as a mail server on the same
// machine does.
func (d *DovecotServer) Deliver(t testing.TB, user, folder string, mail []byte) {
	t.Helper()
	dir := d.Maildir(user)
	if folder != "INBOX" {
		dir = filepath.Join(dir, "."+folder)
	}
	name := fmt.Sprintf("%d.test.%s", d.delivered.Add(1), rand.Text())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{dir, filepath.Join(dir, "tmp"), filepath.Join(dir, "new"), filepath.Join(dir, "cur")} {
		must(d.mkdir(sub))
	}
	tmp := filepath.Join(dir, "tmp", name)
	must(os.WriteFile(tmp, mail, 0o600))
	must(os.Chown(tmp, d.UID, d.GID))
	must(os.Rename(tmp, filepath.Join(dir, "new", name)))
}

func (d *DovecotServer) mkdir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chown(dir, d.UID, d.GID)
}

// configure writes all that Dovecot reads. It is started as root or as any
// user; root gives the mail to somebody else, since Dovecot serves none of
// root's.
func (d *DovecotServer) configure(port int, certs *certificates) error {
	me, err := osuser.Current()
	if err != nil {
		return err
	}
	owners := fmt.Sprintf("default_internal_user = %s\ndefault_login_user = %s\ndefault_internal_group = %s\n", me.Username, me.Username, groupOf(me))
	if os.Geteuid() == 0 {
		mail, err := osuser.Lookup("mail")
		if err != nil {
			return err
		}
		if d.UID, err = strconv.Atoi(mail.Uid); err != nil {
			return err
		}
		if d.GID, err = strconv.Atoi(mail.Gid); err != nil {
			return err
		}
		owners = ""
		if err := os.Chmod(d.dir, 0o755); err != nil { //nolint:gosec // its processes run as several users
			return err
		}
	}
	if err := d.mkdir(filepath.Join(d.dir, "mail")); err != nil {
		return err
	}
	var users strings.Builder
	for name, password := range d.passwords {
		fmt.Fprintf(&users, "%s:{PLAIN}%s\n", name, password)
		if err := d.mkdir(filepath.Join(d.dir, "mail", name)); err != nil {
			return err
		}
		if err := d.mkdir(d.Maildir(name)); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(d.dir, "users"), []byte(users.String()), 0o644); err != nil { //nolint:gosec // of a test
		return err
	}
	config := strings.NewReplacer(
		"DIR", d.dir, "CERT", certs.certFile, "KEY", certs.keyFile,
		"PLAINPORT", strconv.Itoa(port+busAbove), "TLSPORT", strconv.Itoa(port),
		"UID", strconv.Itoa(d.UID), "GID", strconv.Itoa(d.GID),
	).Replace(dovecotConfig)
	return os.WriteFile(filepath.Join(d.dir, "dovecot.conf"), []byte(owners+config), 0o600)
}

func groupOf(u *osuser.User) string {
	if g, err := osuser.LookupGroupId(u.Gid); err == nil {
		return g.Name
	}
	return u.Username
}

// dovecotConfig takes logins from the same address without delay and without
// end, since all tests come from it.
const dovecotConfig = `
base_dir = DIR/run
state_dir = DIR/state
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <CERT
ssl_key = <KEY
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
auth_mechanisms = plain login
auth_failure_delay = 0
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
mailbox_list_index = yes
mail_fsync = always
maildir_stat_dirs = yes
mailbox_idle_check_interval = 1 secs
service imap-login {
  chroot =
  client_limit = 200
  process_min_avail = 1
  service_count = 0
  inet_listener imap {
    port = PLAINPORT
  }
  inet_listener imaps {
    port = TLSPORT
    ssl = yes
  }
}
service anvil {
  chroot =
}
service auth {
  unix_listener DIR/login {
    mode = 0666
  }
}
service imap {
  process_limit = 200
}
passdb {
  driver = passwd-file
  args = username_format=%u DIR/users
}
userdb {
  driver = static
  args = uid=UID gid=GID home=DIR/mail/%u
}
`

// ping waits for the greeting.
func (d *DovecotServer) ping(ctx context.Context) error {
	dialer := tls.Dialer{Config: d.tls}
	c, err := dialer.DialContext(ctx, "tcp", d.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return readGreeting(ctx, c)
}

// readGreeting reads one byte of a server that speaks first.
func readGreeting(ctx context.Context, c net.Conn) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
	}
	_, err := c.Read(make([]byte, 1))
	return err
}
