package teams

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
const Kind = "teams"

// Config is the adapter's block in the config.
type Config struct {
	AppID       string      `yaml:"app_id" json:"app_id" jsonschema:"required" doc:"Microsoft App ID of the bot, on its Configuration page in Azure."`
	AppPassword chat.Secret `yaml:"app_password,omitempty" json:"app_password,omitempty" doc:"Client secret of the app. It can be left out with unauthenticated_loopback only."`
	TenantID    string      `yaml:"tenant_id,omitempty" json:"tenant_id,omitempty" doc:"Directory (tenant) ID of a single-tenant app. A multi-tenant app has none here and names its tenants in allowed_tenants."`

	AllowedTenants []string `yaml:"allowed_tenants,omitempty" json:"allowed_tenants,omitempty" doc:"IDs of the tenants whose people may write; tenant_id alone if left out."`

	OpenIDMetadataURL string   `yaml:"openid_metadata_url,omitempty" json:"openid_metadata_url,omitempty" doc:"Where the keys of the Bot Framework are; for GCC High and DoD, and for tests."`
	TokenURL          string   `yaml:"token_url,omitempty" json:"token_url,omitempty" doc:"Where the app gets its token; made of tenant_id if left out."`
	ServiceHosts      []string `yaml:"service_hosts,omitempty" json:"service_hosts,omitempty" doc:"The hosts that are sent replies, and the token with them; Microsoft's if left out. A port, if there is one, belongs to it."`

	AllowHTTPLoopback       bool `yaml:"allow_http_loopback,omitempty" json:"allow_http_loopback,omitempty" doc:"Lets the far side be a test peer on this machine, over http://."`
	UnauthenticatedLoopback bool `yaml:"unauthenticated_loopback,omitempty" json:"unauthenticated_loopback,omitempty" doc:"For Microsoft's Agents Playground: believes whatever comes from this machine, and takes nothing from anywhere else. Never for production."`
}

// cloud is what belongs together: who signs the Bot Framework's tokens, where
// its keys are, and where and for what the app gets its own token.
type cloud struct {
	issuer   string
	metadata string
	login    string
	scope    string
	// shared is the tenant in which multi-tenant apps get their token.
	shared string
}

// The clouds, as
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
// and https://learn.microsoft.com/azure/bot-service/how-to-deploy-gov-cloud-high
// list them. GCC uses the public cloud and differs in its service host only.
var (
	publicCloud = cloud{
		issuer:   "https://api.botframework.com",
		metadata: "https://login.botframework.com/v1/.well-known/openidconfiguration",
		login:    "https://login.microsoftonline.com",
		scope:    "https://api.botframework.com/.default",
		shared:   "botframework.com",
	}
	governmentCloud = cloud{
		issuer:   "https://api.botframework.us",
		metadata: "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
		login:    "https://login.microsoftonline.us",
		scope:    "https://api.botframework.us/.default",
		shared:   "cab8a31a-1906-4287-a0d8-4eef66b95f6e",
	}
)

// serviceHosts are the hosts of Teams: the public cloud, GCC, GCC High, DoD.
var serviceHosts = []string{
	"smba.trafficmanager.net",
	"smba.infra.gcc.teams.microsoft.com",
	"smba.infra.gov.teams.microsoft.us",
	"smba.infra.dod.teams.microsoft.us",
}

// cloud returns the set that the metadata's address belongs to. An address of
// one's own stands in for the public cloud.
func (c Config) cloud() cloud {
	if c.OpenIDMetadataURL == governmentCloud.metadata {
		return governmentCloud
	}
	set := publicCloud
	if c.OpenIDMetadataURL != "" {
		set.metadata = c.OpenIDMetadataURL
	}
	return set
}

// tokenURL is where the app gets its own token:
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication#step-1-request-an-access-token-from-the-microsoft-entra-id-account-login-service
func (c Config) tokenURL() string {
	if c.TokenURL != "" {
		return c.TokenURL
	}
	set, tenant := c.cloud(), c.TenantID
	if tenant == "" {
		tenant = set.shared
	}
	return set.login + "/" + tenant + "/oauth2/v2.0/token"
}

// anonymous says that replies carry no token, since the far side is a program
// on this machine that asks for none.
func (c Config) anonymous() bool { return c.UnauthenticatedLoopback && c.AppPassword == "" }

// tenants are those whose people may write, in lower case.
func (c Config) tenants() []string {
	all := c.AllowedTenants
	if len(all) == 0 && c.TenantID != "" {
		all = []string{c.TenantID}
	}
	lower := make([]string, len(all))
	for i, id := range all {
		lower[i] = strings.ToLower(id)
	}
	return lower
}

// hosts are those that replies may be sent to, in lower case.
func (c Config) hosts() []string {
	all := c.ServiceHosts
	if len(all) == 0 {
		all = serviceHosts
	}
	lower := make([]string, len(all))
	for i, host := range all {
		lower[i] = strings.ToLower(host)
	}
	return lower
}

