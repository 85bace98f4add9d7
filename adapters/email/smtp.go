package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/letserverrun/skadi/core/chat"
)

// smtpTimeout bounds a delivery that nobody gave a deadline.
const smtpTimeout = time.Minute

// submission hands mail in to a server.
type submission struct {
	cfg    SMTP
	domain string  // by which it introduces itself
	tokens *tokens // instead of a password
}

// envelope is one mail and where it goes.
type envelope struct {
	from string // empty: the null sender
	to   string
	mail []byte
}

// stage is how far a delivery came; what a status means depends on it.
type stage string

const (
	stageConnect stage = "connect"
	stageTLS     stage = "secure the connection"
	stageLogin   stage = "log in"
	stageFrom    stage = "name the sender"
	stageTo      stage = "name the recipient"
	stageData    stage = "hand in the mail"
)

// send hands a mail in. Its error is a *chat.SendError.
func (s *submission) send(ctx context.Context, e envelope) error {
	at, err := s.deliver(ctx, e)
	if err == nil {
		return nil
	}
	return classify(at, s.cfg, err)
}

// check logs in and out again.
func (s *submission) check(ctx context.Context) error {
	c, end, at, err := s.open(ctx)
	if err != nil {
		return classify(at, s.cfg, err)
	}
	defer end()
	_ = c.Quit()
	return nil
}

func (s *submission) deliver(ctx context.Context, e envelope) (stage, error) {
	c, end, at, err := s.open(ctx)
	if err != nil {
		return at, err
	}
	defer end()
	// Without a need for it, no server on the way has to know SMTPUTF8.
	c.SkipSMTPUTF8(isASCII(e.from) && isASCII(e.to))
	if err := c.Mail("<" + e.from + ">"); err != nil {
		return stageFrom, err
	}
	if err := c.Rcpt("<" + e.to + ">"); err != nil {
		return stageTo, err
	}
	w, err := c.Data()
	if err != nil {
		return stageData, err
	}
	if _, err := w.Write(e.mail); err != nil {
		return stageData, err
	}
	if err := w.Close(); err != nil {
		return stageData, err
	}
	_ = c.Quit() // the server has the mail, whatever becomes of the connection
	return stageData, nil
}

// open connects and logs in, with another token if the kept one is refused,
// for it may have been withdrawn. end closes the connection.
func (s *submission) open(ctx context.Context) (c *smtp.Client, end func(), at stage, err error) {
	c, end, at, err = s.connect(ctx)
	if errors.Is(err, errOldToken) {
		return s.connect(ctx)
	}
	return c, end, at, err
}

func (s *submission) connect(ctx context.Context) (c *smtp.Client, end func(), at stage, err error) {
	config, err := s.tls()
	if err != nil {
		return nil, nil, stageTLS, err
	}
	ctx, cancel := context.WithTimeout(ctx, smtpTimeout)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port)))
	if err != nil {
		cancel()
		return nil, nil, stageConnect, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	hangUp := func() {
		stop()
		cancel()
		_ = conn.Close()
	}
	c, at, err = s.greet(ctx, conn, config)
	if err == nil {
		at, err = stageLogin, s.logIn(ctx, c)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		hangUp()
		return nil, nil, at, err
	}
	return c, hangUp, at, nil
}

// greet speaks TLS and introduces itself.
func (s *submission) greet(ctx context.Context, conn net.Conn, config *tls.Config) (*smtp.Client, stage, error) {
	if s.cfg.TLS != tlsStart {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, stageTLS, err
		}
		conn = secure
	}
	c, err := smtp.NewClient(conn, s.cfg.Host)
	if err != nil {
		return nil, stageConnect, err
	}
	if err := c.Hello(s.domain); err != nil {
		return nil, stageConnect, err
	}
	if s.cfg.TLS == tlsStart {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, stageTLS, errNoTLS
		}
		if err := c.StartTLS(config); err != nil {
			return nil, stageTLS, err
		}
	}
	return c, stageLogin, nil
}

// tls is the server's certificate and who must have signed it.
func (s *submission) tls() (*tls.Config, error) {
	config := &tls.Config{ServerName: s.cfg.Host, MinVersion: tls.VersionTLS12}
	if s.cfg.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(s.cfg.CAFile)
	if err != nil {
		return nil, &configError{fmt.Errorf("read smtp.ca_file: %w", err)}
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, &configError{errors.New("smtp.ca_file has no certificate in it")}
	}
	return config, nil
}

// configError is a mistake of whoever wrote the config.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }

var (
	errNoTLS  = &configError{errors.New("the server offers no STARTTLS, and nothing is sent without TLS; see smtp.tls")}
	errNoAuth = &configError{errors.New("the server offers no way to log in that Skadi has the credentials for")}
)

// logIn logs in with what the server takes of what there is.
func (s *submission) logIn(ctx context.Context, c *smtp.Client) error {
	_, offered := c.Extension("AUTH")
	ways := strings.Fields(strings.ToUpper(offered))
	offers := func(way string) bool {
		for _, w := range ways {
			if w == way {
				return true
			}
		}
		return false
	}
	user, password := s.cfg.Username, s.cfg.Password.Reveal()
	switch {
	case s.tokens != nil && offers("XOAUTH2"):
		return s.logInByToken(ctx, c)
	case s.tokens != nil:
		return errNoAuth
	case offers("PLAIN"):
		return c.Auth(smtp.PlainAuth("", user, password, s.cfg.Host, false))
	case offers("LOGIN"):
		return c.Auth(smtp.LoginAuth(user, password, s.cfg.Host, false))
	}
	return errNoAuth
}

// errOldToken marks that a token was refused that was got a while ago.
var errOldToken = errors.New("a token was refused before its time")

func (s *submission) logInByToken(ctx context.Context, c *smtp.Client) error {
	token, fresh, err := s.tokens.get(ctx)
	if err != nil {
		return err
	}
	err = c.Auth(smtp.XOAuth2Auth(s.cfg.Username, token))
	if status, _ := statusOf(err); status < 500 {
		return err
	}
	if !fresh {
		err = errors.Join(errOldToken, err)
	}
	return errors.Join(err, s.tokens.drop(ctx, token))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// explain is what went wrong, short and without what could garble a log.
func explain(err error) string {
	const most = 300
	text := strings.Join(strings.Fields(chat.Readable(err.Error())), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
