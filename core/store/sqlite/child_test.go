package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/letserverrun/skadi/core/job"
)

// childEnv makes this test binary another process that uses the database:
// its value is the role, a colon and the path.
const childEnv = "SKADI_STORE_TEST_CHILD"

// beChild plays the role that the environment asks for, if it asks for one,
// and ends the process.
func beChild() {
	role, path, ok := strings.Cut(os.Getenv(childEnv), ":")
	if !ok {
		return
	}
	if err := childRoles[role](path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

var childRoles = map[string]func(path string) error{
	"backup": childBackup,
	"create": childCreate,
	"remove": childRemove,
	"open":   func(path string) error { return withStore(path, func(*Store) error { return nil }) },
	"alone": func(path string) error {
		return withStore(path, func(s *Store) error {
			_, held, err := s.Alone().Acquire(context.Background(), "replies", 0)
			fmt.Println(held)
			if err != nil {
				return err
			}
			select {} // until it is killed
		})
	},
	"lock":  func(path string) error { return childLock(path, `PRAGMA locking_mode = EXCLUSIVE`) },
	"write": func(path string) error { return childLock(path, `SELECT 1`) },
}

func withStore(path string, do func(*Store) error) error {
	s, err := Open(context.Background(), Config{Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return do(s)
}

// childCreate makes jobs and moves them along, until it is killed. It prints
// the ID of a job, a space and the version once that version was acknowledged.
func childCreate(path string) error {
	return withStore(path, func(s *Store) error {
		ctx := context.Background()
		var mu sync.Mutex
		acknowledge := func(j job.Job) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Printf("%s %d\n", j.ID, j.Version)
		}
		failed := make(chan error, 8)
		for range cap(failed) {
			go func() {
				for {
					created, err := s.Create(ctx, []job.Entry{testEntry("web-1")})
					if err == nil {
						err = created[0].Err
					}
					if err != nil {
						failed <- err
						return
					}
					acknowledge(created[0].Job)
					us, err := s.Update(ctx, job.ByID("default", created[0].Job.ID), testMove(job.Sent))
					if err == nil {
						err = us[0].Err
					}
					if err != nil {
						failed <- err
						return
					}
					acknowledge(us[0].Job)
				}
			}()
		}
		return <-failed
	})
}

// childRemove removes the agent and cancels its jobs.
func childRemove(path string) error {
	return withStore(path, func(s *Store) error {
		if err := s.RemoveAgent(context.Background(), "default", "web-1"); err != nil {
			return err
		}
		_, err := s.Update(context.Background(), job.QueuingOf("default", "web-1", 100), testMove(job.Canceled))
		return err
	})
}

// childLock holds a lock on the database until its input ends.
func childLock(path, pragma string) error {
	ctx := context.Background()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, q := range []string{pragma, `BEGIN IMMEDIATE`, `UPDATE sequences SET value = value`} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	fmt.Println("locked")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// child is another process that uses the database.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	input  io.Closer
	output *bufio.Reader
	errors strings.Builder
}

func startChild(t *testing.T, role, path string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+role+":"+path)
	c.cmd.Stderr = &c.errors
	var err error
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.output = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// line returns the next whole line that the child printed, and false at the
// end.
func (c *child) line() (string, bool) {
	line, err := c.output.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err == nil
}

// end waits for a child that ends by itself once its input is closed.
func (c *child) end() {
	c.t.Helper()
	_ = c.input.Close()
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("the child: %v: %s", err, c.errors.String())
	}
}
