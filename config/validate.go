package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-sql-driver/mysql"

	"github.com/letserverrun/skadi/config/strictyaml"
)

// checkListen refuses to let tokens travel unencrypted.
func (c *Config) checkListen() error {
	if err := checkAddr("listen", c.Listen, "127.0.0.1:8080 or :8443"); err != nil {
		return err
	}
	if c.TLS.Cert != "" || len(c.TrustedProxies) > 0 || isLoopback(c.Listen) {
		return nil
	}
	return strictyaml.Invalid("listen", "%q can be reached from other machines, and tokens would travel unencrypted: set tls.cert and tls.key, "+
		"or list the proxy that ends TLS in trusted_proxies, or listen on 127.0.0.1", c.Listen)
}

// checkAddr checks host:port.
func checkAddr(path, addr, example string) error {
	_, port, err := net.SplitHostPort(addr)
	switch {
	case err != nil && addr != "" && strings.Trim(addr, "0123456789") == "":
		return strictyaml.Invalid(path, "%q is a port alone, and not of the form host:port, such as %s", addr, example)
	case err != nil:
		return strictyaml.Invalid(path, "%q is not of the form host:port, such as %s", addr, example)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || fmt.Sprint(n) != port {
		return strictyaml.Invalid(path, "%q does not end with a port from 0 to 65535", addr)
	}
	return nil
}

// isLoopback reports whether only this machine reaches the address. An empty
// host is all addresses, and a name other than localhost may be any.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (c *Config) checkPublicURL() error {
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return strictyaml.Invalid("public_url", "%q is not of the form https://host", c.PublicURL)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return strictyaml.Invalid("public_url", "must be the scheme and the host alone, as https://host")
	case u.Scheme == "http" && !isLoopback(u.Host) && !isLoopback(u.Hostname()):
		return strictyaml.Invalid("public_url", "%q must begin with https://, since tokens travel there", c.PublicURL)
	}
	return nil
}

// checkNames finds accounts with the same name.
func (c *Config) checkNames() error {
	var errs []error
	first := map[string]int{}
	for i, a := range c.Adapters {
		if j, taken := first[a.Name]; taken && a.Name != "" {
			errs = append(errs, strictyaml.Invalid(fmt.Sprintf("adapters[%d].name", i), "%q is the name of adapters[%d] too", a.Name, j))
			continue
		}
		first[a.Name] = i
	}
	return errors.Join(errs...)
}

// Validate checks that certificate and key come together.
func (t *TLS) Validate() error {
	switch {
	case t.Cert == "" && t.Key != "":
		return strictyaml.Invalid("key", "needs tls.cert beside it")
	case t.Cert != "" && t.Key == "":
		return strictyaml.Invalid("cert", "needs tls.key beside it")
	}
	return nil
}

// Validate checks that the driver has what it needs.
func (s *Store) Validate() error {
	switch {
	case s.Driver == SQLite && s.Path == "":
		return strictyaml.Invalid("path", "is empty; name the file that sqlite keeps everything in")
	case s.Driver == MySQL && s.DSN == "":
		return strictyaml.Invalid("dsn", "is missing; driver: mysql needs it, as user:password@tcp(host:3306)/name")
	case s.Driver == MySQL:
		return s.checkDSN()
	}
	return nil
}

// checkDSN reads the address as the driver will. The driver's own errors are
// left out, since some of them show a part of it.
func (s *Store) checkDSN() error {
	dsn, err := mysql.ParseDSN(s.DSN.Reveal())
	switch {
	case err != nil:
		return strictyaml.Invalid("dsn", "is not of the form user:password@tcp(host:3306)/name")
	case dsn.DBName == "":
		return strictyaml.Invalid("dsn", "names no database; write it after the slash, as in user:password@tcp(host:3306)/skadi")
	case dsn.MultiStatements:
		return strictyaml.Invalid("dsn", "must not have multiStatements=true: no statement of Skadi's needs it, and it makes an injected one possible")
	}
	return nil
}

// Validate checks that redis has an address, and one way to be reached.
func (q *Queue) Validate() error {
	if q.Driver != Redis {
		return nil
	}
	if len(q.Addrs) == 0 {
		return strictyaml.Invalid("addrs", "is missing; driver: redis needs it, as [host:6379]")
	}
	var errs []error
	for i, addr := range q.Addrs {
		errs = append(errs, checkAddr(fmt.Sprintf("addrs[%d]", i), addr, "redis.example.com:6379"))
	}
	if q.Master != "" && q.Cluster {
		errs = append(errs, strictyaml.Invalid("cluster", "is not true together with queue.master: redis is reached by Sentinels or as a cluster"))
	}
	if q.Master == "" && q.SentinelUsername+q.SentinelPassword.Reveal() != "" {
		errs = append(errs, strictyaml.Invalid("master", "is missing; sentinel_username and sentinel_password are for the Sentinels that know it"))
	}
	if q.Master == "" && !q.Cluster && len(q.Addrs) > 1 {
		errs = append(errs, strictyaml.Invalid("addrs", "several addresses need queue.master (for Sentinels) or queue.cluster: true"))
	}
	return errors.Join(errs...)
}

// maxNodeName is the longest name of a node, as long as a host's may be.
const maxNodeName = 253

// Validate checks that the name can be shown in one line.
func (n *Node) Validate() error {
	if len(n.Name) > maxNodeName || strings.ContainsFunc(n.Name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return strictyaml.Invalid("name", "must be one line of at most %d characters", maxNodeName)
	}
	return nil
}

// Validate checks the times against each other.
func (t *Times) Validate() error {
	var errs []error
	if t.Offline <= t.CheckIn {
		errs = append(errs, strictyaml.Invalid("offline", "must be longer than times.check_in (%s), or agents that check in on time count as offline", strictyaml.FormatDuration(t.CheckIn)))
	}
	if t.NotTaken <= t.Offer {
		errs = append(errs, strictyaml.Invalid("not_taken", "must be longer than times.offer (%s), or jobs expire while they are offered", strictyaml.FormatDuration(t.Offer)))
	}
	return errors.Join(errs...)
}

// Validate checks that calls can carry what may be kept.
func (l *Limits) Validate() error {
	if largest := max(l.Message, l.Output); l.Body < 2*largest {
		return strictyaml.Invalid("body", "must be at least %s: twice limits.message and limits.output, since JSON makes text longer", 2*largest)
	}
	return nil
}

// Validate checks the address.
func (m *Metrics) Validate() error {
	if m.Listen == "" {
		return nil
	}
	return checkAddr("listen", m.Listen, "127.0.0.1:9090")
}

// Validate checks the address and the part.
func (t *Tracing) Validate() error {
	var errs []error
	if t.Endpoint != "" {
		u, err := url.Parse(t.Endpoint)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
			errs = append(errs, strictyaml.Invalid("endpoint", "is not of the form http://host:4318"))
		case u.User != nil:
			errs = append(errs, strictyaml.Invalid("endpoint", "must hold no user and password: put them into tracing.headers"))
		}
	}
	if !(t.Ratio >= 0 && t.Ratio <= 1) {
		errs = append(errs, strictyaml.Invalid("ratio", "must be from 0 to 1"))
	}
	return errors.Join(errs...)
}
