package mysql

import (
	"database/sql"
	"strings"
)

// Raw returns connections to the database, for a program that copies it row by
// row. They end with the store, and are not to be closed before.
func (s *Store) Raw() *sql.DB { return s.db }

// Fit returns what the store keeps of a text in a column of that type and
// length, both as information_schema has them.
func Fit(dataType string, length int64, text string) string {
	switch dataType {
	case "varbinary":
		if length == maxKey {
			return keyText(text)
		}
		return text
	case "longblob":
		return text
	case "text":
		return shortText(text)
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
