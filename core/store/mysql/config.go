package mysql

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/chat"
)

// Config says which database to open and how.
type Config struct {
	// DSN names the database as github.com/go-sql-driver/mysql has it:
	// user:password@tcp(host:3306)/database?tls=true. What the store relies on
	// it sets itself, whatever the DSN says; timeout, readTimeout, writeTimeout,
	// tls, serverPubKey and the like are the DSN's.
	DSN chat.Secret
	// Partitions is how many partitions conversations are spread over. It is
	// kept in the database, and another number is refused from then on; 0: as
	// it is kept, or events.DefaultPartitions.
	Partitions int
	// Migrate brings the schema up to date first; without it an old schema is
	// refused.
	Migrate bool
	// Clock is what deadlines go by; nil: the database's clock.
	Clock chat.Clock
	// Logger is for what nobody is there to be told; nil: nothing is logged.
	Logger *slog.Logger

	// dial replaces how connections are made, in tests.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	// dialTimeout, ioTimeout are what holds if the DSN names none. An answer
	// may take lockWait at least.
	dialTimeout = 5 * time.Second
	ioTimeout   = 30 * time.Second
	// lockWait is how long a statement waits for a row that another
	// transaction holds.
	lockWait = 10 * time.Second
	// idleWriter is after how long a server drops a writer's connection that
	// says nothing. It bounds how long the locks of a node stay that was cut
	// off, or stopped, in the middle of a transaction.
	idleWriter = 60 * time.Second
	// sqlMode is the session's, so that a value that does not fit is refused
	// and never cut, and no table ends up in another engine.
	sqlMode = "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)

// session is how the store talks to its database.
//
// Arguments are put into the statement's text by the driver, not sent to
// prepared statements: nearly every statement of a batch has another number of
// rows, so each would be prepared for one use, with a round trip more. Measured
// with MariaDB 10.11 (BenchmarkInsert), a row of an INSERT of 100 takes 17 µs
// so, 20 µs if the statement is prepared for it, and 12 µs if it was prepared
// before, which only batches of the same size could be.
type session struct {
	config *mysql.Config
	// inner makes connections of the driver.
	inner driver.Connector
	setup []string
}

// parse reads a DSN and sets what the store relies on. Its errors never show
// the DSN, since a password that is not escaped may be anywhere in it.
func parse(dsn chat.Secret, log *slog.Logger) (*mysql.Config, error) {
	const form = "it must look like user:password@tcp(host:3306)/database"
	text := dsn.Reveal()
	switch {
	case text == "":
		return nil, errors.New("store.dsn is missing: " + form)
	case strings.Contains(text, "://"):
		return nil, errors.New("store.dsn is a URL: " + form + ", without mysql:// before it")
	}
	c, err := mysql.ParseDSN(text)
	if err != nil {
		return nil, fmt.Errorf("store.dsn cannot be read%s: %s", safeReason(err), form)
	}
	if c.DBName == "" {
		return nil, errors.New("store.dsn names no database: write its name after the slash, as in user:password@tcp(host:3306)/skadi")
	}
	c.ParseTime, c.Loc = false, time.UTC // no column is a date
	c.ClientFoundRows = true             // an UPDATE counts the rows that it found
	c.MultiStatements = false
	c.InterpolateParams = true
	c.AllowAllFiles, c.AllowOldPasswords, c.ColumnsWithAlias = false, false, false
	c.RejectReadOnly = false // see isReadOnly
	c.CheckConnLiveness = true
	c.MaxAllowedPacket = 0 // the server's
	c.Logger = driverLog{log}
	if c.Timeout == 0 {
		c.Timeout = dialTimeout
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = ioTimeout
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = ioTimeout
	}
	if c.ConnectionAttributes == "" {
		c.ConnectionAttributes = "program_name:skadi"
	}
	if c.TLS != nil && c.TLS.MinVersion == 0 {
		c.TLS.MinVersion = tls.VersionTLS12
	}
	// The binary collation of utf8mb4: texts are what they are to the byte.
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	return c, nil
}

// safeReason returns the driver's reason if it quotes nothing of the DSN.
func safeReason(err error) string {
	text := err.Error()
	for safe, hint := range map[string]string{
		"did you forget to escape": " (the address must be in brackets after tcp, as in tcp(host:3306), and values of parameters must be escaped)",
		"address not terminated":   " (the closing bracket of the address is missing)",
		"missing the slash":        " (the slash before the database's name is missing)",
		"unknown config name":      " (tls must be true, false, skip-verify or preferred)",
		"invalid bool value":       " (a parameter that must be true or false is not)",
		"unknown server pub key":   " (serverPubKey names no key that Skadi knows)",
		"time: ":                   " (a time must be written like 5s)",
		"unknown time zone":        " (loc is no time zone, and not needed)",
	} {
		if strings.Contains(text, safe) {
			return hint
		}
	}
	return ""
}

// newSession prepares connections to the database of a DSN. writer says that
// they write, and commit what they write themselves.
func newSession(c Config, writer bool) (*session, error) {
	log := c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	config, err := parse(c.DSN, log)
	if err != nil {
		return nil, err
	}
	if c.dial != nil {
		config.DialFunc = c.dial
	}
	inner, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("store.dsn cannot be used%s", safeReason(err))
	}
	set := fmt.Sprintf("SET SESSION sql_mode = '%s', time_zone = '+00:00', innodb_lock_wait_timeout = %d, autocommit = ",
		sqlMode, lockWait/time.Second)
	if writer {
		// Without BEGIN, which would be one more round trip for each commit.
		set += fmt.Sprintf("0, wait_timeout = %d", idleWriter/time.Second)
	} else {
		set += "1"
	}
	return &session{
		config: config, inner: inner,
		setup: []string{"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", set},
	}, nil
}

// Connect implements driver.Connector.
func (s *session) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := s.inner.Connect(ctx)
	if err != nil {
		return nil, asLost(err)
	}
	execer, ok := c.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connections run no statements"), c.Close())
	}
	for _, text := range s.setup {
		if _, err := execer.ExecContext(ctx, text, nil); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	// Most servers have no such variable, and proxies say so in their own way.
	if _, err := execer.ExecContext(ctx, inStep, nil); err != nil && number(err) == 0 {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Driver implements driver.Connector.
func (s *session) Driver() driver.Driver { return s.inner.Driver() }

// driverLog takes what the driver would write to the standard error.
type driverLog struct{ log *slog.Logger }

// Print implements mysql.Logger.
func (l driverLog) Print(v ...any) {
	l.log.Debug("the database's driver says", "text", strings.TrimSpace(fmt.Sprint(v...)))
}
