package throwaway

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// galeraNodes is how many a cluster has: it goes on without one of three.
const galeraNodes = 3

// GaleraSet is a cluster of three MariaDB servers that all take writes. The
// others find in about five seconds that one was killed. It cannot come back:
// Start and Restart are not for these servers.
type GaleraSet struct{ Nodes []*DB }

// Galera starts a cluster.
//
// Of the usual ways to give a server the data of the others none is needed, nor
// the package that has them: all begin with a copy of the same data, and are
// sent what was written since.
func Galera(t testing.TB) *GaleraSet {
	t.Helper()
	if os.Getenv(mysqldEnv) != "" {
		t.Skip("the tests run on MySQL, which has no Galera")
	}
	p := find(t)
	provider := library(t, "galera-4", "/usr/lib/galera/libgalera_smm.so", "/usr/lib64/galera-4/libgalera_smm.so")
	first, peers, err := startGalera(p, provider)
	if err != nil {
		t.Fatal(err)
	}
	first.own(t)
	g := &GaleraSet{Nodes: []*DB{first}}
	for len(g.Nodes) < galeraNodes {
		db, err := first.join(provider, peers)
		if err != nil {
			t.Fatal(err)
		}
		db.own(t)
		g.Nodes = append(g.Nodes, db)
	}
	g.AwaitSize(t, galeraNodes)
	return g
}

// AwaitSize waits until these servers, or all that run if none is named, agree
// that there are so many. One that was stopped does not know yet what the
// others have agreed on since.
func (g *GaleraSet) AwaitSize(t testing.TB, size int, at ...*DB) {
	t.Helper()
	if len(at) == 0 {
		at = g.Nodes
	}
	wait(t, "the cluster", func(ctx context.Context) error {
		var agreed string
		for _, db := range at {
			if db.cmd == nil {
				continue
			}
			if err := db.inStep(ctx); err != nil {
				return err
			}
			got, err := db.wsrep(ctx, "cluster_size")
			if err != nil || got != fmt.Sprint(size) {
				return errors.Join(err, fmt.Errorf("%s knows %s servers", db.Addr, got))
			}
			got, err = db.wsrep(ctx, "cluster_conf_id")
			if err != nil || agreed != "" && got != agreed {
				return errors.Join(err, fmt.Errorf("%s is at change %s of the cluster, and not at %s", db.Addr, got, agreed))
			}
			agreed = got
		}
		return nil
	})
}

// Database is [DB.Database] of the first server, for one that all have.
func (g *GaleraSet) Database(t testing.TB) string {
	t.Helper()
	dsn := g.Nodes[0].Database(t)
	for _, db := range g.Nodes[1:] {
		wait(t, "the database at "+db.Addr, func(ctx context.Context) error {
			c, err := sql.Open("mysql", strings.Replace(dsn, g.Nodes[0].Addr, db.Addr, 1))
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			return c.PingContext(ctx)
		})
	}
	return dsn
}

// startGalera starts the first server, twice: it has a state that others can
// begin with only once it was a cluster and ended.
func startGalera(p mariadbPrograms, provider string) (db *DB, peers string, err error) {
	options, peers, err := wsrepArgs(provider, "")
	if err != nil {
		return nil, "", err
	}
	if db, err = startMariaDB(p, options...); err != nil {
		return nil, "", err
	}
	err = db.end()
	if err == nil {
		err = os.WriteFile(filepath.Join(db.dir, "wsrep_sst_skadi"), []byte(transfer), 0o700) //nolint:gosec // a program
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(db.dir, "seed"), os.DirFS(filepath.Join(db.dir, "data")))
	}
	if err == nil {
		// The accounts are there now, and belong to the cluster.
		db.args = slices.DeleteFunc(db.args, func(arg string) bool { return strings.HasPrefix(arg, "--init-file=") })
		db.env = []string{"PATH=" + db.dir + ":" + os.Getenv("PATH")}
		db.ready = db.inStep
		err = db.start()
	}
	if err != nil {
		db.kill()
		db.remove()
	}
	return db, peers, err
}

// transfer is the program that a server asks for its data before it joins, and
// that another one has hand it over.
const transfer = `#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in
	--role) role=$2 ;;
	--gtid) has=$2 ;;
	--datadir) data=$2 ;;
	--bypass) bypass=1 ;;
	esac
	shift
done
if [ "$role" = joiner ]; then
	echo "ready 127.0.0.1/skadi"
	sed -n 's/^uuid: *//p; s/^seqno: */:/p' "$data/grastate.dat" | tr -d '\n'
	echo
elif [ -n "$bypass" ]; then
	echo "done $has"
else
	echo "it began with other data" >&2
	exit 1
fi
`

// join starts another server beside this one, the first.
func (db *DB) join(provider, peers string) (*DB, error) {
	other := &DB{password: db.password}
	_, err := launch(func(port int) (*server, error) {
		options, _, err := wsrepArgs(provider, peers)
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "skadi-mariadb-")
		if err != nil {
			return nil, err
		}
		data := filepath.Join(dir, "data")
		if err := os.CopyFS(data, os.DirFS(filepath.Join(db.dir, "seed"))); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		// The later of two options holds.
		args := append(slices.Clone(db.args), "--datadir="+data, "--tmpdir="+dir,
			"--pid-file="+filepath.Join(dir, "pid"), fmt.Sprintf("--port=%d", port))
		other.server = &server{dir: dir, program: db.program, args: append(args, options...), env: db.env, ready: other.inStep}
		return other.server, nil
	})
	return other, err
}

// wsrepArgs are the options of a server whose part in the cluster has ports of
// its own. peers is where the first one is; empty: this is the first one.
func wsrepArgs(provider, peers string) (args []string, here string, err error) {
	group, err := freePort()
	if err != nil {
		return nil, "", err
	}
	changes, err := freePort()
	if err != nil {
		return nil, "", err
	}
	here = loopback(group)
	return []string{
		"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
		"--innodb-flush-log-at-trx-commit=0", // the others have what one had that was killed
		"--wsrep-on=ON", "--wsrep-provider=" + provider, "--wsrep-sst-method=skadi",
		"--wsrep-cluster-name=skadi", "--wsrep-cluster-address=gcomm://" + peers, "--wsrep-node-address=" + here,
		"--wsrep-slave-threads=2",
		"--wsrep-provider-options=gcache.size=16M;gmcast.listen_addr=tcp://" + here + ";ist.recv_addr=" + loopback(changes),
	}, here, nil
}

// end ends the server as its operator would, and waits for that.
func (s *server) end() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := s.cmd.Wait()
	s.cmd = nil
	return err
}

// inStep returns nil if the server has all that the cluster has, and takes
// statements.
func (db *DB) inStep(ctx context.Context) error {
	for name, want := range map[string]string{"ready": "ON", "local_state_comment": "Synced"} {
		if got, err := db.wsrep(ctx, name); err != nil || got != want {
			return errors.Join(err, fmt.Errorf("%s of %s is %q", name, db.Addr, got))
		}
	}
	return nil
}

// wsrep returns what a server says of its part in the cluster.
func (db *DB) wsrep(ctx context.Context, name string) (value string, err error) {
	err = db.ask(ctx, &value, "SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'wsrep_"+name+"'")
	return value, err
}
