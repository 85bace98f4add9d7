package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/config/strictyaml"
	"github.com/letserverrun/skadi/core/access"
	"github.com/letserverrun/skadi/core/chat"
	"github.com/letserverrun/skadi/core/httpapi"
	"github.com/letserverrun/skadi/core/job"
)

func configCommand(adapters map[string]chat.Factory) *cobra.Command {
	c := group(&cobra.Command{
		Use:     "config",
		Short:   "Check a config file, or print the schema for editors",
		Example: "  skadi config check -c skadi.yaml\n  skadi config schema > skadi.schema.json",
	})
	c.AddCommand(configCheck(adapters), configSchema(adapters))
	return c
}

func configSchema(adapters map[string]chat.Factory) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the config file",
		Example: `  skadi config schema > skadi.schema.json
  # and as the first line of skadi.yaml, for editors:
  # yaml-language-server: $schema=skadi.schema.json`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			schema, err := config.Schema(kinds(adapters)...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), strings.TrimSpace(string(schema)))
			return err
		},
	}
}

// errOnlyLook ends a factory that was only asked for the struct it decodes.
var errOnlyLook = errors.New("nothing is made of this")

// kinds returns the kinds of adapter with the keys of their blocks, which each
// factory shows by the struct that it wants to have filled.
func kinds(adapters map[string]chat.Factory) []config.Kind {
	var all []config.Kind
	for _, name := range slices.Sorted(maps.Keys(adapters)) {
		look := func(cfg any) error {
			all = append(all, config.Kind{Name: name, Config: cfg})
			return errOnlyLook
		}
		_, _ = adapters[name](look, checkEnv(name))
	}
	return all
}

func configCheck(adapters map[string]chat.Factory) *cobra.Command {
	var file string
	var asJSON, live bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a config file, and what is worth a second look",
		Long: `Reads the file as "skadi serve" would, and the certificate that it names, and starts
nothing. All that is wrong is told at once, with file, line and column; warnings are for what is allowed and worth a second look. The
addresses to enter at the far side of adapters that are called over HTTP are
printed. Exit code 1 if the file has an error.

With --live the far side of each account is asked whether it takes its
credentials; exit code 1 also if one does not. "skadi doctor" looks at all the rest.`,
		Example: "  skadi config check\n  skadi config check --live\n  skadi config check -c /etc/skadi/skadi.yaml\n  skadi config check --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			k := &checked{file: file, adapters: adapters}
			err := k.run(c.Context())
			if err == nil && live {
				k.live = liveAccounts(c.Context(), file, k.cfg, adapters)
			}
			if asJSON {
				return k.printJSON(c.OutOrStdout(), err)
			}
			return k.print(c.OutOrStdout(), c.ErrOrStderr(), err)
		},
	}
	c.Flags().StringVarP(&file, "config", "c", defaultConfig, "the config file")
	c.Flags().BoolVar(&live, "live", false, "try the credentials of each account")
	jsonFlag(c, &asJSON)
	return c
}

// checked is one run of `skadi config check`, and what it found.
type checked struct {
	file      string
	adapters  map[string]chat.Factory
	cfg       *config.Config
	warnings  []string
	addresses []address
	live      []finding // of --live
}

// address is where the far side calls an account.
type address struct {
	Account string `json:"account"`
	Kind    string `json:"kind"`
	// Where names the place at the far side, if its adapter knows it.
	Where string `json:"where,omitempty"`
	URL   string `json:"url"`
}

func (k *checked) run(ctx context.Context) error {
	var all made
	cfg, err := config.Load(k.file, (*config.Config).CheckCertificate, func(c *config.Config) (err error) {
		all, err = makeAll(c, k.adapters)
		return err
	})
	if err != nil {
		return err
	}
	k.cfg = cfg
	policy, err := access.New(cfg.Access)
	if err != nil {
		return err
	}
	k.addressesOf(all)
	for _, w := range cfg.Warnings() {
		k.warn("%v", w)
	}
	k.openRules(ctx, policy)
	return nil
}

func (k *checked) warn(format string, args ...any) {
	k.warnings = append(k.warnings, fmt.Sprintf(format, args...))
}

// print tells a person. failed is what is wrong with the file, if anything.
func (k *checked) print(out, errs io.Writer, failed error) error {
	for _, w := range k.warnings {
		fmt.Fprintf(errs, "warning: %s\n", w)
	}
	if failed != nil {
		return failed
	}
	fmt.Fprintf(out, "%s is fine: %s\n", k.file, k.summary())
	account := ""
	for _, a := range k.addresses {
		switch {
		case a.Where == "":
			fmt.Fprintf(out, "  %s (%s) is called at %s\n", a.Account, a.Kind, a.URL)
			continue
		case a.Account != account:
			fmt.Fprintf(out, "  %s (%s): enter at the far side\n", a.Account, a.Kind)
		}
		account = a.Account
		fmt.Fprintf(out, "    %s: %s\n", a.Where, a.URL)
	}
	if k.live == nil {
		return nil
	}
	if err := (&diagnosis{Findings: k.live}).print(out); err != nil {
		return err
	}
	return k.liveResult()
}

