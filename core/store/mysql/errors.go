package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/core/job"
)

// The numbers of errors, as MySQL and MariaDB document them.
const (
	erHandshake          = 1043
	erDBAccessDenied     = 1044
	erAccessDenied       = 1045
	erNoDB               = 1046
	erNotReady           = 1047 // of Galera: this node takes no statements
	erBadDB              = 1049
	erServerShutdown     = 1053
	erDuplicate          = 1062
	erNoMemory           = 1038
	erTooManyConnections = 1040
	erOutOfResources     = 1041
	erDiskFull           = 1021
	erCheckRead          = 1020 // of MariaDB: changed since the snapshot
	erTableFull          = 1114
	erHostBlocked        = 1129
	erHostNotPrivileged  = 1130
	erTableAccessDenied  = 1142
	erColumnAccessDenied = 1143
	erNoSuchTable        = 1146
	erNetPacketTooLarge  = 1153
	erCommit             = 1180
	erNewAbort           = 1184
	erLockTableFull      = 1206
	erLockWait           = 1205
	erTableDefChanged    = 1412 // by a migration, since the transaction began
	erDeadlock           = 1213
	erUserLimit          = 1226
	erSpecificAccess     = 1227
	erOptionPrevents     = 1290 // --read-only and others
	erQueryInterrupted   = 1317
	erServerGone         = 2006
	erServerLost         = 2013
	erXADeadlock         = 1614
	erStatementBinlog    = 1665
	erNoSocketLogin      = 1698
	erReadOnlyTx         = 1792
	erMustChangePassword = 1820
	erReadOnlyMode       = 1836
	erPasswordExpired    = 1862
	erConnectionKilled   = 1927
	erRunHook            = 3100 // of group replication: this server may not commit it
	erRollbackInCommit   = 3101
	erGroupHoldTimeout   = 3781 // of group replication: a new primary takes its time to catch up
	erGroupHoldKilled    = 3782
	erGroupHoldState     = 3783
	erClientShutdown     = 4031 // dropped for its silence
)

// number returns the server's number for err, or 0 if err is not the server's.
func number(err error) uint16 {
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		return me.Number
	}
	return 0
}

// isConflict reports whether the transaction met another one and was, or must
// be, rolled back, and may well succeed when it is tried again.
func isConflict(err error) bool {
	switch number(err) {
	case erDeadlock, erLockWait, erCheckRead, erXADeadlock, erRollbackInCommit, erTableDefChanged:
		return true
	}
	return stateClass(err) == "40" // of the SQL standard: transaction rollback
}

// stateClass returns the first two characters of an error's SQLSTATE, which
// servers and proxies give to numbers of their own too.
func stateClass(err error) string {
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		return string(me.SQLState[:2])
	}
	return ""
}

// isLost reports whether the connection is of no use any more.
func isLost(err error) bool {
	if err == nil {
		return false
	}
	switch number(err) {
	case 0:
	case erServerShutdown, erServerGone, erServerLost, erConnectionKilled, erNewAbort, erClientShutdown, erNotReady, erQueryInterrupted,
		erGroupHoldTimeout, erGroupHoldKilled, erGroupHoldState:
		return true
	default:
		return false
	}
	var ne net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrBusyBuffer) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &ne)
}

// asLost makes an error of isLost of one with which the driver gave up logging
// in. If the connection breaks while it writes, that error is one of its own
// that nobody else can name.
func asLost(err error) error {
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	if number(err) != 0 || isLost(err) || errors.As(err, &record) || errors.As(err, &verify) {
		return err
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, mysql.ErrNoTLS, mysql.ErrCleartextPassword, mysql.ErrNativePassword,
		mysql.ErrOldPassword, mysql.ErrUnknownPlugin, mysql.ErrOldProtocol, mysql.ErrPktTooLarge,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", mysql.ErrInvalidConn, err)
}

// isReadOnly reports whether this server does not take writes, as one does
// that is not the primary any more. Another connection may lead to the one
// that is.
func isReadOnly(err error) bool {
	if errors.Is(err, errReplica) {
		return true
	}
	switch number(err) {
	case erOptionPrevents, erReadOnlyTx, erReadOnlyMode:
		return true
	}
	return false
}

// errReplica is for a connection for reads to a server that takes no writes.
var errReplica = errors.New("the server is read-only")

// isBusy reports whether the server has no room for another connection.
func isBusy(err error) bool {
	switch number(err) {
	case erTooManyConnections, erOutOfResources, erNoMemory, erUserLimit:
		return true
	}
	return false
}

// explain gives an error of the database the meaning that callers test for.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, job.ErrUnavailable), errors.Is(err, job.ErrFull):
		return err
	case errors.Is(err, mysql.ErrPktTooLarge), errors.Is(err, driver.ErrSkip), number(err) == erNetPacketTooLarge:
		return fmt.Errorf("a statement is longer than the database takes: raise max_allowed_packet there (%w)", err)
	case isConflict(err), errors.Is(err, errAgain):
		return fmt.Errorf("%w: other transactions were in the way at every try (%w)", job.ErrUnavailable, err)
	case isReadOnly(err):
		return fmt.Errorf("%w: it takes no writes at the moment, as a replica does (%w)", job.ErrUnavailable, err)
	case isBusy(err):
		return fmt.Errorf("%w: it takes no more connections; raise max_connections there (%w)", job.ErrUnavailable, err)
	case isLost(err):
		return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
	}
	switch number(err) {
	case erDiskFull, erTableFull:
		return fmt.Errorf("%w: free some space on the database's disk (%w)", job.ErrFull, err)
	case erAccessDenied, erDBAccessDenied, erTableAccessDenied, erColumnAccessDenied, erSpecificAccess, erNoSocketLogin,
		erPasswordExpired, erMustChangePassword, erHostBlocked, erHostNotPrivileged, erBadDB, erNoDB, erNoSuchTable,
		erStatementBinlog, erLockTableFull, erCommit, erHandshake:
		return fmt.Errorf("%w: %w", job.ErrUnavailable, err)
	case erRunHook:
		return fmt.Errorf("%w: the group of servers did not take it; if this is so of long jobs alone, "+
			"raise group_replication_transaction_size_limit there (%w)", job.ErrUnavailable, err)
	}
	return err
}

