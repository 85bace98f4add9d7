package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/letserverrun/skadi/core/job"
)

// version is a server's version: major, minor, patch.
type version [3]int

func (v version) before(w version) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

var (
	oldestMySQL   = version{8, 0, 13} // defaults that are expressions
	oldestMariaDB = version{10, 6, 0} // SKIP LOCKED
)

// parseVersion reads what VERSION() says, such as 8.0.36-0ubuntu0.22.04.1 or
// 5.5.5-10.11.6-MariaDB-log.
func parseVersion(text string) (v version, maria bool) {
	maria = strings.Contains(strings.ToLower(text), "mariadb")
	if maria {
		text = strings.TrimPrefix(text, "5.5.5-") // what old clients are told
	}
	for i, part := range strings.SplitN(text, ".", 3) {
		digits := 0
		for digits < len(part) && part[digits] >= '0' && part[digits] <= '9' {
			digits++
		}
		v[i], _ = strconv.Atoi(part[:digits]) // no number: 0, which is too old
	}
	return v, maria
}

// leastPacket is the shortest max_allowed_packet that holds a job with long
// output and late reports.
const leastPacket = 16 << 20

// checkServer refuses a server that would not keep what Skadi relies on, and
// warns of what will be in the way later.
func (s *Store) checkServer(ctx context.Context) error {
	var says, mode string
	var packet, step int64
	const ask = `SELECT VERSION(), @@SESSION.sql_mode, @@SESSION.max_allowed_packet, @@SESSION.auto_increment_increment`
	if _, err := s.row(ctx, ask, nil, &says, &mode, &packet, &step); err != nil {
		return err
	}
	v, maria := parseVersion(says)
	s.forUpdate = ` FOR UPDATE SKIP LOCKED`
	tidb := strings.Contains(says, "TiDB")
	s.scattered = tidb || step != 1
	if tidb {
		s.forUpdate = ` FOR UPDATE` // claims of one agent then wait for each other
	}
	switch {
	case tidb: // its version says nothing
	case maria && v.before(oldestMariaDB):
		return fmt.Errorf("the server is MariaDB %s: Skadi needs %s or later", v, oldestMariaDB)
	case !maria && v.before(oldestMySQL):
		return fmt.Errorf("the server is MySQL %s: Skadi needs %s or later", v, oldestMySQL)
	case !strings.Contains(mode, "STRICT_ALL_TABLES"):
		return fmt.Errorf("the server does not keep sql_mode strict (it is %q): whatever sets it, such as a proxy or init_connect, must leave it alone", mode)
	}
	isolation, err := s.variable(ctx, "tx_isolation") // its only name in MariaDB before 11.1
	if err == nil && isolation == "" {
		_, err = s.row(ctx, `SELECT @@transaction_isolation`, nil, &isolation)
	}
	if err != nil {
		return err
	}
	if isolation != "READ-COMMITTED" {
		return fmt.Errorf("the server does not keep transactions READ-COMMITTED (they are %s): whatever sets it, such as a proxy or init_connect, must leave it alone", isolation)
	}
	if packet < leastPacket {
		s.log.Warn("the database takes only short statements, so a job with long output may fail to be stored: raise max_allowed_packet there",
			"bytes", packet, "want", leastPacket)
	}
	return s.checkBinlog(ctx)
}

// checkBinlog refuses a binary log by statement, to which InnoDB refuses to
// write what READ COMMITTED transactions do.
func (s *Store) checkBinlog(ctx context.Context) error {
	var on int64
	var format string
	if _, err := s.row(ctx, `SELECT @@log_bin, @@SESSION.binlog_format`, nil, &on, &format); number(err) != 0 {
		return nil //nolint:nilerr // a server without such a log, or that tells nobody
	} else if err != nil {
		return err
	}
	if on != 0 && format == "STATEMENT" {
		return fmt.Errorf("%w: the server writes its binary log by statement: set binlog_format=ROW there", job.ErrUnavailable)
	}
	return nil
}

// variable reads a variable of the session, or else of the server; "" is one
// that it does not have.
func (s *Store) variable(ctx context.Context, name string) (value string, err error) {
	_, err = s.row(ctx, `SELECT @@`+name, nil, &value)
	if number(err) != 0 && !isLost(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return value, nil
}

// checkSchema refuses a schema that this program cannot use, and tables of
// another engine, which would lose what was acknowledged.
func (s *Store) checkSchema(ctx context.Context) error {
	if err := checkVersion(ctx, s.db); err != nil {
		return err
	}
	var table, engine string
	const ask = `SELECT table_name, engine FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine <> 'InnoDB'
			AND table_name IN ('jobs', 'events', 'untold', 'unpublished', 'outbox', 'dedupe', 'conversations', 'writers', 'agents') LIMIT 1`
	found, err := s.row(ctx, ask, nil, &table, &engine)
	if err == nil && found {
		err = fmt.Errorf("table %s is kept by %s, which does not keep what was acknowledged when the server stops: ALTER TABLE %s ENGINE = InnoDB",
			table, engine, table)
	}
	return err
}
