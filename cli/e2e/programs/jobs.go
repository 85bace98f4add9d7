//go:build unix

package programs

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/agentapi"
)

// Jobs returns all jobs of a server, the newest first.
func Jobs(t *testing.T, c *agentapi.Client) []agentapi.Job {
	t.Helper()
	var all []agentapi.Job
	filter := agentapi.JobFilter{Limit: 200}
	for {
		var page agentapi.JobList
		Eventually(t, "the list of jobs", func(ctx context.Context) (err error) {
			page, err = c.Jobs(ctx, filter)
			return err
		})
		all = append(all, page.Jobs...)
		if page.NextCursor == "" {
			return all
		}
		filter.Cursor = page.NextCursor
	}
}

// Executions returns how often each job began to run, by its ID: each run
// appends that as a line to the file, which is not there before the first.
func Executions(t *testing.T, file string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(file) //nolint:gosec // the test's own
	if !errors.Is(err, os.ErrNotExist) {
		Must(t, err)
	}
	began := map[string]int{}
	for id := range strings.FieldsSeq(string(data)) {
		began[id]++
	}
	return began
}
