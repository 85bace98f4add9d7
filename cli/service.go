package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
	"github.com/letserverrun/skadi/internal/service"
)

// serviceName is what the system calls the service.
const serviceName = "skadi"

// stopSeconds is longer than a server takes to stop in order.
const stopSeconds = 30

func serviceCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use:     "service",
		Short:   "Have the system start the server, by systemd, launchd or as a Windows service",
		Example: "  sudo skadi service install -c /etc/skadi/skadi.yaml\n  skadi service status",
	})
	c.AddCommand(serviceInstall(), serviceUninstall(), serviceStatus())
	return c
}

func serviceInstall() *cobra.Command {
	u := service.Unit{Name: serviceName, Description: "Skadi server", Reload: true, Alone: true, StopSeconds: stopSeconds}
	var file string
	var show, asJSON bool
	c := &cobra.Command{
		Use:   "install",
		Short: "Install the server as a service, which starts with the system",
		Long: `Writes a unit for systemd that runs "skadi serve" without privileges: it may write
to /var/lib/skadi alone, so store.path belongs there. Without --user systemd makes a
user for it, who has to be able to read the config and the files it refers to. The
config is checked first: what the unit would keep it from is refused. Nothing is started: "systemctl start skadi" does that, and
"systemctl reload skadi" has it read its config again.

On Windows it makes a service that starts with the system, and again if it fails;
--user says as whom, LocalSystem by default. Its log goes to the Application event
log. --writable is systemd's. "net start skadi" starts it.`,
		Example: "  sudo skadi service install -c /etc/skadi/skadi.yaml --user skadi\n  skadi service install -c /etc/skadi/skadi.yaml --print",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if u.Program == "" {
				if u.Program, err = os.Executable(); err != nil {
					return err
				}
			}
			if file, err = filepath.Abs(file); err != nil {
				return err
			}
			u.Args, u.Config = []string{"serve", "-c", file}, file
			cfg, err := config.Load(file)
			switch _, missing := os.Stat(file); {
			case err == nil:
				u.Keeps = keeps(cfg)
			case !show:
				return err
			case missing == nil: // else it is for another machine
				fmt.Fprintf(c.ErrOrStderr(), "the unit is not held against the config: %v\n", err)
			}
			if show {
				return u.Print(c.OutOrStdout(), c.ErrOrStderr())
			}
			if err := u.Install(c.Context()); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"name": u.Name, "installed": true})
			}
			fmt.Fprintf(c.ErrOrStderr(), "installed %s; start it with: %s\n", u.Name, u.Words().Start)
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "config", "c", defaultConfig, "the config file")
	f.StringVar(&u.Program, "program", "", "what the service runs; this program by default")
	f.StringVar(&u.User, "user", "", "the user to run as; without it systemd makes one, and Windows takes LocalSystem")
	f.StringSliceVar(&u.Writable, "writable", nil, "a folder that it may write to besides /var/lib/skadi")
	f.BoolVar(&show, "print", false, "print the unit and install nothing")
	jsonFlag(c, &asJSON)
	return c
}

// keeps are the folders that the config has the server write to, by the key that
// names each.
func keeps(cfg *config.Config) map[string]string {
	if cfg.Store.Driver != config.SQLite {
		return nil
	}
	return map[string]string{"store.path": filepath.Dir(cfg.Store.Path)}
}

func serviceUninstall() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "uninstall",
		Short:   "Stop the service and remove it; its data stays",
		Example: "  sudo skadi service uninstall",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			u := service.Unit{Name: serviceName}
			if err := u.Uninstall(); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"name": u.Name, "installed": false})
			}
			fmt.Fprintf(c.ErrOrStderr(), "removed %s; %s stays\n", u.Name, u.Words().Data)
			return nil
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func serviceStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Say whether the service runs",
		Long: `Says whether the service runs: running, starting, stopping, stopped, failed, not
installed, or failing, which is started again and again. Exit code 1 unless it runs.`,
		Example: "  skadi service status\n  skadi service status --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			u := service.Unit{Name: serviceName}
			state, err := u.State(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), map[string]any{"name": u.Name, "state": state})
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", u.Name, state)
			}
			if err != nil || state == service.Running {
				return err
			}
			if state == service.Failing || state == service.Failed {
				fmt.Fprintf(c.ErrOrStderr(), "why: %s\n", u.Words().Why)
			}
			return exitWith(exitFailed)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}
