package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-imap"
	"github.com/emersion/go-sasl"
)

// refusedError is a login that the server refuses for good.
type refusedError struct{ error }

func (e *refusedError) Unwrap() error { return e.error }

// login logs in with the best that both sides know.
func (s *session) login(ctx context.Context, c *Config, renew bool) error {
	if c.Token == nil {
		return s.withPassword(c)
	}
	token, err := c.Token(ctx, renew)
	if err != nil {
		return fmt.Errorf("get an access token: %w", err)
	}
	if token == "" || strings.ContainsAny(token, "\x00\x01\r\n") {
		return &refusedError{errors.New("the access token is none")}
	}
	switch {
	case s.can("AUTH=OAUTHBEARER"):
		return s.authenticate(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: c.Username, Token: token, Host: c.Host, Port: c.Port}))
	case s.can("AUTH=XOAUTH2"):
		return s.authenticate(&xoauth2{username: c.Username, token: token})
	}
	return &refusedError{errors.New("the server takes neither OAUTHBEARER nor XOAUTH2; use a password")}
}

func (s *session) withPassword(c *Config) error {
	password := string(c.Password)
	switch {
	case s.can("AUTH=PLAIN"):
		return s.authenticate(sasl.NewPlainClient("", c.Username, password))
	case s.can("AUTH=LOGIN"):
		return s.authenticate(&login{username: c.Username, password: password})
	case s.can("LOGINDISABLED"):
		return &refusedError{errors.New("the server takes no password; it may want OAuth")}
	case !isPrintable(c.Username + password):
		return &refusedError{errors.New("the server takes only a user name and a password of plain ASCII")}
	}
	return refusal(s.do(func() error { return s.c.Login(c.Username, password) }))
}

func (s *session) authenticate(mechanism sasl.Client) error {
	return refusal(s.do(func() error { return s.c.Authenticate(mechanism) }))
}

// passing are the response codes (RFC 5530) of a login that may work later.
var passing = map[imap.StatusRespCode]bool{"UNAVAILABLE": true, "INUSE": true, "LIMIT": true, "SERVERBUG": true, "OVERQUOTA": true}

// refusal tells a login that is refused from a connection that ended.
func refusal(err error) error {
	var no *noError
	var bearer *sasl.OAuthBearerError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		if !passing[no.code] {
			return &refusedError{fmt.Errorf("the login failed: %w", err)}
		}
	case errors.As(err, &bearer), errors.Is(err, errToken):
		return &refusedError{fmt.Errorf("the server refuses the access token: %w", err)}
	}
	return err
}

// isPrintable reports whether s goes into a command in quotes. All else would
// be a literal.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

var errToken = errors.New("XOAUTH2 failed")

// xoauth2 is Google's and Microsoft's own mechanism.
type xoauth2 struct{ username, token string }

// Start implements sasl.Client.
func (x *xoauth2) Start() (string, []byte, error) {
	return "XOAUTH2", []byte("user=" + x.username + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next implements sasl.Client. A challenge is an error that the server
// explains.
func (x *xoauth2) Next([]byte) ([]byte, error) { return nil, errToken }

// login is the mechanism LOGIN, whose server asks for one after the other. The
// library's own answers a server that asks for the password alone.
type login struct {
	username, password string
	asked              int
}

// Start implements sasl.Client.
func (l *login) Start() (string, []byte, error) { return "LOGIN", nil, nil }

// Next implements sasl.Client.
func (l *login) Next([]byte) ([]byte, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.username), nil
	case 2:
		return []byte(l.password), nil
	}
	return nil, errors.New("the server asks for more than a user name and a password")
}
