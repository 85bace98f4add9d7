package sqlite

import "database/sql"

// Raw opens the file beside the store, for a program that copies it row by
// row. What it writes, the store's schema must allow. The caller closes it.
func (s *Store) Raw() (*sql.DB, error) { return sql.Open("sqlite", dsn(s.path, schemaBusy)) }
