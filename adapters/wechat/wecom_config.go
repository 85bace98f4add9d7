package wechat

import (
	"regexp"

	"github.com/letserverrun/skadi/adapters/wechat/wecom"
	"github.com/letserverrun/skadi/core/chat"
)

// corpID is the form of a company's ID.
var corpID = regexp.MustCompile(`^(ww|wx)[0-9A-Za-z]{4,64}$`)

func (c Config) validateWeCom(bad complain) {
	switch {
	case c.CorpID == "":
		bad("corp_id", "is empty; it is the 企业ID on the page 我的企业 of the console")
	case !corpID.MatchString(c.CorpID):
		bad("corp_id", "is %q, which is no ID such as ww0123456789abcdef", c.CorpID)
	}
	if c.AgentID <= 0 {
		bad("agent_id", "is missing; it is the AgentId on the application's page")
	}
	checkSecret(bad, "secret", c.Secret, "it is the Secret on the application's page")
	if c.Plain {
		bad("plain", "is for account %s; WeCom encrypts every message", AccountOfficial)
	} else {
		c.validateCallback(bad)
	}
	c.refuseOfficial(bad)
	refuse(bad, AccountRobot, c.WebhookURL != "", "webhook_url")
}

func (c Config) validateRobot(bad complain) {
	checkSecret(bad, "webhook_url", c.WebhookURL, "it is shown when the robot is added to the group")
	if c.WebhookURL != "" {
		if err := wecom.CheckWebhook(c.WebhookURL); err != nil {
			bad("webhook_url", "%s", err)
		} else if err := checkURL(wecom.WebhookBase(c.WebhookURL)); err != nil {
			bad("webhook_url", "%s", err)
		}
	}
	c.refuseOfficial(bad)
	refuse(bad, AccountOfficial, c.Plain, "plain")
	refuse(bad, AccountWeCom, c.CorpID != "", "corp_id")
	refuse(bad, AccountWeCom, c.AgentID != 0, "agent_id")
	refuse(bad, AccountWeCom, c.Secret != "", "secret")
	refuse(bad, AccountWeCom, c.Token != "", "token")
	refuse(bad, AccountWeCom, c.EncodingAESKey != "", "encoding_aes_key")
	refuse(bad, AccountWeCom, c.APIURL != "", "api_url")
}

func (c Config) refuseOfficial(bad complain) {
	refuse(bad, AccountOfficial, c.AppID != "", "app_id")
	refuse(bad, AccountOfficial, c.AppSecret != "", "app_secret")
	refuse(bad, AccountOfficial, c.Greeting != "", "greeting")
}

// newWeCom makes an account in WeCom: an application, or a robot.
func newWeCom(cfg Config, env chat.Env) (chat.Adapter, error) {
	if cfg.Account == AccountRobot {
		return wecom.NewRobot(wecom.RobotConfig{WebhookURL: cfg.WebhookURL, Markdown: cfg.Markdown}, env)
	}
	return wecom.New(wecom.Config{
		CorpID: cfg.CorpID, AgentID: cfg.AgentID, Secret: cfg.Secret, Token: cfg.Token,
		EncodingAESKey: cfg.EncodingAESKey, Markdown: cfg.Markdown, APIURL: cfg.APIURL,
	}, env)
}
