package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/letserverrun/skadi/config"
)

const (
	// healthTime is how long a server has to answer, unless --timeout says otherwise.
	healthTime = 5 * time.Second
	// mostHealth is how much of an answer is read.
	mostHealth = 4 << 10
)

func healthCommand() *cobra.Command {
	var file, at string
	var ready, asJSON bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "health",
		Short: "Say whether the server on this machine answers, for a container's health check",
		Long: `Asks the server that runs with this config, at the address that it listens on, whether
it serves; with --ready, whether it can do its work. It takes no token, and follows
neither redirects nor proxies. By TLS it believes only the certificate of the config.

Exit code 0 if the answer is yes, else 1.`,
		Example: "  skadi health -c /etc/skadi/skadi.yaml\n  skadi health --url http://127.0.0.1:8080 --ready",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := healthOf(file, at)
			if err != nil {
				return err
			}
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := q.ask(ctx, path); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"url": q.base + path, "ok": true})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: yes\n", q.base+path)
			return err
		},
	}
	f := c.Flags()
	f.StringVarP(&file, "config", "c", defaultConfig, "the config file, which says where the server listens")
	f.StringVar(&at, "url", "", "ask at this address, and read no config")
	f.BoolVar(&ready, "ready", false, "ask whether it can do its work, as /readyz does")
	f.DurationVar(&timeout, "timeout", healthTime, "how long the answer may take")
	jsonFlag(c, &asJSON)
	return c
}

// healthQuestion is where to ask, and whom to believe.
type healthQuestion struct {
	base string
	tls  *tls.Config
}

// healthOf asks at an address, or else at that of the config file.
func healthOf(file, at string) (healthQuestion, error) {
	if at != "" {
		u, err := url.Parse(at)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return healthQuestion{}, usage("--url takes the address of a server, as http://127.0.0.1:8080")
		}
		return healthQuestion{base: strings.TrimSuffix(at, "/")}, nil
	}
	cfg, err := config.Load(file)
	if err != nil {
		return healthQuestion{}, err
	}
	host, err := reachable(cfg.Listen)
	if err != nil {
		return healthQuestion{}, err
	}
	if cfg.TLS.Cert == "" {
		return healthQuestion{base: "http://" + host}, nil
	}
	trust, err := trustOnly(cfg.TLS.Cert)
	if err != nil {
		return healthQuestion{}, err
	}
	return healthQuestion{base: "https://" + host, tls: trust}, nil
}

// reachable is where a server that listens there is reached from this machine.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	if port == "0" {
		return "", usage("the config has the system choose a port (listen: %s); give --url", listen)
	}
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "localhost"
		if addr.Is4() {
			host = "127.0.0.1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// trustOnly believes the certificate of that file, by whatever name it has.
func trustOnly(file string) (*tls.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tls.cert: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("tls.cert: %s holds no certificate in PEM", file)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("tls.cert: %s: %w", file, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	switch {
	case len(leaf.DNSNames) > 0:
		// Of a wildcard any name will do.
		trust.ServerName = strings.Replace(leaf.DNSNames[0], "*", "any", 1)
	case len(leaf.IPAddresses) > 0:
		trust.ServerName = leaf.IPAddresses[0].String()
	default:
		return nil, fmt.Errorf("tls.cert: the certificate of %s names no host; give --url", file)
	}
	return trust, nil
}

func (q healthQuestion) ask(ctx context.Context, path string) error {
	transport := &http.Transport{TLSClientConfig: q.tls, DisableKeepAlives: true}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, q.base+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time from %s", q.base+path)
	}
	if err != nil {
		return err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	if res.StatusCode == http.StatusOK {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, mostHealth))
	return fmt.Errorf("%s answers %s: %q", q.base+path, res.Status, strings.TrimSpace(string(text)))
}
