package mailbox

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// connect connects, turns to TLS and logs in.
func (b *Mailbox) connect(ctx context.Context, renew bool) (*session, error) {
	dial, cancel := context.WithTimeout(ctx, b.times.command)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}}
	raw, err := dialer.DialContext(dial, "tcp", net.JoinHostPort(b.c.Host, strconv.Itoa(b.c.Port)))
	if err != nil {
		return nil, err
	}
	g, err := b.secure(dial, raw)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	s := &session{g: g, timeout: b.times.command}
	if err := s.begin(ctx, &b.c, renew); err != nil {
		s.drop()
		return nil, err
	}
	return s, nil
}

// secure reads the greeting and turns to TLS, with the library looking away:
// it would take mail that was put in before TLS began, and a server that says
// that no login is needed.
func (b *Mailbox) secure(ctx context.Context, raw net.Conn) (*guard, error) {
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		stop()
		_ = raw.SetDeadline(time.Time{})
	}()
	if b.c.Security == StartTLS {
		if err := startTLS(raw); err != nil {
			return nil, err
		}
	}
	conn := tls.Client(raw, b.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	r := bufio.NewReader(conn)
	if b.c.Security == Implicit {
		line, err := shortLine(r)
		if err != nil {
			return nil, fmt.Errorf("read the greeting: %w", err)
		}
		if err := greeted(line); err != nil {
			return nil, err
		}
	}
	return newGuard(conn, raw, r, chunk+1024), nil
}

// startTLS speaks plain text for as long as it must. It reads byte by byte, so
// that nothing that was sent in plain text is taken for what came in TLS.
func startTLS(raw net.Conn) error {
	r := bufio.NewReaderSize(&oneByte{raw}, 16) // reads no more than it is asked for
	line, err := shortLine(r)
	if err != nil {
		return fmt.Errorf("read the greeting: %w", err)
	}
	if err := greeted(line); err != nil {
		return err
	}
	if _, err := io.WriteString(raw, "tls STARTTLS\r\n"); err != nil {
		return err
	}
	for range 100 {
		line, err := shortLine(r)
		if err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
		word, rest, _ := strings.Cut(line, " ")
		if word != "tls" {
			continue
		}
		if status, _, _ := strings.Cut(rest, " "); !strings.EqualFold(status, "OK") {
			return &configError{errors.New("the server does not turn to TLS (STARTTLS), and there is no login without; use tls: implicit if it has a port for that")}
		}
		return nil
	}
	return errors.New("STARTTLS: the server talks of other things")
}

type oneByte struct{ r io.Reader }

func (o *oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

// shortLine reads a line of a length that a greeting may have.
func shortLine(r *bufio.Reader) (string, error) {
	const most = 8 << 10
	var line []byte
	for len(line) < most {
		c, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return string(bytes.TrimSuffix(line, []byte("\r"))), nil
		}
		line = append(line, c)
	}
	return "", errors.New("the server sends a line without end")
}

func greeted(line string) error {
	words := strings.Fields(line)
	switch {
	case len(words) >= 2 && words[0] == "*" && strings.EqualFold(words[1], "OK"):
		return nil
	case len(words) >= 2 && words[0] == "*" && strings.EqualFold(words[1], "PREAUTH"):
		return errors.New("the server says that no login is needed, which is not believed")
	case len(words) >= 2 && words[0] == "*" && strings.EqualFold(words[1], "BYE"):
		return errors.New("the server is not available")
	}
	return errors.New("the server does not speak IMAP")
}
