package throwaway

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/google/uuid"
)

// Group is three MySQL servers with group replication, one of which takes
// writes: the primary. Of one that is gone the others know after about five
// seconds, and then one of them is the primary.
type Group struct {
	// Members are the servers, the first of which is the primary at the start.
	Members []*DB
}

// MySQLGroup starts a group for this test alone. It needs the MySQL that
// SKADI_TEST_MYSQLD names; without it the test is skipped, whatever
// SKADI_TEST_REQUIRE says, since Debian's stable releases have no MySQL.
func MySQLGroup(t testing.TB) *Group {
	t.Helper()
	mysqld := os.Getenv(mysqldEnv)
	if mysqld == "" {
		t.Skipf("group replication is MySQL's: set %s to the path of its mysqld (8.0 or newer)", mysqldEnv)
	}
	// Written once, since it takes most of the start.
	from := &server{dir: t.TempDir(), program: mysqld}
	password := rand.Text()
	if err := from.installMySQL(password); err != nil {
		t.Fatal(err)
	}
	g := &Group{}
	name := uuid.NewString()
	for i := range 3 {
		options := slices.Concat(mysqlArgs(), groupArgs(i+1, name))
		db, err := startDB(mysqld, password, from.copied, options...)
		if err != nil {
			t.Fatal(err)
		}
		db.own(t)
		g.Members = append(g.Members, db)
	}
	for _, db := range g.Members {
		db.Exec(t, "SET GLOBAL group_replication_local_address = '"+db.local()+"'",
			"SET GLOBAL group_replication_group_seeds = '"+g.seeds()+"'")
	}
	g.Members[0].Exec(t, "SET GLOBAL group_replication_bootstrap_group = ON")
	g.join(t, g.Members[0])
	g.Members[0].Exec(t, "SET GLOBAL group_replication_bootstrap_group = OFF")
	for _, db := range g.Members[1:] {
		g.join(t, db)
	}
	return g
}

// groupArgs are the options of one member of a group.
func groupArgs(id int, name string) []string {
	return []string{
		"--server-id=" + strconv.Itoa(id), "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--report-host=127.0.0.1",
		"--performance-schema=on", // which knows who is in the group
		"--plugin-load-add=group_replication.so",
		"--group-replication-group-name=" + name, "--group-replication-start-on-boot=OFF",
		"--group-replication-communication-stack=XCOM", "--group-replication-ssl-mode=DISABLED",
		"--group-replication-recovery-use-ssl=OFF", "--group-replication-recovery-get-public-key=ON",
		"--group-replication-member-expel-timeout=0",
		// One that is killed has written its logs all the same, and three that
		// wait for one disk are slow.
		"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=OFF",
	}
}

// copied is installMySQL for a server that begins with what another one's
// wrote.
func (s *server) copied(to *server, password string) error {
	data := filepath.Join(to.dir, "data")
	if err := os.CopyFS(data, os.DirFS(filepath.Join(s.dir, "data"))); err != nil {
		return err
	}
	// It names a server, and each needs a name of its own.
	if err := os.Remove(filepath.Join(data, "auto.cnf")); err != nil {
		return err
	}
	return to.welcome(password)
}

// local is where a member listens for the others.
func (db *DB) local() string {
	_, port, _ := strings.Cut(db.Addr, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err) // launch made it
	}
	return loopback(n + busAbove)
}

func (g *Group) seeds() string {
	var all []string
	for _, db := range g.Members {
		all = append(all, db.local())
	}
	return strings.Join(all, ",")
}

// join brings a member that runs into the group, and waits until it has what
// the others have.
func (g *Group) join(t testing.TB, db *DB) {
	t.Helper()
	db.Exec(t, "START GROUP_REPLICATION USER = '"+user+"', PASSWORD = '"+db.password+"'")
	wait(t, "a member of the group", func(ctx context.Context) error {
		var state string
		err := db.ask(ctx, &state, "SELECT member_state FROM performance_schema.replication_group_members WHERE member_id = @@server_uuid")
		if err == nil && state != "ONLINE" {
			err = fmt.Errorf("%s is %s", db.Addr, state)
		}
		return err
	})
}

// Rejoin starts a member that was killed and brings it back into the group.
func (g *Group) Rejoin(t testing.TB, db *DB) {
	t.Helper()
	db.Start()
	db.Exec(t, "SET GLOBAL group_replication_local_address = '"+db.local()+"'",
		"SET GLOBAL group_replication_group_seeds = '"+g.seeds()+"'")
	g.join(t, db)
}

// Readmit brings back a member that the others gave up while it was stopped.
func (g *Group) Readmit(t testing.TB, db *DB) {
	t.Helper()
	db.Exec(t, "STOP GROUP_REPLICATION")
	g.join(t, db)
}

// Primary waits until the group has a primary other than old, which may be
// nil, and returns it.
func (g *Group) Primary(t testing.TB, old *DB) *DB {
	t.Helper()
	var primary *DB
	wait(t, "a primary", func(ctx context.Context) error {
		for _, db := range g.Members {
			if db == old || db.cmd == nil {
				continue
			}
			var takes int
			err := db.ask(ctx, &takes, elected+" AND NOT @@super_read_only")
			if err != nil {
				return err
			}
			if takes == 1 {
				primary = db
				return nil
			}
		}
		return fmt.Errorf("none of %d members", len(g.Members))
	})
	return primary
}

const elected = "SELECT COUNT(*) FROM performance_schema.replication_group_members " +
	"WHERE member_id = @@server_uuid AND member_state = 'ONLINE' AND member_role = 'PRIMARY'"

// Elected waits until a member is the primary, which takes writes only once it
// has done what the one before it acknowledged.
func (g *Group) Elected(t testing.TB, db *DB) {
	t.Helper()
	wait(t, "another primary", func(ctx context.Context) error {
		var is int
		err := db.ask(ctx, &is, elected)
		if err == nil && is == 0 {
			err = fmt.Errorf("%s is not", db.Addr)
		}
		return err
	})
}

// SetPrimary makes a member the primary, as somebody does before working on
// the one that was.
func (g *Group) SetPrimary(t testing.TB, db *DB) {
	t.Helper()
	db.Exec(t, "DO group_replication_set_as_primary(@@server_uuid)")
}

// SetOnlyPrimary ends SetAllPrimary: one member alone takes writes again.
func (g *Group) SetOnlyPrimary(t testing.TB, db *DB) {
	t.Helper()
	db.Exec(t, "DO group_replication_switch_to_single_primary_mode(@@server_uuid)")
}

// SetAllPrimary has every member take writes.
func (g *Group) SetAllPrimary(t testing.TB) {
	t.Helper()
	g.Primary(t, nil).Exec(t, "DO group_replication_switch_to_multi_primary_mode()")
	for _, db := range g.Members {
		g.Elected(t, db)
	}
}

// Database makes an empty database, which goes with the group, and returns its
// data source name at an address, such as that of something before the members.
func (g *Group) Database(t testing.TB, addr string) (dsn string) {
	t.Helper()
	name := "t_" + strings.ToLower(rand.Text())
	g.Primary(t, nil).Exec(t, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName = user, g.Members[0].password, "tcp", addr, name
	return c.FormatDSN()
}
