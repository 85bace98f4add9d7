// Package throwaway starts private MariaDB, Redis, Dovecot and Postfix servers for
// tests: each in a folder of its own, on a port of its own that only this machine
// reaches, and gone when its test ends or the test binary is killed.
//
// A server belongs to the test that asked for it, and its methods must be
// called from that test's goroutine or before that test ends; they fail the
// test when they cannot do what they say. MariaDB alone is shared by all tests
// of a binary, which then needs [Main] or [Wrap] in its TestMain.
//
// If a program is missing, the test is skipped and says which package has it;
// with SKADI_TEST_REQUIRE=1 it fails instead.
//
// With SKADI_TEST_MYSQLD=/usr/sbin/mysqld, or wherever that is, a MySQL takes
// MariaDB's place, and [MySQLGroup] starts a group of them.
package throwaway
