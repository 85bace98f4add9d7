package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/adapters/teams"
	"github.com/letserverrun/skadi/config"
)

func teamsCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:     "teams",
		Short:   "Write the app package that Microsoft Teams wants",
		Example: "  skadi teams manifest -c skadi.yaml -o skadi-teams.zip",
	})
	c.AddCommand(teamsManifest())
	return c
}

// teamsPackage is one run of `skadi teams manifest`.
type teamsPackage struct {
	file, account, out, name, version string
}

func teamsManifest() *cobra.Command {
	p := &teamsPackage{}
	var asJSON bool
	c := &cobra.Command{
		Use:   "manifest",
		Short: "Write the app package of a Teams account, a zip to be uploaded as it is",
		Long: `Writes the zip by which people install Skadi in Teams: a manifest with the bot
of the account in the config file, and two icons. There is no secret in it, and
the same config makes the same bytes.

It is uploaded in Teams under Apps, Manage your apps, Upload an app, or for
everybody in the Teams admin center. When it is uploaded again after a change,
--app-version must have grown.`,
		Example: `  skadi teams manifest
  skadi teams manifest -c /etc/skadi/skadi.yaml --account work-teams -o skadi-teams.zip
  skadi teams manifest --name "Skadi (test)" --app-version 1.0.1`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			size, err := p.write()
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"file": p.out, "bytes": size})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s (%d bytes) is ready to be uploaded to Teams\n", p.out, size)
			return err
		},
	}
	c.Flags().StringVarP(&p.file, "config", "c", defaultConfig, "the config file")
	c.Flags().StringVar(&p.account, "account", "", "the adapter's name in the config, where there are several of the kind teams")
	c.Flags().StringVarP(&p.out, "out", "o", "skadi-teams.zip", "the file to write")
	c.Flags().StringVar(&p.name, "name", "Skadi", "what the app is called in Teams, at most 30 characters")
	c.Flags().StringVar(&p.version, "app-version", "1.0.0", "the version of the app package")
	jsonFlag(c, &asJSON)
	return c
}

// write writes the package and returns its size.
func (p *teamsPackage) write() (size int, err error) {
	cfg, err := config.Load(p.file)
	if err != nil {
		return 0, err
	}
	account, err := p.choose(cfg.Adapters)
	if err != nil {
		return 0, err
	}
	var block teams.Config
	if err := account.Decode(&block); err != nil {
		return 0, err
	}
	if err := block.Validate(); err != nil {
		return 0, account.Place(err)
	}
	app := teams.App{BotID: block.AppID, Name: p.name, Version: p.version, PublicURL: cfg.PublicURL}
	if err := app.Validate(); err != nil {
		return 0, usage("%w", err)
	}
	var b bytes.Buffer
	if err := app.WritePackage(&b); err != nil {
		return 0, err
	}
	if err := os.WriteFile(p.out, b.Bytes(), 0o644); err != nil { //nolint:gosec // it is given to others and holds no secret
		return 0, err
	}
	return b.Len(), nil
}

// choose returns the account that the package is for.
func (p *teamsPackage) choose(all []config.Adapter) (config.Adapter, error) {
	var names []string
	var found config.Adapter
	for _, a := range all {
		if a.Kind != teams.Kind {
			continue
		}
		if a.Name == p.account {
			return a, nil
		}
		names = append(names, a.Name)
		found = a
	}
	switch {
	case len(names) == 0:
		return found, fmt.Errorf("%s has no adapter of the kind %s", p.file, teams.Kind)
	case p.account != "":
		return found, usage("%s has no adapter %q of the kind %s; there is %s", p.file, p.account, teams.Kind, strings.Join(names, ", "))
	case len(names) > 1:
		return found, usage("%s has several adapters of the kind %s; choose one by --account: %s", p.file, teams.Kind, strings.Join(names, ", "))
	}
	return found, nil
}
