package teams

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/letserverrun/skadi/core/chat"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	good := Config{AppID: farApp, AppPassword: farPassword, TenantID: farTenant}
	for _, c := range []struct {
		name   string
		change func(c *Config)
		keys   []string // those at fault
	}{
		{"single tenant", func(*Config) {}, nil},
		{"multi-tenant", func(c *Config) { c.TenantID, c.AllowedTenants = "", []string{farTenant, strings.ToUpper(farApp)} }, nil},
		{"nothing", func(c *Config) { *c = Config{} }, []string{"app_id", "app_password", "tenant_id"}},
		{"app ID that is none", func(c *Config) { c.AppID = "skadi" }, []string{"app_id"}},
		{"app ID with a blank", func(c *Config) { c.AppID += "\n" }, []string{"app_id"}},
		{"no password", func(c *Config) { c.AppPassword = "" }, []string{"app_password"}},
		{"line end in the password", func(c *Config) { c.AppPassword += "\n" }, []string{"app_password"}},
		{"tenant by name", func(c *Config) { c.TenantID = "contoso.onmicrosoft.com" }, []string{"tenant_id"}},
		{"every tenant", func(c *Config) { c.AllowedTenants = []string{"*"} }, []string{"allowed_tenants[0]"}},
		{"empty tenant", func(c *Config) { c.AllowedTenants = []string{farTenant, ""} }, []string{"allowed_tenants[1]"}},
		{"the government's", func(c *Config) { c.OpenIDMetadataURL = governmentCloud.metadata }, nil},
		{"metadata in the clear", func(c *Config) { c.OpenIDMetadataURL = "http://login.botframework.com/x" }, []string{"openid_metadata_url"}},
		{"metadata on this machine", func(c *Config) { c.OpenIDMetadataURL = "http://127.0.0.1:9/x" }, []string{"openid_metadata_url"}},
		{"token in the clear", func(c *Config) { c.TokenURL = "http://login.microsoftonline.com/x" }, []string{"token_url"}},
		{"token by a file", func(c *Config) { c.TokenURL = "file:///etc/passwd" }, []string{"token_url"}},
		{"token URL with a password", func(c *Config) { c.TokenURL = "https://ada:hunter2@example.com/" }, []string{"token_url"}},
		{"test peer", func(c *Config) {
			c.OpenIDMetadataURL, c.TokenURL, c.AllowHTTPLoopback = "http://localhost:9/x", "http://[::1]:9/t", true
			c.ServiceHosts = []string{"localhost:9", "[::1]:9"}
		}, nil},
		{"test peer elsewhere", func(c *Config) {
			c.OpenIDMetadataURL, c.TokenURL, c.AllowHTTPLoopback = "http://localhost.example.com/x", "http://10.0.0.1/t", true
		}, []string{"openid_metadata_url", "token_url"}},
		{"hosts", func(c *Config) { c.ServiceHosts = []string{"smba.example.com", "smba.example.com:8443"} }, nil},
		{"hosts that are none", func(c *Config) {
			c.ServiceHosts = []string{"", "https://smba.example.com", "smba.example.com/amer", "*.example.com", "a b", "ada@example.com", ":443"}
		}, []string{
			"service_hosts[0]", "service_hosts[1]", "service_hosts[2]", "service_hosts[3]", "service_hosts[4]", "service_hosts[5]", "service_hosts[6]",
		}},
		{"Playground", func(c *Config) {
			*c = Config{
				AppID: farApp, TenantID: "00000000-0000-0000-0000-0000000000001", ServiceHosts: []string{"localhost:56150"},
				AllowHTTPLoopback: true, UnauthenticatedLoopback: true,
			}
		}, nil},
		{"Playground with Microsoft's hosts", func(c *Config) { c.AllowHTTPLoopback, c.UnauthenticatedLoopback = true, true }, []string{"service_hosts"}},
		{"Playground with others' hosts", func(c *Config) {
			c.AllowHTTPLoopback, c.UnauthenticatedLoopback, c.ServiceHosts = true, true, []string{"localhost:1", "smba.trafficmanager.net"}
		}, []string{"service_hosts[1]"}},
		{"Playground over https", func(c *Config) { c.UnauthenticatedLoopback, c.ServiceHosts = true, []string{"localhost:1"} }, []string{"unauthenticated_loopback"}},
		{"Playground of any tenant", func(c *Config) {
			c.AllowHTTPLoopback, c.UnauthenticatedLoopback, c.ServiceHosts, c.TenantID = true, true, []string{"localhost:1"}, ""
		}, []string{"tenant_id"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			_, err := New(cfg, chat.Env{Account: "work"})
			assert.Equal(t, c.keys, faulty(err), "%v", err)
			if err != nil {
				assert.NotContains(t, err.Error(), farPassword)
				assert.NotContains(t, err.Error(), "hunter2")
			}
		})
	}
}

