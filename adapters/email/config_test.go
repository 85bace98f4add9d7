package email

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/letserverrun/skadi/core/chat"
)

// fine is a config that works.
func fine() Config {
	c := defaults()
	c.Address = inboxAddress
	c.IMAP.Host, c.IMAP.Password = "imap.example.com", "hunter2hunter2"
	c.SMTP.Host = "smtp.example.com"
	return c
}

func TestConfig(t *testing.T) {
	t.Parallel()
	oauth := OAuth{TokenURL: "https://login.example.com/token", ClientID: "id", ClientSecret: "topsecret"}
	for name, c := range map[string]struct {
		change func(c *Config)
		keys   []string // those at fault
	}{
		"fine":                        {func(*Config) {}, nil},
		"nothing":                     {func(c *Config) { *c = Config{} }, []string{"address", "imap.host", "smtp.host", "imap.password"}},
		"no address":                  {func(c *Config) { c.Address = "inbox" }, []string{"address"}},
		"a name beside it":            {func(c *Config) { c.Address = "Inbox <inbox@example.com>" }, []string{"address"}},
		"a plus in it":                {func(c *Config) { c.Address = "inbox+a@example.com" }, []string{"address"}},
		"a line end in it":            {func(c *Config) { c.Address = "inbox@example.com\n" }, []string{"address"}},
		"no domain":                   {func(c *Config) { c.Address = "inbox@example" }, []string{"address"}},
		"too long":                    {func(c *Config) { c.Address = strings.Repeat("a", 40) + "@example.com" }, []string{"address"}},
		"a URL for a host":            {func(c *Config) { c.IMAP.Host = "https://imap.example.com" }, []string{"imap.host"}},
		"host and port":               {func(c *Config) { c.SMTP.Host = "smtp.example.com:465" }, []string{"smtp.host"}},
		"an address for a host":       {func(c *Config) { c.SMTP.Host = "::1" }, nil},
		"no encryption":               {func(c *Config) { c.IMAP.TLS, c.SMTP.TLS = "none", "off" }, []string{"imap.tls", "smtp.tls"}},
		"starttls":                    {func(c *Config) { c.IMAP.TLS, c.SMTP.TLS = "starttls", "starttls" }, nil},
		"ports of their TLS":          {func(c *Config) { c.IMAP.Port, c.SMTP.Port = 993, 465 }, nil},
		"ports of starttls":           {func(c *Config) { c.IMAP.Port, c.SMTP.Port = 143, 587 }, []string{"imap.port", "smtp.port"}},
		"ports of implicit TLS":       {func(c *Config) { c.IMAP.TLS, c.IMAP.Port, c.SMTP.TLS, c.SMTP.Port = "starttls", 993, "starttls", 465 }, []string{"imap.port", "smtp.port"}},
		"ports of their own":          {func(c *Config) { c.IMAP.Port, c.SMTP.Port = 10143, 25 }, nil},
		"starttls at its ports":       {func(c *Config) { c.IMAP.TLS, c.IMAP.Port, c.SMTP.TLS, c.SMTP.Port = "starttls", 143, "starttls", 587 }, nil},
		"no password":                 {func(c *Config) { c.IMAP.Password = "" }, []string{"imap.password"}},
		"oauth":                       {func(c *Config) { c.IMAP.Password, c.IMAP.OAuth = "", oauth }, nil},
		"oauth, a refresh token":      {func(c *Config) { c.SMTP.OAuth = oauth; c.SMTP.OAuth.ClientSecret, c.SMTP.OAuth.RefreshToken = "", "r" }, nil},
		"both":                        {func(c *Config) { c.IMAP.OAuth, c.SMTP.OAuth, c.SMTP.Password = oauth, oauth, "x" }, []string{"imap.oauth", "smtp.oauth"}},
		"oauth, nothing of it":        {func(c *Config) { c.IMAP.Password, c.IMAP.OAuth = "", OAuth{Scopes: []string{"a"}} }, []string{"imap.oauth.client_id", "imap.oauth.client_secret", "imap.oauth.token_url"}},
		"oauth in the clear":          {func(c *Config) { c.SMTP.OAuth = oauth; c.SMTP.OAuth.TokenURL = "http://login.example.com/" }, []string{"smtp.oauth.token_url"}},
		"oauth with a password":       {func(c *Config) { c.SMTP.OAuth = oauth; c.SMTP.OAuth.TokenURL = "https://a:hunter2hunter2@b.example/" }, []string{"smtp.oauth.token_url"}},
		"folders":                     {func(c *Config) { c.Folders, c.DoneFolder = []string{"INBOX", "Jobs"}, "Done" }, nil},
		"a folder to and fro":         {func(c *Config) { c.Folders, c.DoneFolder = []string{"INBOX", "Done", ""}, "Done" }, []string{"folders[1]", "folders[2]"}},
		"a flag of two words":         {func(c *Config) { c.DoneFlag = "is done" }, []string{"done_flag"}},
		"bounces nowhere":             {func(c *Config) { c.BounceAddress = "bounces" }, []string{"bounce_address"}},
		"bounces of the null sender":  {func(c *Config) { c.BounceAddress, c.NullSender = "bounces@example.com", true }, []string{"bounce_address"}},
		"two senders":                 {func(c *Config) { c.PlainSender, c.NullSender = true, true }, []string{"plain_sender"}},
		"a server's word":             {func(c *Config) { c.AuthservID, c.Unsigned = "mx.example.com", true }, nil},
		"nobody's word":               {func(c *Config) { c.Unsigned = true }, []string{"allow_unsigned"}},
		"words for a name":            {func(c *Config) { c.AuthservID = "mx example" }, []string{"authserv_id"}},
		"DNS":                         {func(c *Config) { c.DNS = "10.0.0.53:53" }, nil},
		"DNS without a port":          {func(c *Config) { c.DNS = "10.0.0.53" }, []string{"dns"}},
		"a user that cannot be typed": {func(c *Config) { c.IMAP.Username = "a\r\nb" }, []string{"imap.username"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := fine()
			c.change(&cfg)
			_, err := New(cfg, chat.Env{Account: "inbox"})
			if keys := faulty(err); fmt.Sprint(keys) != fmt.Sprint(c.keys) {
				t.Errorf("the keys %q are at fault, want %q: %v", keys, c.keys, err)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "topsecret")) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// faulty are the keys that an error names.
func faulty(err error) []string {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return nil
	}
	var keys []string
	for _, one := range many.Unwrap() {
		var ke *keyError
		if errors.As(one, &ke) {
			key, _ := ke.Field()
			keys = append(keys, key)
		}
	}
	return keys
}

func TestComplete(t *testing.T) {
	t.Parallel()
	c := fine().complete()
	if c.IMAP.Username != inboxAddress || c.SMTP.Username != inboxAddress || c.SMTP.Password != "hunter2hunter2" || c.SMTP.Port != 465 || c.BounceAddress != inboxAddress {
		t.Errorf("it is completed to %+v", c)
	}
	c = fine()
	c.SMTP.TLS, c.SMTP.Username, c.SMTP.Password = tlsStart, "smtp-user", "another"
	if c = c.complete(); c.SMTP.Port != 587 || c.SMTP.Username != "smtp-user" || c.SMTP.Password != "another" {
		t.Errorf("it is completed to %+v", c)
	}
}

func TestDecodeFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("line 3: unknown key")
	if _, err := Factory(func(any) error { return broken }, chat.Env{}); !errors.Is(err, broken) {
		t.Errorf("the error is %v, want that of the config", err)
	}
}
