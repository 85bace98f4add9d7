package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// commit is set by the Makefile with -ldflags -X; without it the build info
// says what it can.
var commit string

// release is set in the same way when a release is built.
var release string

type version struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func currentVersion() version {
	v := version{Version: "devel", Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	if release != "" {
		v.Version = release
	}
	if v.Commit != "" {
		return v
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+dirty"
		}
	}
	if v.Commit != "" {
		v.Commit += dirty
	}
	return v
}

func versionLine() string {
	v := currentVersion()
	c := v.Commit
	if c == "" {
		c = "unknown commit"
	}
	return fmt.Sprintf("skadi %s (%s, %s, %s)", v.Version, c, v.Go, v.Platform)
}

func versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which version and commit this is",
		Example: "  skadi version\n  skadi version --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return printJSON(c.OutOrStdout(), currentVersion())
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), versionLine())
			return err
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