// faulty are the keys that an error names.
func faulty(err error) []string {
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) {
		return nil
	}
	var keys []string
	for _, one := range all.Unwrap() {
		var at interface{ Field() (path, detail string) }
		if errors.As(one, &at) {
			key, _ := at.Field()
			keys = append(keys, key)
		}
	}
	return keys
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg := Config{AppID: farApp, AppPassword: farPassword, TenantID: strings.ToUpper(farTenant)}
	assert.Equal(t, []string{farTenant}, cfg.tenants())
	assert.Equal(t, serviceHosts, cfg.hosts())
	assert.Equal(t, publicCloud, cfg.cloud())
	assert.Equal(t, "https://login.microsoftonline.com/"+strings.ToUpper(farTenant)+"/oauth2/v2.0/token", cfg.tokenURL())
	cfg.TenantID = ""
	assert.Equal(t, "https://login.microsoftonline.com/botframework.com/oauth2/v2.0/token", cfg.tokenURL())
}

func TestServices(t *testing.T) {
	t.Parallel()
	cfg := Config{ServiceHosts: append([]string{"Example.com:8443", "127.0.0.1:9"}, serviceHosts...)}
	check := func(address string) bool { return cfg.checkService(address) == nil }
	for _, address := range []string{
		"https://smba.trafficmanager.net/amer/", "https://smba.trafficmanager.net", "https://SMBA.trafficmanager.net:443/emea/v3/x",
		"https://smba.infra.gov.teams.microsoft.us/", "https://example.com:8443/",
	} {
		assert.True(t, check(address), address)
	}
	for _, address := range []string{
		"", "smba.trafficmanager.net", "http://smba.trafficmanager.net/", "ftp://smba.trafficmanager.net/", "//smba.trafficmanager.net/",
		"https://smba.trafficmanager.net.example.com/", "https://smba.trafficmanager.net@example.com/", "https://example.com/", "https://example.com:443/",
		"https://smba.trafficmanager.net:8443/", "https://smba.trafficmanager.net/?a=b", "https://smba.trafficmanager.net/#x",
		"https://x.smba.trafficmanager.net/", "https://smba.trafficmanager.net./", "https://smba.trafficmanager.net\\@example.com/",
		"https:smba.trafficmanager.net", "https://smba.trafficmanager.net/%zz", "https://ada@smba.trafficmanager.net/", "http://127.0.0.1:9/",
	} {
		assert.False(t, check(address), address)
	}
	cfg.AllowHTTPLoopback = true
	assert.True(t, check("http://127.0.0.1:9/"))
	assert.False(t, check("http://127.0.0.1:10/"))
	assert.False(t, check("http://smba.trafficmanager.net/"))
	assert.False(t, check("http://example.com:8443/"))
}

func TestFactory(t *testing.T) {
	t.Parallel()
	broken := errors.New("line 3: unknown key")
	_, err := Factory(func(any) error { return broken }, chat.Env{})
	require.ErrorIs(t, err, broken)
	a, err := Factory(func(into any) error {
		*into.(*Config) = Config{AppID: farApp, AppPassword: farPassword, TenantID: farTenant}
		return nil
	}, chat.Env{Account: "work"})
	require.NoError(t, err)
	assert.Implements(t, (*chat.Pushed)(nil), a)
	_, err = Factory(func(any) error { return nil }, chat.Env{})
	require.Error(t, err)
}
