package wecom

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/letserverrun/skadi/adapters/wechat/tencent"
	"github.com/letserverrun/skadi/core/chat"
)

// webhookPath ends the address of every robot.
const webhookPath = "/cgi-bin/webhook/send"

// RobotConfig says which group robot (群机器人) it is.
type RobotConfig struct {
	// WebhookURL is the robot's address. Whoever knows it can speak for the
	// robot, so it is a secret.
	WebhookURL chat.Secret
	// Markdown is as in Config; a robot's may be longer than its text.
	Markdown bool
}

// Robot speaks in the group that it was added to, and hears nothing.
type Robot struct {
	cfg      RobotConfig
	env      chat.Env
	api      *tencent.Client
	key      string
	pace     pace
	progress progress
}

var _ chat.Adapter = (*Robot)(nil)

// NewRobot makes a robot's account. It calls nobody.
func NewRobot(cfg RobotConfig, env chat.Env) (*Robot, error) {
	base, key, err := webhook(cfg.WebhookURL)
	if err != nil {
		return nil, fmt.Errorf("account %s: webhook_url %w", env.Account, err)
	}
	return &Robot{
		cfg: cfg, env: env, key: key, pace: pace{windows: robotWindows},
		api: tencent.New(tencent.Config{Origin: API, Base: base, Classes: classes}, env),
	}, nil
}

// CheckWebhook says what is wrong with a robot's address, without showing it.
func CheckWebhook(raw chat.Secret) error {
	_, _, err := webhook(raw)
	return err
}

// WebhookBase returns the part of a robot's address that stands for API.
func WebhookBase(raw chat.Secret) string {
	base, _, _ := webhook(raw)
	return base
}

// webhook returns the parts of a robot's address.
func webhook(raw chat.Secret) (base, key string, err error) {
	u, err := url.Parse(raw.Reveal())
	if err != nil || u.Host == "" {
		return "", "", errors.New("is no address such as " + API + webhookPath + "?key=…")
	}
	key = u.Query().Get("key")
	base, ok := strings.CutSuffix(u.Path, webhookPath)
	switch {
	case !ok || key == "" || len(u.Query()) != 1:
		return "", "", errors.New("must end with " + webhookPath + "?key=… and nothing else")
	case u.User != nil || u.Fragment != "":
		return "", "", errors.New("must not have a user or a fragment")
	}
	return u.Scheme + "://" + u.Host + base, key, nil
}

// Capabilities implements chat.Adapter. What is no Markdown becomes two texts.
func (r *Robot) Capabilities() chat.Capabilities {
	return chat.Capabilities{MaxBytes: 2 * (maxText - utf8.UTFMax + 1)}
}

// Run waits for ctx to end. Whether the address works is seen when something is
// sent.
func (r *Robot) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Send implements chat.Adapter. Every conversation of the account is the
// robot's group.
func (r *Robot) Send(ctx context.Context, m chat.Outbound) (chat.MessageRef, error) {
	parts := says(m, r.cfg.Markdown, maxMarkdown)
	if len(parts) == 0 {
		return chat.MessageRef{}, permanent(errors.New("the message is empty"))
	}
	was := r.progress.of(m.ID)
	left := len(parts) - was.parts
	if left <= 0 {
		return chat.MessageRef{ID: m.ID}, nil
	}
	if wait := r.pace.wait("", left, r.env.Clock()); wait > 0 {
		return chat.MessageRef{}, &chat.SendError{Class: chat.RateLimited, RetryAfter: wait, Err: errPace}
	}
	for _, p := range parts[was.parts:] {
		if err := mendable(r.api.PostWith(ctx, webhookPath, url.Values{"key": {r.key}}, p, nil)); err != nil {
			return chat.MessageRef{}, err
		}
		if was.parts++; len(parts) > 1 {
			r.progress.note(m.ID, was)
		}
	}
	return chat.MessageRef{ID: m.ID}, nil
}
