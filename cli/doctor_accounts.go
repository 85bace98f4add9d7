package cli

import (
	"context"
	"slices"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/core/chat"
)

// findConfig reads the file, without which there is nothing else to look at.
func (d *doctor) findConfig() []chat.Finding {
	cfg, err := config.Load(d.file)
	if err != nil {
		_, err = config.Load(d.file, fit(d.adapters))
		var list []chat.Finding
		for _, f := range faultsIn(err, nil) {
			list = append(list, found(chat.Wrong, "mend the file; `skadi config check` shows all of it", "%s", f.String()))
		}
		return list
	}
	d.cfg = cfg
	k := &checked{file: d.file, adapters: d.adapters, cfg: cfg}
	var list []chat.Finding
	if _, err := makeAll(cfg, d.adapters); err != nil {
		for _, f := range faultsIn(err, nil) {
			list = append(list, found(chat.Wrong, "mend the file; `skadi serve` does not start with it", "%s", f.String()))
		}
	} else {
		list = append(list, found(chat.Fine, "", "%s is fine: %s", d.file, k.summary()))
	}
	for _, w := range cfg.Warnings() {
		list = append(list, found(chat.Doubtful, "", "%v", w))
	}
	return list
}

// accountChecks has each adapter that can do so try its credentials.
func (d *doctor) accountChecks() []check {
	var checks []check
	for _, a := range d.cfg.Adapters {
		factory, ok := d.adapters[a.Kind]
		if !ok {
			continue // the config's errors have it
		}
		adapter, err := factory(a.Decode, checkEnv(a.Name))
		if err != nil {
			continue
		}
		checks = append(checks, check{name: "account", account: a.Name, find: func(ctx context.Context) []chat.Finding {
			c, ok := adapter.(chat.Checker)
			if !ok {
				return []chat.Finding{found(chat.Untried, "", "nothing of an account of the kind %s can be tried; whether it works shows when something comes or is sent", a.Kind)}
			}
			return c.Check(ctx)
		}})
	}
	return checks
}

// liveAccounts tries the credentials of a config's accounts.
func liveAccounts(ctx context.Context, file string, cfg *config.Config, adapters map[string]chat.Factory) (list []finding) {
	d := newDoctor(file, adapters)
	d.cfg = cfg
	checks := d.accountChecks()
	report := &diagnosis{}
	for i, found := range runChecks(ctx, checks, d.time) {
		report.add(checks[i], found...)
	}
	return report.Findings
}

func anyWrong(list []finding) bool {
	return slices.ContainsFunc(list, func(f finding) bool { return f.Level == chat.Wrong })
}
