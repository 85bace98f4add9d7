package mysql

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestBadDSN wants of each bad DSN a message that names the key in the config
// and what to do, and never the password.
func TestBadDSN(t *testing.T) {
	t.Parallel()
	server := throwaway.MariaDB(t)
	const password = "pa55:w@rd/with?odd&signs=%zz"
	poor := "poor_" + strings.ToLower(rand.Text()[:8])
	server.Exec(t, "CREATE USER '"+poor+"'@'127.0.0.1' IDENTIFIED BY '"+password+"'")
	t.Cleanup(func() { server.Exec(t, "DROP USER '"+poor+"'@'127.0.0.1'") })
	there, err := mysql.ParseDSN(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	readable := server.Database(t)
	readableName := readable[strings.LastIndex(readable, "/")+1:]
	server.Exec(t, "GRANT SELECT ON "+readableName+".* TO '"+poor+"'@'127.0.0.1'")
	edit := func(change func(*mysql.Config)) string {
		c := there.Clone()
		c.Passwd = password
		change(c)
		return c.FormatDSN()
	}
	mute, closed := listen(t), throwaway.Address(t)
	for name, test := range map[string]struct {
		dsn  string
		want []string
	}{
		"none":             {"", []string{"is missing", "user:password@tcp"}},
		"a URL":            {"mysql://root:" + password + "@localhost/skadi", []string{"is a URL", "without mysql://"}},
		"no slash":         {"root:secret-7531@tcp(localhost)", []string{"cannot be read", "user:password@tcp"}},
		"open bracket":     {"root:secret-7531@tcp(localhost/skadi", []string{"cannot be read"}},
		"odd network":      {"root:secret-7531@secret-7531/skadi", []string{"cannot be read"}},
		"no bracket":       {"root:secret-7531@localhost:3306/skadi", []string{"cannot be read"}},
		"bad parameter":    {"root:secret-7531@tcp(localhost)/skadi?timeout=secret-7531", []string{"cannot be read"}},
		"bad tls":          {"root:secret-7531@tcp(localhost)/skadi?tls=maybe", []string{"tls must be true"}},
		"no database":      {"root:secret-7531@tcp(localhost)/", []string{"names no database"}},
		"unknown host":     {edit(func(c *mysql.Config) { c.Addr = "no-such-host.invalid:3306" }), []string{"cannot be reached", "no-such-host.invalid", "address"}},
		"nobody there":     {edit(func(c *mysql.Config) { c.Addr = closed }), []string{"cannot be reached", closed}},
		"no answer":        {edit(func(c *mysql.Config) { c.Addr, c.ReadTimeout = mute, 200*time.Millisecond }), []string{"does not answer as MySQL", mute}},
		"wrong password":   {edit(func(*mysql.Config) {}), []string{"does not let user", "check the user and the password"}},
		"unknown user":     {edit(func(c *mysql.Config) { c.User = "nobody" }), []string{"does not let user", "nobody"}},
		"unknown db":       {edit(func(c *mysql.Config) { c.Passwd, c.DBName = there.Passwd, "no_such_db" }), []string{"has no database", "no_such_db", "CREATE DATABASE"}},
		"no rights":        {edit(func(c *mysql.Config) { c.User = poor }), []string{"may not do", "is that name right?", "GRANT " + rightsToServe + " ON " + there.DBName + ".*", "docs/mysql.md", poor}},
		"may only read":    {edit(func(c *mysql.Config) { c.User, c.DBName = poor, readableName }), []string{"may not do", "GRANT " + rightsToServe + " ON " + readableName + ".*", "CREATE, ALTER, INDEX and DROP too"}},
		"TLS is not there": {edit(func(c *mysql.Config) { c.Passwd, c.TLSConfig = there.Passwd, "true" }), []string{"offers no TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Config{DSN: chat.Secret(test.dsn), Migrate: true})
			if err == nil {
				t.Fatal("it was opened", s.Close())
			}
			for _, want := range append(test.want, "store.dsn") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
			for _, secret := range []string{password, "secret-7531", there.Passwd, "pa55"} {
				if strings.Contains(fmt.Sprintf("%v %+v %q", err, err, err), secret) {
					t.Errorf("the password is shown: %v", err)
				}
			}
		})
	}
}

// listen returns the address of somebody who never says anything.
func listen(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestSessionHolds reads what the store relies on back from the server,
// against a DSN that asks for the opposite.
func TestSessionHolds(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	var says string
	if _, err := openTest(t, Config{DSN: database}).row(t.Context(), `SELECT VERSION()`, nil, &says); err != nil {
		t.Fatal(err)
	}
	isolationName := "transaction_isolation"
	if _, maria := parseVersion(says); maria {
		isolationName = "tx_isolation" // up to 11.0 the only one
	}
	dsn := database.Reveal() + "?sql_mode=''&time_zone='%2B05:00'&charset=latin1&collation=latin1_swedish_ci" +
		"&parseTime=true&loc=Local&multiStatements=true&clientFoundRows=false&interpolateParams=false&autocommit=0&" + isolationName + "='SERIALIZABLE'"
	s := openTest(t, Config{DSN: chat.Secret(dsn)})
	ask := func(query func(text string, dest ...any) error, autocommit int64) {
		t.Helper()
		var mode, zone, client, collation, isolation string
		var auto, lock int64
		if err := query(`SELECT @@sql_mode, @@time_zone, @@character_set_client, @@collation_connection, @@`+isolationName+`, @@autocommit,
			@@innodb_lock_wait_timeout`, &mode, &zone, &client, &collation, &isolation, &auto, &lock); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(mode, "STRICT_ALL_TABLES") || zone != "+00:00" || client != "utf8mb4" || collation != "utf8mb4_bin" ||
			isolation != "READ-COMMITTED" || auto != autocommit || time.Duration(lock)*time.Second != lockWait {
			t.Errorf("the session has %q, %s, %s, %s, %s, %d, %d", mode, zone, client, collation, isolation, auto, lock)
		}
	}
	ask(func(text string, dest ...any) error {
		_, err := s.row(t.Context(), text, nil, dest...)
		return err
	}, 1)
	ask(func(text string, dest ...any) error {
		return s.write(t.Context(), 1, func(tx *tx) error {
			_, err := tx.row(text, nil, dest...)
			return err
		})
	}, 0)
	err := s.write(t.Context(), 1, func(tx *tx) error {
		_, err := tx.exec(`UPDATE agents SET version = 'x' WHERE id = 'a'; DELETE FROM agents`)
		return err
	})
	if number(err) == 0 {
		t.Errorf("two statements in one end with %v", err)
	}
}

// TestClock compares the database's clock with this machine's, which are one.
func TestClock(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t).Reveal() + "?time_zone='%2B05:00'"
	s := openTest(t, Config{DSN: chat.Secret(dsn)})
	before := time.Now().Truncate(time.Microsecond)
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var within time.Time
	if err := s.write(t.Context(), 1, func(tx *tx) error { within = tx.now; return nil }); err != nil {
		t.Fatal(err)
	}
	if after := time.Now(); now.Before(before) || within.Before(now) || within.After(after) {
		t.Errorf("the clock says %s and %s between %s and %s", now, within, before, after)
	}
}

func TestOldServers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		v     version
		maria bool
		old   bool
	}{
		"8.0.36-0ubuntu0.22.04.1":    {version{8, 0, 36}, false, false},
		"8.0.12":                     {version{8, 0, 12}, false, true},
		"5.7.44-log":                 {version{5, 7, 44}, false, true},
		"9.1.0":                      {version{9, 1, 0}, false, false},
		"10.11.19-MariaDB-0+deb12u1": {version{10, 11, 19}, true, false},
		"5.5.5-10.5.23-MariaDB":      {version{10, 5, 23}, true, true},
		"11.4.2-MariaDB-ubu2404":     {version{11, 4, 2}, true, false},
		"8.0.11-TiDB-v7.5.0":         {version{8, 0, 11}, false, true},
		"":                           {version{}, false, true},
	} {
		v, maria := parseVersion(text)
		oldest := oldestMySQL
		if maria {
			oldest = oldestMariaDB
		}
		if v != want.v || maria != want.maria || v.before(oldest) != want.old {
			t.Errorf("%q is read as %s, MariaDB %t, too old %t", text, v, maria, v.before(oldest))
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint16]error{
		erDeadlock: job.ErrUnavailable, erLockWait: job.ErrUnavailable, erCheckRead: job.ErrUnavailable,
		erServerGone: job.ErrUnavailable, erServerLost: job.ErrUnavailable, erServerShutdown: job.ErrUnavailable,
		erConnectionKilled: job.ErrUnavailable, erTooManyConnections: job.ErrUnavailable, erOptionPrevents: job.ErrUnavailable,
		erReadOnlyMode: job.ErrUnavailable, erAccessDenied: job.ErrUnavailable,
		erDiskFull: job.ErrFull, erTableFull: job.ErrFull,
	} {
		err := explain(fmt.Errorf("wrapped: %w", &mysql.MySQLError{Number: n}))
		if !errors.Is(err, want) || number(err) != n {
			t.Errorf("%d is explained as %v", n, err)
		}
	}
	for _, err := range []error{mysql.ErrInvalidConn, &net.OpError{Op: "read", Err: errors.New("reset")}} {
		if got := explain(err); !errors.Is(got, job.ErrUnavailable) || !errors.Is(got, err) {
			t.Errorf("%v is explained as %v", err, got)
		}
	}
	for _, err := range []error{nil, context.Canceled, job.ErrFull, job.ErrExists} {
		if got := explain(err); got != err { //nolint:errorlint // the same, not alike
			t.Errorf("%v is explained as %v", err, got)
		}
	}
}

