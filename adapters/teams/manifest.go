package teams

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/letserverrun/skadi/core/chat"
)

// manifestVersion is the version of the schema that the manifest is of. Teams
// goes on taking it when there are newer ones, and it has all that is needed:
// https://github.com/OfficeDev/microsoft-teams-app-schema
const manifestVersion = "1.22"

// The limits of the schema, in characters.
const (
	maxShortName = 30
	maxVersion   = 256
)

// projectURL is what the manifest names as the website where the config names
// none.
const projectURL = "https://github.com/letserverrun/skadi"

// App is what people install in Teams to reach a bot.
type App struct {
	// BotID is the app_id of the account. It is the app's ID, too.
	BotID string
	// Name is the app's name in Teams, of at most 30 characters.
	Name string
	// Version is that of the app package: MAJOR.MINOR.PATCH. Teams takes a
	// changed package for an update if this has grown.
	Version string
	// PublicURL is where the server can be reached; empty if nobody knows.
	PublicURL string
}

// semver is MAJOR.MINOR.PATCH.
var semver = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}$`)

// Validate says what is wrong with the app.
func (a App) Validate() error {
	var errs []error
	if !guid.MatchString(a.BotID) {
		errs = append(errs, fmt.Errorf("app_id is %q, which is no ID such as 00000000-0000-0000-0000-000000000000", a.BotID))
	}
	if n := utf8.RuneCountInString(a.Name); n == 0 || n > maxShortName || strings.TrimSpace(a.Name) != a.Name || chat.Readable(a.Name) != a.Name {
		errs = append(errs, fmt.Errorf("the name %q is not one of 1 to %d characters, without blanks around it", a.Name, maxShortName))
	}
	if !semver.MatchString(a.Version) || len(a.Version) > maxVersion {
		errs = append(errs, fmt.Errorf("the version %q is not of the form 1.0.0", a.Version))
	}
	return errors.Join(errs...)
}

// WritePackage writes the app package, which is uploaded to Teams as it is: a
// zip with the manifest and two icons. It has the same bytes for the same App.
func (a App) WritePackage(w io.Writer) error {
	if err := a.Validate(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(a.manifest(), "", "  ")
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	colored, err := colorIcon()
	if err != nil {
		return err
	}
	outline, err := outlineIcon()
	if err != nil {
		return err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range []struct {
		name string
		data []byte
	}{{"manifest.json", append(text, '\n')}, {colorIconFile, colored}, {outlineIconFile, outline}} {
		// The time is not now, so that the bytes are the same tomorrow.
		part, err := z.CreateHeader(&zip.FileHeader{
			Name: f.name, Method: zip.Deflate, Modified: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		})
		if err != nil {
			return fmt.Errorf("writing %s into the app package: %w", f.name, err)
		}
		if _, err := part.Write(f.data); err != nil {
			return fmt.Errorf("writing %s into the app package: %w", f.name, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing the app package: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}

const (
	colorIconFile   = "color.png"
	outlineIconFile = "outline.png"
)

// manifest is manifest.json:
// https://learn.microsoft.com/microsoft-365/extensibility/schema/
type manifest struct {
	Schema          string           `json:"$schema"`
	ManifestVersion string           `json:"manifestVersion"`
	Version         string           `json:"version"`
	ID              string           `json:"id"`
	Developer       developer        `json:"developer"`
	Name            appName          `json:"name"`
	Description     appDescription   `json:"description"`
	Icons           appIcons         `json:"icons"`
	AccentColor     string           `json:"accentColor"`
	Bots            []bot            `json:"bots"`
	ValidDomains    []string         `json:"validDomains"`
	DefaultScope    string           `json:"defaultInstallScope"`
	InGroups        defaultsInGroups `json:"defaultGroupCapability"`
}

type developer struct {
	Name       string `json:"name"`
	WebsiteURL string `json:"websiteUrl"`
	PrivacyURL string `json:"privacyUrl"`
	TermsURL   string `json:"termsOfUseUrl"`
}

type appName struct {
	Short string `json:"short"`
	Full  string `json:"full"`
}

type appDescription struct {
	Short string `json:"short"`
	Full  string `json:"full"`
}

type appIcons struct {
	Color   string `json:"color"`
	Outline string `json:"outline"`
}

type bot struct {
	ID           string        `json:"botId"`
	Scopes       []string      `json:"scopes"`
	Files        bool          `json:"supportsFiles"`
	Notification bool          `json:"isNotificationOnly"`
	Lists        []commandList `json:"commandLists"`
}

type commandList struct {
	Scopes   []string     `json:"scopes"`
	Commands []botCommand `json:"commands"`
}

type botCommand struct {
	Title       string `json:"title"`
	Description string `json:"description"`
}

// defaultsInGroups say what is added where an app is added: the bot.
type defaultsInGroups struct {
	Team      string `json:"team"`
	GroupChat string `json:"groupchat"`
	Meetings  string `json:"meetings"`
}

// botCommands are what Teams offers while somebody writes to the bot; it takes
// ten. Agents are not in the list, since each person may see others.
var botCommands = []botCommand{
	{"help", "What you can do here; “help AGENT” tells what an agent can do"},
	{"agents", "The agents that you may use, and which of them are online"},
	{"jobs", "The newest jobs; “jobs AGENT” those of one agent"},
	{"job", "“job CODE” shows how a job went"},
	{"output", "“output CODE” shows all of a job's output"},
	{"why", "“why CODE” tells a job's history"},
	{"cancel", "“cancel CODE” stops a job"},
	{"rerun", "“rerun CODE” runs a job again"},
	{"use", "“use AGENT” makes it the agent of this conversation"},
	{"whoami", "What the access rules know you by"},
}

func (a App) manifest() manifest {
	id := strings.ToLower(a.BotID)
	website, domains := a.website()
	return manifest{
		Schema:          "https://developer.microsoft.com/json-schemas/teams/v" + manifestVersion + "/MicrosoftTeams.schema.json",
		ManifestVersion: manifestVersion, Version: a.Version, ID: id,
		Developer: developer{Name: "Skadi", WebsiteURL: website, PrivacyURL: website, TermsURL: website},
		Name:      appName{Short: a.Name, Full: a.Name + ": run things on your servers from a chat"},
		Description: appDescription{
			Short: "Run things on your servers by writing a message.",
			Full: "Write the name of an agent and what it is to do, such as “web-1 deploy v1.2.3”. " +
				"The server checks that you may, the agent runs it, and the answer comes back to where you asked, live. " +
				"“help” shows what you can do. In channels and group chats, mention the bot first.",
		},
		Icons: appIcons{Color: colorIconFile, Outline: outlineIconFile}, AccentColor: accentColor,
		Bots: []bot{{
			ID: id, Scopes: []string{"personal", "team", "groupChat"},
			Lists: []commandList{{Scopes: []string{"personal", "team", "groupChat"}, Commands: botCommands}},
		}},
		ValidDomains: domains, DefaultScope: "personal",
		InGroups: defaultsInGroups{Team: "bot", GroupChat: "bot", Meetings: "bot"},
	}
}

// website is where people read about the app, and the domains that belong to
// it. Teams takes https:// and real domains only.
func (a App) website() (website string, domains []string) {
	domains = []string{}
	u, err := url.Parse(a.PublicURL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return projectURL, domains
	}
	u.RawQuery, u.Fragment = "", ""
	if host := u.Hostname(); net.ParseIP(host) == nil && strings.Contains(host, ".") {
		domains = append(domains, host)
	}
	return u.String(), domains
}
