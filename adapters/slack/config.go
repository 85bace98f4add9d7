package slack

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// Kind is the adapter's name in the config.
const Kind = "slack"

// The modes: how Slack's messages reach an account.
const (
	// ModeSocket receives over connections that Skadi opens to Slack.
	ModeSocket = "socket"
	// ModeHTTP receives requests that Slack sends to Skadi.
	ModeHTTP = "http"
)

// defaultAPI is where the methods of Slack's Web API are.
const defaultAPI = "https://slack.com/api/"

// Config is the adapter's block in the config.
type Config struct {
	Mode          string      `yaml:"mode" json:"mode" jsonschema:"required,enum=socket,enum=http" doc:"socket: Skadi connects to Slack; http: Slack calls Skadi at public_url."`
	AppToken      chat.Secret `yaml:"app_token,omitempty" json:"app_token,omitempty" doc:"App-level token with the scope connections:write, xapp-…; for mode socket only."`
	BotToken      chat.Secret `yaml:"bot_token" json:"bot_token" jsonschema:"required" doc:"Bot User OAuth Token of the workspace, xoxb-…"`
	SigningSecret chat.Secret `yaml:"signing_secret,omitempty" json:"signing_secret,omitempty" doc:"Signing secret of the app, which proves that a request is Slack's; for mode http only."`
	APIURL        string      `yaml:"api_url,omitempty" json:"api_url,omitempty" doc:"Slack's Web API; for gateways and tests."`
}

// appToken is an app-level token; its first part after the prefix is the
// version, its second the app's ID.
var appToken = regexp.MustCompile(`^xapp-[0-9]+-([A-Z0-9]+)-`)

// appID returns the app that the app-level token belongs to, or nothing.
func (c Config) appID() string {
	if m := appToken.FindStringSubmatch(c.AppToken.Reveal()); m != nil {
		return m[1]
	}
	return ""
}

// api returns the URL of the Web API, with a slash at its end.
func (c Config) api() string {
	if c.APIURL == "" {
		return defaultAPI
	}
	return strings.TrimSuffix(c.APIURL, "/") + "/"
}

// Validate names every key that is missing or wrong, and shows no secret.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &keyError{key: key, detail: fmt.Sprintf(format, args...)})
	}
	switch {
	case c.BotToken == "":
		bad("bot_token", "is empty; it is the Bot User OAuth Token (xoxb-…) on the app's page OAuth & Permissions")
	case !isToken(c.BotToken, "xoxb-") && !isToken(c.BotToken, "xoxe.xoxb-"):
		bad("bot_token", "is not a bot token, which starts with xoxb-")
	}
	switch c.Mode {
	case ModeSocket:
		switch {
		case c.AppToken == "":
			bad("app_token", "is empty, and mode socket needs it; it is made on the app's page Basic Information, App-Level Tokens, with the scope connections:write")
		case !isToken(c.AppToken, "xapp-"):
			bad("app_token", "is not an app-level token, which starts with xapp-")
		}
		if c.SigningSecret != "" {
			bad("signing_secret", "is for mode http; in mode socket nothing is signed")
		}
	case ModeHTTP:
		switch {
		case c.SigningSecret == "":
			bad("signing_secret", "is empty, and mode http needs it, for anybody could send messages otherwise; it stands on the app's page Basic Information")
		case !isToken(c.SigningSecret, ""):
			bad("signing_secret", "has blanks in it")
		}
		if c.AppToken != "" {
			bad("app_token", "is for mode socket; in mode http Slack calls Skadi")
		}
	case "":
		bad("mode", "is missing; it is %s or %s", ModeSocket, ModeHTTP)
	default:
		bad("mode", "is %q; it must be %s or %s", c.Mode, ModeSocket, ModeHTTP)
	}
	if err := checkURL(c.api()); err != nil {
		bad("api_url", "%s", err)
	}
	return errors.Join(errs...)
}

// isToken reports whether s starts with prefix, goes on after it, and could
// stand in a header.
func isToken(s chat.Secret, prefix string) bool {
	rest, ok := strings.CutPrefix(s.Reveal(), prefix)
	return ok && rest != "" && !strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// checkURL says what is wrong with an address that tokens are sent to. It does
// not repeat the address, which may contain a password.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return errors.New("is not a URL such as " + defaultAPI)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a user, a query or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("must begin with https://, for tokens are sent there; http:// is allowed for this machine only")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// keyError is about one key of the block; whoever decodes it adds the line.
type keyError struct{ key, detail string }

func (e *keyError) Error() string { return e.key + ": " + e.detail }

// Field says which key it is about.
func (e *keyError) Field() (path, detail string) { return e.key, e.detail }
