package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
)

const (
	// findTime bounds each check of the doctor.
	findTime = 15 * time.Second
	// findGrace is how much longer a check may take to notice that.
	findGrace = 5 * time.Second
)

func doctorCommand(adapters map[string]chat.Factory) *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out what keeps a server from working well, and what to do about it",
		Long: `Looks at everything that a server with this config needs: the file itself, the
clock, the disk, the database, Redis, the certificate, the files with secrets,
whether public_url leads to a server, and each account's credentials and rights,
for which the far side is asked where that can be done; what is not tried is shown
as untried, with the reason. Each finding says what to do. Nothing is changed,
nobody is sent anything, no secret is shown, and no check takes longer than 20
seconds. Run it as the user that the server runs as.

Exit code 1 if there is an error; warnings alone are 0.`,
		Example: "  skadi doctor -c /etc/skadi/skadi.yaml\n  skadi doctor --json | jq '.findings[] | select(.level != \"ok\")'",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			d := newDoctor(file, adapters)
			report := d.examine(c.Context())
			var err error
			if asJSON {
				err = printJSON(c.OutOrStdout(), report)
			} else {
				err = report.print(c.OutOrStdout())
			}
			if err == nil && !report.OK {
				err = exitWith(exitFailed)
			}
			return err
		},
	}
	c.Flags().StringVarP(&file, "config", "c", defaultConfig, "the config file")
	jsonFlag(c, &asJSON)
	return c
}

// finding is what one check found, under the check's name.
type finding struct {
	Check string `json:"check"`
	// Account is whose credentials were checked.
	Account string `json:"account,omitempty"`
	chat.Finding
}

// diagnosis is what `skadi doctor` prints.
type diagnosis struct {
	File string `json:"file"`
	// OK says that there is no error.
	OK       bool      `json:"ok"`
	Version  version   `json:"version"`
	Findings []finding `json:"findings"`
}

// doctor looks at what a config needs.
type doctor struct {
	file     string
	cfg      *config.Config
	adapters map[string]chat.Factory
	now      func() time.Time
	time     time.Duration
}

func newDoctor(file string, adapters map[string]chat.Factory) *doctor {
	return &doctor{file: file, adapters: adapters, now: time.Now, time: findTime}
}

// check is one thing to look at.
type check struct {
	name, account string
	find          func(context.Context) []chat.Finding
}

func (d *doctor) examine(ctx context.Context) diagnosis {
	report := diagnosis{File: d.file, Version: currentVersion()}
	report.add(check{name: "version"}, found(chat.Fine, "", "%s", versionLine()))
	report.add(check{name: "config"}, d.findConfig()...)
	if d.cfg != nil {
		checks := append([]check{
			{name: "clock", find: d.findClock},
			{name: "disk", find: d.findDisk},
			{name: "database", find: d.findDatabase},
			{name: "redis", find: d.findRedis},
			{name: "certificate", find: d.findCertificate},
			{name: "secrets", find: d.findSecrets},
			{name: "public_url", find: d.findPublicURL},
		}, d.accountChecks()...)
		for i, list := range runChecks(ctx, checks, d.time) {
			report.add(checks[i], list...)
		}
	}
	report.OK = !slices.ContainsFunc(report.Findings, func(f finding) bool { return f.Level == chat.Wrong })
	return report
}

func (r *diagnosis) add(c check, list ...chat.Finding) {
	for _, f := range list {
		r.Findings = append(r.Findings, finding{c.name, c.account, f})
	}
}

// runChecks runs all at the same time. One that does not come back in time is
// itself a finding.
func runChecks(ctx context.Context, checks []check, most time.Duration) [][]chat.Finding {
	all := make([][]chat.Finding, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			bounded, cancel := context.WithTimeout(ctx, most)
			defer cancel()
			done := make(chan []chat.Finding, 1)
			go func() { done <- c.find(bounded) }()
			late := time.NewTimer(most + findGrace)
			defer late.Stop()
			select {
			case all[i] = <-done:
			case <-late.C:
				all[i] = []chat.Finding{found(chat.Wrong, "see whether a disk, a network or a far side hangs", "this check did not end within %s", most+findGrace)}
			}
		})
	}
	wg.Wait()
	return all
}

// found makes a finding.
func found(level chat.Level, fix, format string, args ...any) chat.Finding {
	return chat.Finding{Level: level, Text: fmt.Sprintf(format, args...), Fix: fix}
}

func (r *diagnosis) print(w io.Writer) error {
	marks := map[chat.Level]string{chat.Fine: "ok     ", chat.Doubtful: "warning", chat.Wrong: "ERROR  ", chat.Untried: "untried"}
	counts := map[chat.Level]int{}
	for _, f := range r.Findings {
		counts[f.Level]++
		of := f.Check
		if f.Account != "" {
			of += " " + f.Account
		}
		fmt.Fprintf(w, "%s  %s: %s\n", marks[f.Level], of, oneLine(f.Text, 500))
		if f.Fix != "" && f.Level != chat.Fine {
			fmt.Fprintf(w, "         → %s\n", oneLine(f.Fix, 500))
		}
	}
	_, err := fmt.Fprintf(w, "%d errors, %d warnings, %d untried, %d fine\n", counts[chat.Wrong], counts[chat.Doubtful], counts[chat.Untried], counts[chat.Fine])
	return err
}
