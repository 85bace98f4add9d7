package cli

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/adapters"
	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/job"
	"github.com/letserverrun/skadi/internal/throwaway"
)

// TestCopyTakesWhatIsUntold says something to an account that is not there,
// takes the database to MySQL, and hears it told there.
func TestCopyTakesWhatIsUntold(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(dir, databaseFile)
	open := func() *node {
		t.Helper()
		n, err := newNode(t.Context(), cfg, "127.0.0.1:8080", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := open()
	for _, text := range []string{"one", "two", "three"} {
		err := n.jobs.Say(t.Context(), job.Event{
			Space: job.DefaultSpace, Kind: job.EventMessage, Text: text,
			Conversation: &chat.ConversationRef{Account: "fake", Key: "k"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := n.close(t.Context()); err != nil {
		t.Fatal(err)
	}

	dsn := throwaway.MariaDB(t).Database(t)
	dsnFile := filepath.Join(dir, "dsn")
	if err := os.WriteFile(dsnFile, []byte(dsn+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	args := []string{"store", "copy", "--from", "sqlite:" + cfg.Store.Path, "--to", "mysql:@" + dsnFile}
	if code := Main(adapters.Factories(), args, strings.NewReader(""), &out, &errs); code != exitOK {
		t.Fatalf("exit code %d:\n%s", code, errs.String())
	}

	cfg.Store = config.Store{Driver: config.MySQL, DSN: chat.Secret(dsn), Migrate: true}
	n = open()
	a := &fakeAdapter{sent: make(chan chat.Outbound, 10)}
	if err := n.addAccount("fake", "fake", a); err != nil {
		t.Fatal(err)
	}
	n.start()
	for _, want := range []string{"one", "two", "three"} {
		select {
		case m := <-a.sent:
			if m.Text != want {
				t.Errorf("told %q instead of %q", m.Text, want)
			}
		case <-t.Context().Done():
			t.Fatalf("%q was never told", want)
		}
	}
	hurry, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.close(hurry); err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseNamed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "dsn")
	if err := os.WriteFile(file, []byte("skadi:hunter2@tcp(db:3306)/jobs\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DB_PASSWORD", "hunter2")
	cfg := filepath.Join(dir, "skadi.yaml")
	if err := os.WriteFile(cfg, []byte("store: {driver: mysql, dsn: \"${file:dsn}\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, want, fault string }{
		{name: "sqlite:x/skadi.db", want: "x/skadi.db"},
		{name: "config:" + cfg, want: "the database jobs at db:3306"},
		{name: "mysql:@" + file, want: "the database jobs at db:3306"},
		{name: "mysql:skadi:${env:DB_PASSWORD}@tcp(db:3306)/jobs", want: "the database jobs at db:3306"},
		{name: "mysql:skadi@unix(/run/mysqld.sock)/jobs", want: "the database jobs at /run/mysqld.sock"},
		{name: "mysql:skadi:hunter2@tcp(db:3306)/jobs", fault: "can see"},
		{name: "mysql:skadi:hunter2@db/jobs", fault: "not of the form"},
		{name: "mysql:skadi:${env:DB_PASSWORD}@tcp(db:3306)/", fault: "names no database"},
		{name: "mysql:${env:NO_SUCH}", fault: "NO_SUCH"},
		{name: "mysql:@" + dir + "/none", fault: "none"},
		{name: "mysql:", fault: "mysql:@FILE"},
		{name: "skadi.db", fault: "sqlite:PATH"},
		{name: "postgres:x", fault: "sqlite:PATH"},
		{name: "", fault: "missing"},
		{name: "config:" + dir + "/none.yaml", fault: "none.yaml"},
	} {
		p, err := databaseNamed("--to", tt.name)
		if tt.fault == "" && (err != nil || p.String() != tt.want) {
			t.Errorf("%s: %q, %v", tt.name, p, err)
		}
		if tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCopyRefusesOneDatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), databaseFile)
	if _, err := fileAt(file).migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for args, says := range map[string]string{
		"--from sqlite:" + file + " --to sqlite:" + file:              "the same database",
		"--from sqlite:" + file + ".none --to sqlite:" + file:         "to copy: name another with --from",
		"--from sqlite:" + file + " --to mysql:u@tcp(127.0.0.1:1)/db": "cannot be reached",
	} {
		var out, errs bytes.Buffer
		code := Main(adapters.Factories(), append([]string{"store", "copy"}, strings.Fields(args)...), strings.NewReader(""), &out, &errs)
		if code == exitOK || !strings.Contains(errs.String(), says) {
			t.Errorf("%s: exit code %d: %s", args, code, errs.String())
		}
	}
}
