package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/letserverrun/skadi/core/chat"
)

// The APIs of those who run their own servers are elsewhere.
const (
	githubAPI = "https://api.github.com"
	gitlabAPI = "https://gitlab.com/api/v4"
)

const (
	// maxContext is how long the name of a status may be, in bytes.
	maxContext = 100
	// maxAPI is how long the address of an API may be.
	maxAPI = 300
)

func (c Config) validateReplies(at string, r replies, bad complain) {
	if r.to != (chat.Destination{}) {
		if r.to.Account == "" {
			bad(at+"reply_to.account", "is missing; it is the name of another adapter")
		}
		if r.to.Channel == "" {
			bad(at+"reply_to.channel", "is missing; it is what the far side calls the channel")
		}
	}
	if r.status != (CommitStatus{}) {
		c.validateStatus(at+"commit_status", r.status, bad)
	}
	if r.callback != "" {
		u, err := url.Parse(r.callback)
		switch {
		case err != nil || u.Hostname() == "" || u.Opaque != "":
			bad(at+"callback_url", "is not a URL such as https://ci.example.com/done")
		case u.Scheme != "https" && u.Scheme != "http":
			bad(at+"callback_url", "must begin with https:// or http://")
		case u.User != nil || u.Fragment != "":
			bad(at+"callback_url", "must not have a user or a fragment")
		}
	}
}

// Validate refuses a status without a token, which would be none.
func (s *CommitStatus) Validate() error {
	if s.Token == "" {
		return &keyError{key: "token", detail: noToken}
	}
	return nil
}

const noToken = "is empty, and without it no status can be written"

func (c Config) validateStatus(key string, s CommitStatus, bad complain) {
	if c.Provider != GitHub && c.Provider != GitLab {
		bad(key, "is for the providers %s and %s", GitHub, GitLab)
		return
	}
	switch {
	case s.Token == "":
		bad(key+".token", noToken)
	case strings.ContainsFunc(s.Token.Reveal(), func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		bad(key+".token", "has blanks or other characters in it that no token has")
	}
	if err := checkURL(s.api(c.Provider)); err != nil {
		bad(key+".api_url", "%v", err)
	}
	if name := s.Context; len(name) > maxContext || name != chat.Readable(name) || strings.ContainsAny(name, "\n\t") || strings.TrimSpace(name) != name {
		bad(key+".context", "must be one line of at most %d bytes, without blanks around it", maxContext)
	}
	if s.TargetURL != "" {
		u, err := url.Parse(s.TargetURL)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			bad(key+".target_url", "is not a URL such as https://skadi.example.com/jobs/%s", codePart)
		}
	}
	if s.SHA != "" {
		if _, err := newMessage(s.SHA, maxSHA); err != nil {
			bad(key+".sha", "%v", err)
		}
	}
}

// validateTokens sees to it that a status is known by its API and its name: a
// conversation that was stored has no more than these to find the token by.
func (c Config) validateTokens(bad complain) {
	type name struct{ api, context string }
	tokens := map[name]chat.Secret{}
	check := func(key string, s CommitStatus) {
		if s == (CommitStatus{}) {
			return
		}
		n := name{s.api(c.Provider), s.context()}
		if other, ok := tokens[n]; ok && other != s.Token {
			bad(key+".context", "is %q, which is that of a status with another token too; give each a name of its own", n.context)
		}
		tokens[n] = s.Token
	}
	check("commit_status", c.CommitStatus)
	for i, r := range c.Rules {
		check(fmt.Sprintf("rules[%d].commit_status", i), r.CommitStatus)
	}
}

// api returns the API's address, without a slash at its end.
func (s CommitStatus) api(provider string) string {
	switch {
	case s.APIURL != "":
		return strings.TrimSuffix(s.APIURL, "/")
	case provider == GitLab:
		return gitlabAPI
	}
	return githubAPI
}

func (s CommitStatus) context() string {
	if s.Context == "" {
		return defaultContext
	}
	return s.Context
}

// checkURL says what is wrong with an address that a token is sent to. It does
// not repeat the address, which may contain a password.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || len(raw) > maxAPI:
		return errors.New("is not a URL such as " + githubAPI)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must not have a user, a query or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("must begin with https://, for the token is sent there; http:// is allowed for this machine only")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
