package service

import (
	"strings"
	"testing"
)

func TestWindowsState(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		state, exit uint32
		want        State
	}{
		{"never started", 1, 1077, Stopped},
		{"stopped in order", 1, 0, Stopped},
		{"starting", 2, 0, Starting},
		{"draining", 3, 0, Stopping},
		{"running", 4, 0, Running},
		{"paused by hand", 7, 0, Running},
		{"killed, and soon started again", 1, 1067, Failing},
		{"the agent was removed", 1, 1066, Failed},
		{"no right to log on", 1, 1069, Failed},
	} {
		if got := windowsState(tc.state, tc.exit); got != tc.want {
			t.Errorf("%s is %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"":               "",
		"LocalSystem":    "",
		"LocalService":   `NT AUTHORITY\LocalService`,
		"networkservice": `NT AUTHORITY\networkservice`,
		"deploy":         `.\deploy`,
		`CORP\deploy$`:   `CORP\deploy$`,
		"deploy@corp":    "deploy@corp",
	} {
		if got := account(user); got != want {
			t.Errorf("%q is %q, want %q", user, got, want)
		}
	}
}

func TestWindowsRefusesWhatIsOfSystemd(t *testing.T) {
	t.Parallel()
	for flag, u := range map[string]Unit{
		"--writable":   {Writable: []string{`C:\srv`}},
		"--unconfined": {Unconfined: true, User: "deploy"},
	} {
		err := u.fitWindows()
		if err == nil || !strings.HasPrefix(err.Error(), flag+" is systemd's") || !strings.Contains(err.Error(), "leave it out") {
			t.Errorf("%s: %v", flag, err)
		}
	}
	if err := (&Unit{User: "deploy"}).fitWindows(); err != nil {
		t.Error(err)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	u := Unit{Name: "agentd"}
	for system, want := range map[string]Words{
		"linux":   {"systemctl start agentd", "journalctl -u agentd", "/var/lib/agentd"},
		"darwin":  {"launchctl load /Library/LaunchDaemons/agentd.plist", "/var/log/agentd.err.log", "its state folder"},
		"windows": {"net start agentd", "the Event Viewer, Windows Logs, Application, source agentd", "its state folder"},
	} {
		if got := u.wordsOf(system); got != want {
			t.Errorf("%s: %q", system, got)
		}
	}
}
