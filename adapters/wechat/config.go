package wechat

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/letserverrun/skadi/adapters/wechat/official"
	"github.com/letserverrun/skadi/core/chat"
)

// Kind is the adapter's name in the config.
const Kind = "wechat"

// The accounts that there are.
const (
	// AccountOfficial is an official account of WeChat (公众号).
	AccountOfficial = "official"
	// AccountWeCom is an application of WeCom (企业微信).
	AccountWeCom = "wecom"
	// AccountRobot is a group robot of WeCom (群机器人), which only speaks.
	AccountRobot = "robot"
)

// Config is the adapter's block in the config.
type Config struct {
	Account string `yaml:"account" json:"account" jsonschema:"required,enum=official,enum=wecom,enum=robot" doc:"official: an official account (公众号); wecom: an application of WeCom (企业微信); robot: a group robot of WeCom (群机器人), which only speaks."`

	AppID     string      `yaml:"app_id,omitempty" json:"app_id,omitempty" doc:"AppID of the official account (开发者ID), wx…"`
	AppSecret chat.Secret `yaml:"app_secret,omitempty" json:"app_secret,omitempty" doc:"AppSecret of the official account (开发者密码)."`
	Greeting  string      `yaml:"greeting,omitempty" json:"greeting,omitempty" doc:"What is said to somebody who follows the official account; Skadi's own introduction if left out."`
	Plain     bool        `yaml:"plain,omitempty" json:"plain,omitempty" doc:"Lets the official account send its messages in plain text (明文模式). Their text is not signed then: whoever sees one can send another."`

	CorpID  string      `yaml:"corp_id,omitempty" json:"corp_id,omitempty" doc:"CorpID of the company in WeCom (企业ID), ww…"`
	AgentID int64       `yaml:"agent_id,omitempty" json:"agent_id,omitempty" doc:"AgentId of the application in WeCom."`
	Secret  chat.Secret `yaml:"secret,omitempty" json:"secret,omitempty" doc:"Secret of the application in WeCom."`

	WebhookURL chat.Secret `yaml:"webhook_url,omitempty" json:"webhook_url,omitempty" doc:"Webhook address of the group robot in WeCom; whoever knows it can speak for the robot."`
	Markdown   bool        `yaml:"markdown,omitempty" json:"markdown,omitempty" doc:"Shows jobs in WeCom in Markdown. Who reads them in WeChat sees none of it."`

	Token          chat.Secret `yaml:"token,omitempty" json:"token,omitempty" doc:"Token that is entered with the callback's address at Tencent; it proves that a call is theirs."`
	EncodingAESKey chat.Secret `yaml:"encoding_aes_key,omitempty" json:"encoding_aes_key,omitempty" doc:"EncodingAESKey that is entered beside the token, 43 characters."`
	APIURL         string      `yaml:"api_url,omitempty" json:"api_url,omitempty" doc:"Tencent's API; for gateways and tests."`
}

// official returns the part of an official account.
func (c Config) official() official.Config {
	return official.Config{
		AppID: c.AppID, AppSecret: c.AppSecret, Token: c.Token, EncodingAESKey: c.EncodingAESKey,
		Plain: c.Plain, Greeting: c.Greeting, APIURL: c.APIURL,
	}
}

// Validate names every key that is missing or wrong, and shows no secret.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, &keyError{key: key, detail: fmt.Sprintf(format, args...)})
	}
	switch c.Account {
	case AccountOfficial:
		c.validateOfficial(bad)
	case AccountWeCom:
		c.validateWeCom(bad)
	case AccountRobot:
		c.validateRobot(bad)
	case "":
		bad("account", "is missing; it is %s, %s or %s", AccountOfficial, AccountWeCom, AccountRobot)
	default:
		bad("account", "is %q; it must be %s, %s or %s", c.Account, AccountOfficial, AccountWeCom, AccountRobot)
	}
	if c.APIURL != "" {
		if err := checkURL(c.APIURL); err != nil {
			bad("api_url", "%s", err)
		}
	}
	return errors.Join(errs...)
}

// complain records what is wrong with a key.
type complain = func(key, format string, args ...any)

// appID is the form of an official account's ID.
var appID = regexp.MustCompile(`^wx[0-9a-z]{4,32}$`)

func (c Config) validateOfficial(bad complain) {
	switch {
	case c.AppID == "":
		bad("app_id", "is empty; it is the AppID (开发者ID) on the page 基本配置 of the account")
	case !appID.MatchString(c.AppID):
		bad("app_id", "is %q, which is no ID such as wx0123456789abcdef", c.AppID)
	}
	checkSecret(bad, "app_secret", c.AppSecret, "it is the AppSecret (开发者密码) on the page 基本配置 of the account")
	c.validateCallback(bad)
	refuse(bad, AccountWeCom, c.CorpID != "", "corp_id")
	refuse(bad, AccountWeCom, c.AgentID != 0, "agent_id")
	refuse(bad, AccountWeCom, c.Secret != "", "secret")
	refuse(bad, AccountWeCom, c.Markdown, "markdown")
	refuse(bad, AccountRobot, c.WebhookURL != "", "webhook_url")
}

// refuse complains of a key that is set and belongs to the other kind of account.
func refuse(bad complain, of string, set bool, key string) {
	if set {
		bad(key, "is for account %s", of)
	}
}

// validateCallback checks what proves that a call is Tencent's.
func (c Config) validateCallback(bad complain) {
	checkSecret(bad, "token", c.Token, "anybody could send messages otherwise; it is what you enter as Token beside the callback's address")
	switch {
	case c.Plain && c.EncodingAESKey != "":
		bad("plain", "is set, and so is encoding_aes_key; with the key messages are encrypted (安全模式), and nothing else is taken")
	case c.Plain:
	case c.EncodingAESKey == "":
		bad("encoding_aes_key", "is empty, and messages must be encrypted (安全模式) unless plain is true; it is the EncodingAESKey beside the token")
	case !isAESKey(c.EncodingAESKey):
		bad("encoding_aes_key", "is no EncodingAESKey, which has 43 letters and digits")
	}
}

// isAESKey reports whether a key is one of AES-256, as Tencent writes them.
func isAESKey(key chat.Secret) bool {
	raw, err := base64.StdEncoding.DecodeString(key.Reveal() + "=")
	return err == nil && len(key.Reveal()) == 43 && len(raw) == 32
}

func checkSecret(bad complain, key string, value chat.Secret, what string) {
	switch {
	case value == "":
		bad(key, "is empty; %s", what)
	case strings.ContainsFunc(value.Reveal(), func(r rune) bool { return r <= ' ' || r == 0x7f }):
		bad(key, "has blanks in it")
	}
}

// checkURL says what is wrong with an address that secrets are sent to. It does
// not repeat the address, which may contain a password.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("is not a URL such as " + official.API)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must not have a user, a query or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("must begin with https://, for secrets are sent there; http:// is allowed for this machine only")
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
