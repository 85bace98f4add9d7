package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/letserverrun/skadi"

// arrows says what of this module each package may import; a pattern's last
// element may be a *. A package that no line names may import nothing of it,
// so a new one needs a line here. Test suites for others to run (chattest,
// jobtest, queuetest) are held to the line of what they test, plus it.
var arrows = []struct{ from, to string }{
	{".", "adapters cli"},
	{"cli", "adapters/teams adapters/terminal agentd/agent config config/strictyaml core/* core/chat/* core/queue/redis core/store/* internal/service migrations"},
	{"cli/e2e", "core/agentapi"},
	{"cli/e2e/programs", "core/agentapi internal/throwaway"},
	{"cli/e2e/chats", ""},
	{"cli/e2e/mail", ""},
	{"cli/e2e/cluster", ""},
	{"cli/e2e/cluster/room", "core/chat"},
	{"cli/e2e/cluster/worker", "agentd/agent"},
	{"config/strictyaml", "core/chat core/nearest"},
	{"config", "config/strictyaml core/access core/callback core/channels core/chat core/job core/nearest core/outward"},
	{"migrations", ""},
	{"internal/*", ""},
	{"packaging", ""},

	{"core/chat", ""},
	{"core/chat/chattest", "core/chat"},
	{"core/job", "core/chat core/node"},
	{"core/job/jobtest", "core/job core/chat"},
	{"core/access", "core/chat core/nearest"},
	{"core/command", "core/chat core/nearest"},
	{"core/nearest", ""},
	{"core/agentapi", ""},
	{"core/events", "core/access core/agentapi core/node core/chat core/command core/job core/queue"},
	{"core/outward", ""},
	{"core/callback", "core/agentapi core/chat core/events core/job core/outward"},
	{"core/channels", "core/access core/chat core/job"},
	{"core/queue", "core/agentapi core/chat core/job"},
	{"core/queue/redis", "core/agentapi core/chat core/job core/queue"},
	{"core/queue/queuetest", "core/agentapi core/chat core/job core/queue"},
	{"core/intake", "core/access core/chat core/command core/job core/nearest"},
	{"core/httpapi", "core/node core/access core/agentapi core/channels core/chat core/command core/events core/job core/queue"},
	{"core/store", "core/access core/chat core/events core/job core/node"},
	{"core/store/group", "core/job"},
	{"core/store/row", "core/access core/chat core/events core/job"},
	{"core/store/sqlite", "core/access core/chat core/events core/job core/node core/store core/store/group core/store/row migrations"},
	{"core/store/mysql", "core/access core/chat core/events core/job core/node core/store core/store/group core/store/row migrations"},
	{"core/store/storecopy", "core/chat core/node core/store core/store/mysql core/store/row core/store/sqlite"},
	{"core/store/storetest", "core/access core/chat core/events core/job core/node core/store"},
	{"core/node", "core/chat"},
	{"core/telemetry", "core/chat core/events core/job"},

	{"adapters", "core/chat adapters/*"},
	{"adapters/*", "core/chat"},
	{"adapters/wechat", "core/chat adapters/wechat/*"},
	{"adapters/wechat/envelope", "core/chat"},
	{"adapters/wechat/envelope/envelopetest", ""},
	{"adapters/wechat/tencent", "core/chat"},
	{"adapters/wechat/official", "core/chat adapters/wechat/envelope adapters/wechat/tencent"},
	{"adapters/wechat/wecom", "core/chat adapters/wechat/envelope adapters/wechat/tencent"},
	{"adapters/email", "adapters/email/* core/chat"},
	{"adapters/email/message", ""},
	{"adapters/email/identity", "adapters/email/message"},
	{"adapters/email/mailbox", "core/chat"},

	{"agentd", "agentd/* core/agentapi internal/service"},
	{"agentd/settings", "agentd/agent agentd/agent/redact agentd/command agentd/process config/strictyaml core/agentapi core/chat"},
	{"agentd/command", "agentd/agent agentd/process"},
	{"agentd/process", ""},
	{"agentd/agent", "agentd/agent/* core/agentapi"},
	{"agentd/agent/agenttest", "agentd/agent agentd/agent/* core/agentapi"},
	{"agentd/agent/journal", "core/agentapi"},
	{"agentd/agent/*", ""},
}

// small names the packages that others link for the sake of being small, with
// what they may link besides this module and the standard library.
var small = map[string]string{
	"core/chat":     "",
	"core/agentapi": "",
	"agentd/agent":  "golang.org/x/sys/", // file locks
}

// agentdMayNot is what the daemon must not link, even by way of others.
var agentdMayNot = []string{
	"database/sql", "modernc.org/", "go-sql-driver/", "redis", "goose",
	module + "/adapters", module + "/core/store", module + "/core/job", module + "/core/events",
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range goList(t, "./...") {
		from := local(p.ImportPath)
		allowed, known := allowedOf(from)
		if !known {
			t.Errorf("%s has no line in arrows: say what it may import", from)
			continue
		}
		for _, imported := range p.Imports {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				continue
			}
			if to := local(imported); !slices.ContainsFunc(allowed, func(a string) bool { return matches(a, to) }) {
				t.Errorf("%s imports %s, which no arrow allows", from, to)
			}
		}
	}
}

func TestSmallPackagesStaySmall(t *testing.T) {
	t.Parallel()
	for pkg, besides := range small {
		for _, dep := range goList(t, "-deps", "./"+pkg) {
			ours := strings.HasPrefix(dep.ImportPath, module+"/")
			extra := besides != "" && strings.HasPrefix(dep.ImportPath, besides)
			if !dep.Standard && !ours && !extra {
				t.Errorf("%s links %s", pkg, dep.ImportPath)
			}
		}
	}
}

func TestAgentdLinksNoDatabase(t *testing.T) {
	t.Parallel()
	for _, dep := range goList(t, "-deps", "./agentd") {
		for _, not := range agentdMayNot {
			if strings.Contains(dep.ImportPath, not) {
				t.Errorf("agentd links %s", dep.ImportPath)
			}
		}
	}
}

// goList returns what `go list -json` says. Without a profile, which would give
// every package a name of its own for the program that is built with it.
func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-pgo=off", "-json=ImportPath,Imports,Deps,Standard"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// local returns the path below the module's root, and "." for the root.
func local(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// allowedOf returns the patterns that from may import: of the line that names
// it, or else of the first whose pattern fits.
func allowedOf(from string) (allowed []string, known bool) {
	for _, exact := range []bool{true, false} {
		for _, a := range arrows {
			if exact && a.from == from || !exact && matches(a.from, from) {
				return strings.Fields(a.to), true
			}
		}
	}
	return nil, false
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}
