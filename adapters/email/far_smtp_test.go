package email

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// smtpFar takes the mail that is handed in.
type smtpFar struct {
	addr string
	srv  *smtp.Server
	l    net.Listener

	mu     sync.Mutex
	locked bool
	mech   string // instead of PLAIN
	token  string // what XOAUTH2 takes
	fail   map[stage]*smtp.SMTPError
	mail   []received
}

type received struct {
	from, to string
	body     []byte
}

// startSMTP starts a server; with start, it speaks TLS once it was asked to.
func startSMTP(t *testing.T, config *tls.Config, start bool) *smtpFar {
	t.Helper()
	f := &smtpFar{fail: map[stage]*smtp.SMTPError{}, mech: sasl.Plain}
	f.srv = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &smtpSession{far: f}, nil }))
	f.srv.Domain, f.srv.ErrorLog = "mx.example.com", quiet{}
	f.srv.MaxMessageBytes = 10 << 20
	var l net.Listener
	var err error
	if start {
		f.srv.TLSConfig = config
		l, err = net.Listen("tcp", "127.0.0.1:0")
	} else {
		l, err = tls.Listen("tcp", "127.0.0.1:0", config)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.addr, f.l = l.Addr().String(), l
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		_ = f.srv.Close()
		<-done
	})
	return f
}

var errRefused = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "not accepted"}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// received returns what was handed in, oldest first.
func (f *smtpFar) received() []received {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]received(nil), f.mail...)
}

func (f *smtpFar) lock(locked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locked = locked
}

// fails makes each later delivery fail at a stage.
func (f *smtpFar) fails(at stage, code int, enhanced ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: "no"}
	if len(enhanced) == 3 {
		e.EnhancedCode = smtp.EnhancedCode(enhanced)
	}
	f.fail[at] = e
}

// failing is how a stage fails, or nil.
func (f *smtpFar) failing(at stage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.fail[at]; e != nil {
		return e
	}
	return nil
}

type smtpSession struct {
	far *smtpFar
	received
	in bool
}

func (s *smtpSession) AuthMechanisms() []string {
	s.far.mu.Lock()
	defer s.far.mu.Unlock()
	return []string{s.far.mech}
}

func (s *smtpSession) Auth(mech string) (sasl.Server, error) {
	if mech == xoauth2 {
		return &xoauth2Server{s: s}, nil
	}
	check := func(user, password string) error {
		s.far.mu.Lock()
		defer s.far.mu.Unlock()
		if s.far.locked || user != imapUser || password != imapPassword {
			return errRefused
		}
		s.in = true
		return nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the far side of LOGIN, which asks for one thing after another.
type loginServer struct {
	check func(user, password string) error
	user  string
	asked int
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

const xoauth2 = "XOAUTH2"

// xoauth2Server is the far side of XOAUTH2: of a token that it does not take it
// says why, waits for an empty answer, and then refuses.
type xoauth2Server struct {
	s       *smtpSession
	refused bool
}

func (x *xoauth2Server) Next(response []byte) (challenge []byte, done bool, err error) {
	if x.refused {
		return nil, false, errRefused
	}
	if response == nil {
		return []byte{}, false, nil
	}
	x.s.far.mu.Lock()
	defer x.s.far.mu.Unlock()
	if string(response) != "user="+imapUser+"\x01auth=Bearer "+x.s.far.token+"\x01\x01" {
		x.refused = true
		return []byte(`{"status":"401"}`), false, nil
	}
	x.s.in = true
	return nil, true, nil
}

func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.in {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in first"}
	}
	s.from = from
	return s.far.failing(stageFrom)
}

func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.far.failing(stageTo)
}

func (s *smtpSession) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.far.failing(stageData); err != nil {
		return err
	}
	s.far.mu.Lock()
	defer s.far.mu.Unlock()
	s.body = body
	s.far.mail = append(s.far.mail, s.received)
	return nil
}

func (s *smtpSession) Reset()        {}
func (s *smtpSession) Logout() error { return nil }