func (k *checked) liveResult() error {
	if anyWrong(k.live) {
		return exitWith(exitFailed)
	}
	return nil
}

// fault is one error in the file. Line and column are 0 for one that is about
// the whole of it.
type fault struct {
	file   string
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	Detail string `json:"detail"`
}

// printJSON tells a program the same as print.
func (k *checked) printJSON(out io.Writer, failed error) error {
	err := printJSON(out, struct {
		File      string    `json:"file"`
		OK        bool      `json:"ok"`
		Errors    []fault   `json:"errors"`
		Warnings  []string  `json:"warnings"`
		Addresses []address `json:"addresses"`
		Live      []finding `json:"live,omitempty"`
	}{k.file, failed == nil, faultsIn(failed, []fault{}), append([]string{}, k.warnings...), append([]address{}, k.addresses...), k.live})
	if err == nil && failed != nil {
		return exitWith(exitFailed)
	}
	if err == nil {
		err = k.liveResult()
	}
	return err
}

// faultsIn appends the faults that err is made of.
func faultsIn(err error, to []fault) []fault {
	var many interface{ Unwrap() []error }
	var one *strictyaml.Error
	switch {
	case err == nil:
	case errors.As(err, &many):
		for _, inner := range many.Unwrap() {
			to = faultsIn(inner, to)
		}
	case errors.As(err, &one):
		to = append(to, fault{one.File, one.Line, one.Column, one.Path, one.Detail})
	default:
		to = append(to, fault{Detail: err.Error()})
	}
	return to
}

func (f fault) String() string {
	if f.Line > 0 {
		return (&strictyaml.Error{File: f.file, Line: f.Line, Column: f.Column, Path: f.Path, Detail: f.Detail}).Error()
	}
	return f.Detail
}

func (k *checked) summary() string {
	parts := []string{"listens on " + k.cfg.Listen}
	for _, p := range []struct {
		n    int
		what string
	}{{len(k.cfg.Adapters), "adapter"}, {len(k.cfg.Access.Rules), "access rule"}} {
		s := "s"
		if p.n == 1 {
			s = ""
		}
		parts = append(parts, fmt.Sprintf("%d %s%s", p.n, p.what, s))
	}
	return strings.Join(parts, ", ")
}

// addressesOf notes where the far sides call the accounts that they call.
func (k *checked) addressesOf(all made) {
	for _, a := range k.cfg.Adapters {
		if adapter, ok := all[a.Name].(chat.Pushed); ok {
			k.addressOf(a, adapter)
		}
	}
}

func (k *checked) addressOf(a config.Adapter, adapter chat.Pushed) {
	base := strings.TrimSuffix(k.cfg.PublicURL, "/")
	if base == "" {
		k.warn("public_url is not set, so the addresses of %s are not known in full", a.Name)
		base = "https://…"
	}
	base += httpapi.MountPath(a.Name)
	entered, ok := adapter.(chat.Entered)
	if !ok {
		k.addresses = append(k.addresses, address{Account: a.Name, Kind: a.Kind, URL: base})
		return
	}
	for _, e := range entered.Endpoints() {
		k.addresses = append(k.addresses, address{a.Name, a.Kind, e.Where, base + e.Path})
	}
}

// checkEnv is the host of an adapter that is made and never run.
func checkEnv(account string) chat.Env {
	return chat.Env{
		Account: account, Logger: slog.New(slog.DiscardHandler), Clock: time.Now,
		HTTP: &http.Client{Timeout: outgoingTimeout},
		KV:   newScratch(), Lease: newScratch(),
	}
}

// openRules warns of wildcards that reach a shell or a handler program, as far
// as the database knows the agents.
func (k *checked) openRules(ctx context.Context, policy *access.Policy) {
	agents, err := knownAgents(ctx, placeOf(k.cfg))
	if err != nil {
		k.warn("the agents are not known, so the rules are not held against them: %v", err)
		return
	}
	var open []access.OpenAgent
	for _, a := range agents {
		o := access.OpenAgent{Name: a.Name}
		for _, c := range a.Commands {
			if c.Open {
				o.Commands = append(o.Commands, c.Name)
			}
		}
		if len(o.Commands) > 0 {
			open = append(open, o)
		}
	}
	for _, w := range policy.Warnings(open) {
		k.warn("%s: access.%s: %s", k.file, w.Path, w.Text)
	}
}

// checkTime is how long a check waits for a database that does not answer.
const checkTime = 5 * time.Second

// knownAgents reads the agents of a database, if it is there and is as this
// program knows it; a check brings nothing up to date.
func knownAgents(ctx context.Context, p place) (agents []job.Agent, err error) {
	if !p.exists() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	s, err := p.schema(ctx)
	if err != nil || s.Version != s.Newest {
		return nil, err
	}
	o, err := openDatabase(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = joined(err, o.store.Close) }()
	return o.jobs.Agents(ctx, job.DefaultSpace)
}
