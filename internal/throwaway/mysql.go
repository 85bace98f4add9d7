package throwaway

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// mysqldEnv names the mysqld of a MySQL that takes MariaDB's place in the
// tests, which Debian's stable releases do not have.
const mysqldEnv = "SKADI_TEST_MYSQLD"

// mysqlArgs are the options that MySQL has and MariaDB does not. The binary log
// stays on, as it is where nobody turns it off; TLS is off, as it is with
// MariaDB here.
func mysqlArgs() []string {
	return []string{"--mysqlx=OFF", "--secure-file-priv=NULL", "--innodb-redo-log-capacity=64M", "--auto-generate-certs=OFF"}
}

// installMySQL writes the system tables.
func (s *server) installMySQL(password string) error {
	args := slices.Concat([]string{
		"--no-defaults", "--initialize-insecure", "--datadir=" + filepath.Join(s.dir, "data"), "--tmpdir=" + s.dir,
	}, mysqlArgs(), runAs())
	install := exec.Command(s.program, args...) //nolint:noctx,gosec // ends by itself, and is MySQL's
	install.Dir = s.dir
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", s.program, err, out)
	}
	return s.welcome(password)
}
