package webhook

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// recorded returns the event of a recorded payload; at GitHub its name is the
// file's.
func recorded(t testing.TB, file string) *event {
	t.Helper()
	provider, name, _ := strings.Cut(filepath.ToSlash(file), "/")
	kind, _, _ := strings.Cut(name, ".")
	if kind == "tag" {
		kind = "push"
	}
	e, err := readEvent(Config{Provider: provider}, http.Header{"X-Github-Event": {kind}}, "a", read(t, file))
	require.NoError(t, err, file)
	return e
}

// TestShorthands shows what the keys of rules are for each recorded payload.
func TestShorthands(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, provider := range []string{GitHub, GitLab, Standard} {
		files, err := filepath.Glob(filepath.Join("testdata", provider, "*.json"))
		require.NoError(t, err)
		for _, file := range files {
			file, err = filepath.Rel("testdata", file)
			require.NoError(t, err)
			e := recorded(t, file)
			fmt.Fprintf(&b, "%s: %s\n", filepath.ToSlash(file), e.name())
			for _, key := range slices.Sorted(maps.Keys(shorthands(provider))) {
				if value, ok := e.short(key); ok {
					fmt.Fprintf(&b, "  %s: %s\n", key, value)
				}
			}
			switch provider {
			case GitHub:
				fmt.Fprintf(&b, "  (commit %.7s)\n", githubSHA(e))
			case GitLab:
				fmt.Fprintf(&b, "  (commit %.7s)\n", gitlabSHA(e))
			}
		}
	}
	golden(t, "testdata/shorthands.golden", b.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "it differs from %s, which -update writes anew", file)
}

func TestRulesFit(t *testing.T) {
	t.Parallel()
	type on map[string]string
	for _, one := range []struct {
		file string
		on   on
		fits bool
	}{
		{"github/workflow_run.json", on{"event": "workflow_run", "conclusion": "success", "branch": "main"}, true},
		{"github/workflow_run.json", on{"event": "*"}, true},
		{"github/workflow_run.json", on{"event": "workflow_*", "branch": "release/* | main"}, true},
		{"github/workflow_run.json", on{"event": "workflow_run", "branch": "mai"}, false},
		{"github/workflow_run.json", on{"event": "workflow_run", "branch": "!main"}, false},
		{"github/workflow_run.json", on{"event": "workflow_run", "branch": "!release/* | dev"}, true},
		{"github/workflow_run.json", on{"event": "workflow_run", "conclusion": "failure"}, false},
		{"github/workflow_run.json", on{".workflow_run.event": "push", ".workflow_run.run_attempt": "1"}, true},
		{"github/workflow_run.json", on{"repository.private": "true", "repository.description": "null"}, true},
		{"github/workflow_run.json", on{".workflow_run.none": "*"}, false},
		{"github/workflow_run.json", on{".workflow_run.none": "!x"}, false},
		{"github/workflow_run.json", on{".workflow_run": "*"}, false},
		{"github/workflow_run.json", on{".workflow_run.id.x": "*"}, false},
		{"github/workflow_run.json", on{"tag": "*"}, false},
		// A fork's main is not main, and neither are its runs.
		{"github/workflow_run.fork.json", on{"event": "workflow_run", "conclusion": "success", "branch": "main"}, false},
		{"github/workflow_run.fork.json", on{"branch": "mallory/shop:main"}, true},
		{"gitlab/pipeline.merge_request.json", on{"event": "pipeline", "branch": "main"}, false},
		{"gitlab/pipeline.merge_request.json", on{"branch": "merge_request:*"}, true},
		{"gitlab/pipeline.json", on{"event": "pipeline", "status": "success", "branch": "main", "repo": "acme/*"}, true},
		{"gitlab/pipeline.json", on{".object_attributes.variables.key": "NESTOR*"}, true},
		{"gitlab/pipeline.json", on{".object_attributes.variables.0.value": "true"}, true},
		{"gitlab/pipeline.json", on{".object_attributes.variables.1.value": "true"}, false},
		{"gitlab/push.json", on{"event": "push", "branch": "release/*"}, true},
		{"gitlab/tag_push.json", on{"event": "tag_push", "tag": "v*.*.*"}, true},
		{"gitlab/merge_request.json", on{"event": "merge_request", "action": "merge", "branch": "main"}, true},
		{"github/tag.json", on{"event": "push", "branch": "*"}, false},
		{"github/tag.json", on{"event": "push", "tag": "v1.*"}, true},
		{"github/pull_request.json", on{"event": "pull_request", ".pull_request.labels.name": "preview"}, true},
		{"github/pull_request.json", on{"event": "pull_request", ".pull_request.labels.name": "!preview"}, false},
		{"github/pull_request.json", on{".pull_request.labels.name": "prod"}, false},
		{"standard/event.json", on{"event": "build.finished", ".data.ok": "true", ".data.tags": "b"}, true},
	} {
		provider, _, _ := strings.Cut(one.file, "/")
		m, err := newMatcher(provider, one.on)
		require.NoError(t, err)
		assert.Equal(t, one.fits, m.fits(recorded(t, one.file)), "%s %v", one.file, one.on)
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		pattern, value string
		fits           bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"a", "a", true},
		{"a*", "a", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "acb", false},
		{"**", "x", true},
		{"*a*", "bab", true},
		{"[a]", "a", false},
		{"a?", "ab", false},
	} {
		assert.Equal(t, one.fits, glob(one.pattern, one.value), "%q %q", one.pattern, one.value)
	}
}

func FuzzEvent(f *testing.F) {
	for _, file := range []string{"github/workflow_run.json", "gitlab/pipeline.json", "github/pull_request.json", "standard/event.json"} {
		f.Add(string(read(f, file)), "pull_request", ".pull_request.labels.name", "a*b | !c")
	}
	f.Add(`{"ref":1,"repository":[],"sender":"x"}`, "push", "a.0.b", "!")
	f.Fuzz(func(t *testing.T, body, kind, key, pattern string) {
		for _, provider := range []string{GitHub, GitLab, Standard} {
			e, err := readEvent(Config{Provider: provider}, http.Header{"X-Github-Event": {kind}}, "a", []byte(body))
			if err != nil {
				continue
			}
			if repo := e.repo(); repo != "" && !isRepo(repo) {
				t.Errorf("the repository is %q", repo)
			}
			for name := range shorthands(provider) {
				_, _ = e.short(name)
			}
			_ = e.name()
			r := rule{replies: replies{status: CommitStatus{Token: "t"}}}
			if c, err := r.commit(provider, e); err == nil && (!isSHA(c.SHA) || strings.Contains(c.Repo, "..") || strings.ContainsAny(c.Repo, "?#% ")) {
				t.Errorf("the commit is %+v", c)
			}
			m, err := newMatcher(provider, map[string]string{key: pattern})
			if err != nil {
				continue
			}
			if m.fits(e) && !json.Valid([]byte(body)) {
				t.Error("it is no JSON, and fits")
			}
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b", "axb")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !strings.Contains(a, "*") && glob(a, b) != (a == b) {
			t.Errorf("%q %q", a, b)
		}
		if !glob("*"+a+"*", b+a+b) || !glob(a+"*", a+b) || !glob("*"+a, b+a) {
			t.Errorf("%q is not found around %q", a, b)
		}
	})
}