// guid is the form of the IDs of apps, tenants and people.
var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// Validate names every key that is missing or wrong, and shows no secret.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &keyError{key: key, detail: fmt.Sprintf(format, args...)})
	}
	switch {
	case c.AppID == "":
		bad("app_id", "is empty, and without it nothing can be believed; it is the Microsoft App ID on the bot's Configuration page in Azure")
	case !guid.MatchString(c.AppID):
		bad("app_id", "is %q, which is no ID such as 00000000-0000-0000-0000-000000000000", c.AppID)
	}
	switch {
	case c.AppPassword == "" && !c.UnauthenticatedLoopback:
		bad("app_password", "is empty; it is the value of a client secret of the app, under Certificates & secrets in Azure")
	case strings.ContainsFunc(c.AppPassword.Reveal(), func(r rune) bool { return r <= ' ' || r == 0x7f }):
		bad("app_password", "has blanks in it")
	}
	c.validateTenants(bad)
	c.validateAddresses(bad)
	c.validateLoopback(bad)
	return errors.Join(errs...)
}

// complain records what is wrong with a key.
type complain = func(key, format string, args ...any)

func (c Config) validateTenants(bad complain) {
	if c.TenantID == "" && len(c.AllowedTenants) == 0 {
		bad("tenant_id", "is empty, and so is allowed_tenants: people of every company could write otherwise; it is the Directory (tenant) ID of the app in Azure")
	}
	check := func(key, id string) {
		switch {
		case guid.MatchString(id):
		case id != "" && c.UnauthenticatedLoopback && !strings.ContainsAny(id, " \t\r\n/"): // the Playground's is none
		default:
			bad(key, "is %q, which is no ID such as 00000000-0000-0000-0000-000000000000", id)
		}
	}
	if c.TenantID != "" {
		check("tenant_id", c.TenantID)
	}
	for i, id := range c.AllowedTenants {
		check(fmt.Sprintf("allowed_tenants[%d]", i), id)
	}
}

func (c Config) validateAddresses(bad complain) {
	if err := c.checkURL(c.cloud().metadata); err != nil {
		bad("openid_metadata_url", "%s", err)
	}
	if err := c.checkURL(c.tokenURL()); err != nil {
		bad("token_url", "%s", err)
	}
	for i, host := range c.ServiceHosts {
		u, err := url.Parse("https://" + host)
		if host == "" || err != nil || u.Host != host || u.Hostname() == "" || strings.Contains(host, "*") {
			bad(fmt.Sprintf("service_hosts[%d]", i), "is %q; it must be a host such as %s, without a scheme or a path, or host:port", host, serviceHosts[0])
		}
	}
}

func (c Config) validateLoopback(bad complain) {
	if !c.UnauthenticatedLoopback {
		return
	}
	if !c.AllowHTTPLoopback {
		bad("unauthenticated_loopback", "needs allow_http_loopback: true, since a test peer on this machine is answered over http://")
	}
	if len(c.ServiceHosts) == 0 {
		bad("service_hosts", "is empty; with unauthenticated_loopback it must name the test peer, such as localhost:56150 for the Agents Playground")
	}
	for i, host := range c.ServiceHosts {
		if u, err := url.Parse("http://" + host); err == nil && !isLoopback(u.Hostname()) {
			bad(fmt.Sprintf("service_hosts[%d]", i), "is %q; with unauthenticated_loopback only this machine can be answered", host)
		}
	}
}

// checkURL says what is wrong with an address that is believed or given a
// secret. It does not repeat the address, which may contain a password.
func (c Config) checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("is not a URL such as " + publicCloud.metadata)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a user, a query or a fragment")
	case !c.secure(u):
		return errors.New("must begin with https://; http:// is for a test peer on this machine, with allow_http_loopback: true")
	}
	return nil
}

// secure says whether nobody else can read or answer what is sent to u.
func (c Config) secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && c.AllowHTTPLoopback && isLoopback(u.Hostname())
}

// checkService says what is wrong with a serviceUrl, the address that replies
// go to. Its host must be one of service_hosts, port included where it is not
// the scheme's own.
func (c Config) checkService(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("the serviceUrl is no URL")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
		return errors.New("the serviceUrl has a user, a query or a fragment")
	case !c.secure(u):
		return fmt.Errorf("the serviceUrl is of %s, over %s", u.Host, u.Scheme)
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" && u.Port() == "443" {
		host = strings.TrimSuffix(host, ":443")
	}
	for _, allowed := range c.hosts() {
		if host == strings.TrimSuffix(allowed, ":443") || host == allowed {
			return nil
		}
	}
	return fmt.Errorf("the serviceUrl is of %s, which is not one of service_hosts", u.Host)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
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
