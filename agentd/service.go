package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/agentd/settings"
	"github.com/letserverrun/skadi/internal/service"
)

// stopSeconds is how long running jobs have to end when the service stops, if
// the config gives them no longer.
const stopSeconds = 300

// stopWithin is after how many seconds the system may kill an agent that stops:
// not before its own time is over, and what it stops then has had its grace.
func stopWithin(s *settings.Settings) int {
	return max(stopSeconds, int((s.DrainTimeout + s.KillGrace + time.Minute).Seconds()))
}

// serviceName is what the system calls the service.
const serviceName = "agentd"

func newService() *cobra.Command {
	c := &cobra.Command{
		Use:     "service",
		Short:   "Have the system start agentd, by systemd, launchd or as a Windows service",
		Example: "  sudo agentd service install -c /etc/skadi/agentd.yaml --user deploy --writable /srv/www\n  agentd service status",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(serviceInstall(), serviceUninstall(), serviceStatus())
	return c
}

func serviceInstall() *cobra.Command {
	u := service.Unit{Name: serviceName, Description: "Skadi agent", StopSeconds: stopSeconds, Never: []int{exitRemoved}}
	var file string
	var show bool
	c := &cobra.Command{
		Use:   "install",
		Short: "Install agentd as a service, which starts with the system",
		Long: `Writes a unit for systemd that runs "agentd run" without privileges, and without a
way to get any: the commands that it runs may write to /var/lib/agentd and to the
folders of --writable alone, and sudo does not work in them. --user says as whom
they run. With --unconfined they may do all that this user may, sudo included;
"user:" in the config takes that and --user root. The config is checked first:
what the unit would keep agentd from is refused. Nothing is started: "systemctl start agentd" does that.

On Windows it makes a service that starts with the system, and again if it fails;
--user says as whom, LocalSystem by default. Its log goes to the Application event
log. --writable and --unconfined are systemd's. "net start agentd" starts it.`,
		Example: "  sudo agentd service install -c /etc/skadi/agentd.yaml --user deploy --writable /srv/www\n  agentd service install --print",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if u.Program == "" {
				if u.Program, err = os.Executable(); err != nil {
					return err
				}
			}
			if file, err = filepath.Abs(file); err != nil {
				return err
			}
			u.Args, u.Config = []string{"run", "-c", file}, file
			set, err := settings.Load(file)
			switch _, missing := os.Stat(file); {
			case err == nil:
				u.StopSeconds, u.Keeps = stopWithin(set), map[string]string{"state_dir": set.StateDir}
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
			fmt.Fprintf(c.ErrOrStderr(), "installed %s; start it with: %s\n", u.Name, u.Words().Start)
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "config", "c", "agentd.yaml", "the YAML file")
	f.StringVar(&u.Program, "program", "", "what the service runs; this program by default")
	f.StringVar(&u.User, "user", "", "the user to run as; without it systemd makes one, and Windows takes LocalSystem")
	f.StringSliceVar(&u.Writable, "writable", nil, "a folder that the commands may write to")
	f.BoolVar(&u.Unconfined, "unconfined", false, "let the commands do all that the user may, as with sudo")
	f.BoolVar(&show, "print", false, "print the unit and install nothing")
	return c
}

func serviceUninstall() *cobra.Command {
	return &cobra.Command{
		Use: "uninstall", Short: "Stop the service and remove it; its state folder stays",
		Example: "  sudo agentd service uninstall", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			u := service.Unit{Name: serviceName}
			if err := u.Uninstall(); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "removed %s; %s stays\n", u.Name, u.Words().Data)
			return nil
		},
	}
}

func serviceStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Say whether the service runs; exit code 1 if it does not",
		Example: "  agentd service status", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			u := service.Unit{Name: serviceName}
			state, err := u.State(c.Context())
			if err != nil {
				return err
			}
			if state != service.Running {
				if state == service.Failing || state == service.Failed {
					return fmt.Errorf("the service agentd is %s; why: %s", state, u.Words().Why)
				}
				return fmt.Errorf("the service agentd is %s", state)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "agentd: %s\n", state)
			return err
		},
	}
}
