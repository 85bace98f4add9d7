package mysql

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// The rights that docs/mysql.md names.
const (
	rightsToServe   = "SELECT, INSERT, UPDATE, DELETE"
	rightsToMigrate = rightsToServe + ", CREATE, ALTER, INDEX, DROP"
)

// TestRights has one user migrate and another serve, each with no more rights
// than the documentation says.
func TestRights(t *testing.T) {
	t.Parallel()
	server := throwaway.MariaDB(t)
	root := server.Database(t)
	database := root[strings.LastIndex(root, "/")+1:]
	database, _, _ = strings.Cut(database, "?")
	grant := func(rights string) chat.Secret {
		user, password := "u_"+strings.ToLower(rand.Text())[:16], rand.Text()
		server.Exec(t, "CREATE USER "+user+"@'127.0.0.1' IDENTIFIED BY '"+password+"'",
			"GRANT "+rights+" ON "+database+".* TO "+user+"@'127.0.0.1'")
		t.Cleanup(func() { server.Exec(t, "DROP USER "+user+"@'127.0.0.1'") })
		return chat.Secret(server.DSNOf(user, password, database))
	}
	serve, migrate := grant(rightsToServe), grant(rightsToMigrate)

	err := Migrate(t.Context(), serve, nil)
	if err == nil || !strings.Contains(err.Error(), "GRANT") {
		t.Fatalf("a user migrates who may not: %v", err)
	}
	if _, password, _ := strings.Cut(serve.Reveal(), ":"); strings.Contains(err.Error(), password[:26]) {
		t.Fatalf("the error shows the password: %v", err)
	}
	if err := Migrate(t.Context(), migrate, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{DSN: serve})
	if err != nil {
		t.Fatal(err)
	}
	j := putJob(t, s, "web-1", &chat.ConversationRef{Account: "work-slack", Key: "C1"})
	us, err := s.Update(t.Context(), job.Claimable("default", "web-1", 1), moved(job.Sent))
	if err != nil || len(us) != 1 || us[0].Job.ID != j.ID {
		t.Fatal(us, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentation runs the statements of docs/mysql.md that read, and holds
// the rights that it names against those that were enough.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "mysql.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rights := range []string{rightsToServe, rightsToMigrate} {
		if !strings.Contains(string(text), "GRANT "+rights+" ON skadi.*") {
			t.Errorf("it does not say that %q is what a user needs", rights)
		}
	}
	dsn := newDatabase(t)
	putJob(t, openTest(t, Config{DSN: dsn}), "web-1", &chat.ConversationRef{Account: "work-slack", Key: "C1"})
	db := testDB(t, dsn)
	n := 0
	for i, block := range strings.Split(string(text), "```") {
		block, ok := strings.CutPrefix(block, "text\n")
		if i%2 == 0 || !ok || !strings.HasPrefix(block, "SELECT") {
			continue
		}
		n++
		execAll(t, db, block)
	}
	if n == 0 {
		t.Error("it has no statement")
	}
}
