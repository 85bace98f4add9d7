//go:build unix

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/letserverrun/skadi/cli/e2e/programs"
)

// isPipeline reports whether a block of YAML is read by a CI system.
func isPipeline(text string) bool {
	return strings.HasPrefix(text, "# .github/workflows/") || strings.HasPrefix(text, "# .gitlab-ci.yml")
}

// pipeline runs the steps of a CI system as that does, with the program to be
// fetched from a server of this test's, and an agent that deploys.
func (n *newcomer) pipeline(b block) {
	n.t.Helper()
	n.server()
	n.deployer()
	program := programs.Path("skadi")
	data, err := os.ReadFile(program)
	if err != nil {
		n.t.Fatal(err)
	}
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, program) }))
	n.t.Cleanup(files.Close)
	sum := sha256.Sum256(data)
	env := n.env
	n.env = append(env[:len(env):len(env)], "SKADI_URL="+files.URL+"/skadi", "SKADI_SHA256="+hex.EncodeToString(sum[:]),
		"GITHUB_RUN_ID=4711", "GITHUB_RUN_ATTEMPT=1", "GITHUB_SHA=v1.2.3", "CI_JOB_ID=4711", "CI_COMMIT_SHA=v1.2.3", "CI_JOB_STATUS=success")
	defer func() { n.env = env }()

	var p struct {
		Jobs struct {
			Deploy struct {
				Steps []struct{ Run string }
			}
		}
		Deploy struct {
			Before []string `yaml:"before_script"`
			Script []string
			After  []string `yaml:"after_script"`
		}
	}
	if err := yaml.Unmarshal([]byte(b.text), &p); err != nil {
		n.t.Fatalf("%s: %v", b.at, err)
	}
	shows := func(out string) {
		n.t.Helper()
		if !strings.Contains(out, "deploying v1.2.3\n") || !strings.Contains(out, " succeeded") {
			n.t.Errorf("%s: the log is:\n%s", b.at, out)
		}
	}
	if steps := p.Jobs.Deploy.Steps; len(steps) > 0 {
		var out string
		for _, step := range steps {
			out = n.says(b.at, step.Run)
		}
		shows(out)
		if !strings.Contains(out, "::group::") {
			n.t.Errorf("%s: no group in the log:\n%s", b.at, out)
		}
		return
	}
	after := strings.Join(p.Deploy.After, "\n")
	shows(n.says(b.at, strings.Join(append(p.Deploy.Before, p.Deploy.Script...), "\n")))
	n.says(b.at, after)
	// The job is final by now, which is what the server says to who cancels it.
	n.says(b.at, "CI_JOB_STATUS=canceled\nfinal=$({ "+after+"\n} 2>&1) && exit 1\ngrep 409 <<<\"$final\"")
}

// deployer starts an agent whose deployments do nothing, once.
func (n *newcomer) deployer() {
	n.t.Helper()
	if _, err := os.Stat(filepath.Join(n.dir, "web-1.token")); err == nil {
		return
	}
	writeText(n.t, filepath.Join(n.dir, "web-1.token"), token(n.t, "agents", "create", "web-1", "--data", filepath.Join(n.dir, "state")))
	writeText(n.t, filepath.Join(n.dir, "agentd.yaml"), n.replacer.Replace(fmt.Sprintf(`server: https://skadi.example.com
token_file: web-1.token
state_dir: %q
commands:
  - name: deploy
    args: [{name: version, pattern: 'v[0-9.]+'}]
    argv: [echo, deploying, "{version}"]
`, filepath.Join(n.dir, "agentd-state"))))
	startIn(n.t, n.dir, n.env, programs.Path("agentd"), "run", "-c", "agentd.yaml").sees("online")
}

// says runs a script and returns what it printed.
func (n *newcomer) says(at, script string) string {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = n.dir, n.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.t.Fatalf("%s: %s\n%v\n%s", at, script, err, out)
	}
	return string(out)
}
