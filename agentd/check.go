package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/agentd/settings"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the YAML file and the programs that it names",
		Long: "Check reads the file, looks whether the programs and folders that it names are there, and lists\n" +
			"what the agent would do. It ends with 1 if something is wrong, and calls no server.",
		Example: "  agentd check -c /etc/skadi/agentd.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := load(cmd)
			if err != nil {
				return err
			}
			if _, err := newAgent(s, newLog(s, cmd.ErrOrStderr())); err != nil {
				return err
			}
			for _, w := range s.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			if m := missing(s); len(m) > 0 {
				return errors.New(strings.Join(m, "\n"))
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "The file is right. An agent of %s that can do:\n", s.Server)
			for _, spec := range s.Specs() {
				fmt.Fprintf(out, "  %s\n", spec)
			}
			return nil
		},
	}
}

// missing says which programs and folders of the file are not there.
func missing(s *settings.Settings) []string {
	var all []string
	for _, spec := range s.Specs() {
		what := "the handler"
		if spec.Name != "" {
			what = fmt.Sprintf("the command %q", spec.Name)
		}
		program := spec.Program()
		if spec.Dir != "" {
			if info, err := os.Stat(spec.Dir); err != nil || !info.IsDir() {
				all = append(all, fmt.Sprintf("%s runs in %s, which is no folder", what, spec.Dir))
				continue
			}
			if filepath.Base(program) != program && !filepath.IsAbs(program) {
				program = filepath.Join(spec.Dir, program)
			}
		}
		if _, err := exec.LookPath(program); err != nil {
			all = append(all, fmt.Sprintf("%s runs %s, which is no program that can be run here", what, program))
		}
	}
	return all
}