// explainOpen is explain for somebody who starts the program: it says which
// server is meant and how to mend it. It never shows the password, which no
// error of the driver or the server holds.
func explainOpen(c *mysql.Config, err error) error {
	if err == nil {
		return nil
	}
	server := "the server at " + c.Addr
	say := func(format string, args ...any) error {
		if errors.Is(err, job.ErrUnavailable) {
			return fmt.Errorf("%s (%w)", fmt.Sprintf(format, args...), err)
		}
		return fmt.Errorf("%s (%w: %w)", fmt.Sprintf(format, args...), job.ErrUnavailable, err)
	}
	switch number(err) {
	case erAccessDenied, erNoSocketLogin:
		return say("%s does not let user %q in: check the user and the password in store.dsn", server, c.User)
	case erBadDB:
		return say("%s has no database %q: check the name in store.dsn, or make it with CREATE DATABASE %s CHARACTER SET utf8mb4",
			server, c.DBName, c.DBName)
	case erDBAccessDenied, erTableAccessDenied, erColumnAccessDenied, erSpecificAccess:
		return say("user %q of store.dsn may not do in database %q what Skadi needs: is that name right? "+
			"To serve it needs GRANT SELECT, INSERT, UPDATE, DELETE ON %s.*; to bring the schema up to date, as `skadi migrate up` "+
			"and store.migrate do, CREATE, ALTER, INDEX and DROP too: docs/mysql.md has two users for that",
			c.User, c.DBName, c.DBName)
	case erHostBlocked, erHostNotPrivileged:
		return say("%s lets nobody in from this machine: allow its address for user %q of store.dsn", server, c.User)
	case erPasswordExpired, erMustChangePassword:
		return say("the password of user %q has run out: set a new one there and in store.dsn", c.User)
	case erStatementBinlog:
		return say("%s writes its binary log by statement: set binlog_format=ROW there", server)
	case erNotReady:
		return say("%s takes no statements at the moment: it joins its Galera cluster, has lost the others of it, or was told to refuse "+
			"(wsrep_ready and wsrep_reject_queries there say which)", server)
	}
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return say("%s offers no TLS and store.dsn asks for it: turn it on there, or leave tls out of store.dsn if the way to it is safe", server)
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &verify), errors.As(err, &record):
		return say("the certificate of %s was not accepted: check tls in store.dsn, the host's name, and the authorities that this machine trusts", server)
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, context.DeadlineExceeded):
		return say("%s cannot be reached: check the address in store.dsn, and that the server runs", server)
	case isBusy(err):
		return say("%s takes no more connections: raise max_connections there", server)
	case isLost(err) && number(err) == 0:
		return say("%s does not answer as MySQL does: check the address in store.dsn", server)
	case errors.Is(err, mysql.ErrCleartextPassword), errors.Is(err, mysql.ErrNativePassword), errors.Is(err, mysql.ErrOldPassword),
		errors.Is(err, mysql.ErrUnknownPlugin), errors.Is(err, mysql.ErrOldProtocol):
		return say("user %q of store.dsn cannot log in the way that %s wants", c.User, server)
	}
	return explain(err)
}

// refusal is an error about what was asked, not about the database: it goes
// to the caller and leaves the other members of the transaction alone.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

// refuse makes err a refusal. Nothing may have been written before it.
func refuse(err error) error { return &refusal{err: err} }

// errAgain is for a transaction that saw what another one has changed since.
// The next try sees it as it is.
var errAgain = errors.New("another transaction was first")