// TestReadOnlyServer turns a server into one that takes no writes, and back.
func TestReadOnlyServer(t *testing.T) {
	t.Parallel()
	server := throwaway.NewMariaDB(t)
	dsn, err := mysql.ParseDSN(server.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	// read_only does not hold for users with all rights.
	server.Exec(t, "CREATE USER 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'", "GRANT ALL ON "+dsn.DBName+".* TO 'plain'@'127.0.0.1'")
	dsn.User, dsn.Passwd = "plain", "plain"
	s := openTest(t, Config{DSN: chat.Secret(dsn.FormatDSN())})
	server.Exec(t, "SET GLOBAL read_only = 1")
	if err := s.Ping(t.Context()); !errors.Is(err, job.ErrUnavailable) || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("a write ends with %v", err)
	}
	if _, err := s.Agents(t.Context(), "default"); err != nil {
		t.Errorf("a read ends with %v", err)
	}
	s.reads.renew()
	if _, err := s.Agents(t.Context(), "default"); !errors.Is(err, job.ErrUnavailable) || !strings.Contains(err.Error(), "takes no writes") {
		t.Errorf("a read on a new connection ends with %v", err)
	}
	server.Exec(t, "SET GLOBAL read_only = 0")
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a write ends with %v", err)
	}
}

// TestAsLost: whatever ends a log-in is a lost connection, unless it says what
// to mend.
func TestAsLost(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{errors.New("bad connection"), io.ErrUnexpectedEOF, driver.ErrBadConn} {
		if err := asLost(lost); !isLost(err) || !errors.Is(err, lost) || !errors.Is(explain(err), job.ErrUnavailable) {
			t.Errorf("%v is %v", lost, err)
		}
	}
	for _, told := range []error{&mysql.MySQLError{Number: erAccessDenied}, mysql.ErrNoTLS, context.Canceled, &tls.CertificateVerificationError{}} {
		if err := asLost(told); isLost(err) || !errors.Is(err, told) {
			t.Errorf("%v is %v", told, err)
		}
	}
}

func TestConflictsByState(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{"40001": true, "40000": true, "HY000": false, "42000": false} {
		err := &mysql.MySQLError{Number: 9999}
		copy(err.SQLState[:], state)
		if isConflict(err) != want || isConflict(fmt.Errorf("wrapped: %w", err)) != want {
			t.Errorf("an error of state %s is a conflict: %v", state, !want)
		}
	}
}
