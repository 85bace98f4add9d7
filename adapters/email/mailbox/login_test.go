package mailbox

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestNoPlainText sees that nothing is told to a server that does not turn to
// TLS, and that nothing is believed that was said before.
func TestNoPlainText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, want string
		change     func(*fake)
	}{
		{"it refuses", "does not turn to TLS", func(f *fake) {
			f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
				if name == "STARTTLS" {
					c.send(tag + " NO not here")
				}
				return name == "STARTTLS"
			}
		}},
		{"it needs no login", "", func(f *fake) { f.greeting = "* PREAUTH welcome" }},
		{"it has put in more", "", func(f *fake) {
			f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
				if name == "STARTTLS" {
					c.send(tag+" OK go ahead", "* CAPABILITY IMAP4rev1 AUTH=PLAIN", "x OK")
					c.secure()
				}
				return name == "STARTTLS"
			}
		}},
		{"it speaks something else", "", func(f *fake) { f.greeting = "220 mx ESMTP" }},
		{"it is going", "", func(f *fake) { f.greeting = "* BYE busy" }},
		{"it has another certificate", "not trusted", func(f *fake) {
			other := newFake(f.t)
			f.tls = other.tls
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, starttls := range []bool{true, false} {
				f, k := newFake(t), newTaker()
				f.starttls = starttls
				tt.change(f)
				if !starttls && f.hook != nil {
					continue
				}
				c := f.config(k)
				if starttls {
					c.Security = StartTLS
				}
				b := open(t, c)
				ctx, cancel := context.WithCancel(t.Context())
				if tt.want == "" {
					// It tries again for ever; one try is enough to see.
					if _, err := b.connect(ctx, false); err == nil {
						t.Error("connected")
					}
				} else if err := b.Run(ctx); err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
				cancel()
				if got := append(f.logged("LOGIN"), f.logged("AUTHENTICATE")...); len(got) > 0 {
					t.Errorf("it was told %v", got)
				}
			}
		})
	}
}

func TestAnotherHost(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	b := open(t, f.config(k))
	b.tls = &tls.Config{RootCAs: b.tls.RootCAs, ServerName: "imap.example.com", MinVersion: tls.VersionTLS12}
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Error(err)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00secret word"))
	tests := []struct{ name, caps, want string }{
		{"plain at once", "AUTH=PLAIN SASL-IR", "AUTHENTICATE PLAIN " + plain},
		{"plain when asked", "auth=plain", "AUTHENTICATE PLAIN"},
		{"login", "AUTH=LOGIN", "AUTHENTICATE LOGIN"},
		{"the command", "", `LOGIN "` + user + `" "secret word"`},
		{"none", "LOGINDISABLED", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			f.caps = "IMAP4rev1 " + tt.caps
			var told []string
			f.hook = func(c *fakeConn, tag, name string, args []string) bool {
				if name != "AUTHENTICATE" || len(args) > 1 {
					return false
				}
				asks := []string{""}
				if args[0] == "LOGIN" {
					asks = []string{"VXNlcm5hbWU6", "UGFzc3dvcmQ6"}
				}
				for _, ask := range asks {
					c.send("+ " + ask)
					line, err := c.r.ReadString('\n')
					if err != nil {
						return true
					}
					f.mu.Lock()
					told = append(told, strings.TrimSpace(line))
					f.mu.Unlock()
				}
				c.send(tag + " OK done")
				return true
			}
			b := open(t, f.config(k))
			s, err := b.connect(t.Context(), false)
			if tt.want == "" {
				if err == nil || strings.Contains(err.Error(), "secret") {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			s.close()
			if got := strings.TrimSpace(strings.Join(append(f.logged("LOGIN"), f.logged("AUTHENTICATE")...), ";")); got != tt.want {
				t.Errorf("it was told %q, want %q", got, tt.want)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			switch tt.name {
			case "plain when asked":
				if !slices.Equal(told, []string{plain}) {
					t.Error(told)
				}
			case "login":
				if want := []string{base64.StdEncoding.EncodeToString([]byte(user)), base64.StdEncoding.EncodeToString([]byte("secret word"))}; !slices.Equal(told, want) {
					t.Error(told)
				}
			}
		})
	}
}

// TestTokens lets a token run out, and then all of them.
func TestTokens(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			f, k := newFake(t), newTaker()
			f.caps = "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=" + mechanism
			var good atomic.Value
			good.Store("token-2")
			f.hook = func(c *fakeConn, tag, name string, args []string) bool {
				if name != "AUTHENTICATE" {
					return false
				}
				said, _ := base64.StdEncoding.DecodeString(args[1])
				want := "user=" + user + "\x01auth=Bearer " + good.Load().(string) + "\x01\x01"
				if mechanism == "OAUTHBEARER" {
					if _, after, ok := strings.Cut(string(said), "\x01auth="); !ok || !strings.HasPrefix(string(said), "n,a="+user+",\x01host=127.0.0.1\x01port=") {
						t.Errorf("it was told %q", said)
					} else {
						said = []byte("user=" + user + "\x01auth=" + after)
					}
				}
				if args[0] != mechanism || string(said) != want {
					c.send("+ " + base64.StdEncoding.EncodeToString([]byte(`{"status":"400"}`)))
					_, _ = c.r.ReadString('\n')
					c.send(tag + " NO [AUTHENTICATIONFAILED] no")
					return true
				}
				return false
			}
			c := f.config(k)
			c.Password = ""
			var mu sync.Mutex
			var asked []bool
			c.Token = func(_ context.Context, renew bool) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, renew)
				return map[bool]string{false: "token-1", true: "token-2"}[renew], nil
			}
			end := start(t, open(t, c))
			f.add(letter("one"))
			k.upTo(t, "one")
			end()
			if !slices.Equal(asked, []bool{false, true}) {
				t.Errorf("asked %v", asked)
			}

			good.Store("token-3")
			err := open(t, c).Run(t.Context())
			if err == nil || strings.Contains(err.Error(), "token-") {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		f, k := newFake(t), newTaker()
		f.caps = "IMAP4rev1 AUTH=XOAUTH2"
		c := f.config(k)
		for _, token := range []string{"", "a\r\nb", "a\x01b"} {
			c.Token = func(context.Context, bool) (string, error) { return token, nil }
			if _, err := open(t, c).connect(t.Context(), false); err == nil || len(f.logged("AUTHENTICATE")) > 0 {
				t.Errorf("%q: %v", token, err)
			}
		}
	})
}

// TestLogin waits where a login may work later, and ends where it will not.
func TestLogin(t *testing.T) {
	t.Parallel()
	f, k := newFake(t), newTaker()
	f.hook = func(c *fakeConn, tag, name string, _ []string) bool {
		switch {
		case name != "AUTHENTICATE":
			return false
		case c.n <= 2:
			c.send(tag + " NO [UNAVAILABLE] the directory is down")
		default:
			return false
		}
		return true
	}
	start(t, open(t, f.config(k)))
	f.add(letter("one"))
	k.upTo(t, "one")
}
